use super::super::value::written;
use super::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn row(fields: &[(&str, Value)]) -> Vec<(String, Value)> {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    fields.collect()
}

fn shown(masks: &Masks, fields: &[(&str, Value)]) -> String {
    let mut masker = Masker::new(masks);
    let mut row = masker.row(&TableName::in_schema("s", "t"), row(fields));
    masker.scrub(&mut row);
    written(&row)
}

#[test]
fn values_are_masked_by_their_looks_and_by_their_column() {
    let nested = Value::Record(row(&[
        ("email", text("not an address")),
        (
            "notes",
            Value::List(vec![text("ann@example.com"), Value::Null]),
        ),
        ("bob@example.com", Value::Bare("1".to_owned())),
    ]));
    let fields = [
        ("id", Value::Bare("17".to_owned())),
        ("first_name", text("Ann")),
        ("last_name", Value::Null),
        ("note", text("Ann wrote from ann@example.com; Annex stays")),
        ("number", Value::Bare("4111111111111111".to_owned())),
        ("serial", Value::Bare("4917012345678".to_owned())),
        ("total", Value::Bare("12345678901.25".to_owned())),
        ("body", nested),
    ];
    assert_eq!(
        shown(&Masks::all(), &fields),
        concat!(
            r#"{"id":17,"first_name":"[name]","last_name":null,"#,
            r#""note":"[masked] wrote from [email]; Annex stays","number":"[card]","serial":"[phone]","#,
            r#""total":12345678901.25,"body":{"email":"[email]","notes":["[email]",null],"[email]":1}}"#
        )
    );
    let email = Masks::none().with_rule(MaskRule::Email);
    assert!(shown(&email, &fields).contains(r#""first_name":"Ann""#));
    assert!(shown(&Masks::none(), &fields).contains("ann@example.com"));
}

#[test]
fn a_masked_column_is_masked_whatever_is_in_it() {
    let secret = Value::List(vec![text("hush"), Value::Bare("1234567".to_owned())]);
    let fields = [("Salary", secret), ("note", text("hush: 1234567 a year"))];
    for column in ["salary", "t.salary", "S.T.Salary", "\"t\".\"SALARY\""] {
        let masks = Masks::none().with_column(column.parse().unwrap());
        assert_eq!(
            shown(&masks, &fields),
            r#"{"Salary":"[masked]","note":"[masked]: [masked] a year"}"#,
            "{column}"
        );
    }
    let other = Masks::none().with_column("u.salary".parse().unwrap());
    assert!(shown(&other, &fields).contains("hush"));
    for text in ["", ".", "a.", "a..b", "a.b.c.d"] {
        assert!(text.parse::<ColumnMask>().is_err(), "{text}");
    }
}

#[test]
fn a_column_that_is_not_there_is_told() {
    let table = TableName::new("t");
    for (column, seen_all, told) in [
        ("salary", true, false),
        ("t.salery", true, true),
        ("t.salery", false, true),
        ("salery", true, true),
        ("salery", false, false),
        ("u.x", true, false),
    ] {
        let masks = Masks::none().with_column(column.parse().unwrap());
        let mut masker = Masker::new(&masks);
        masker.row(&table, row(&[("salary", Value::Null)]));
        assert_eq!(masker.all_were_found(seen_all).is_err(), told, "{column}");
    }
    let masks = Masks::none().with_column("u.x".parse().unwrap());
    assert!(masks.are_of(&[&table]).is_err());
}

#[test]
fn what_is_said_of_tables_does_not_tell_it_either() {
    let masks = Masks::all();
    let mut masker = Masker::new(&masks);
    let fields = row(&[
        ("email", text("ann@example.com")),
        ("name", text("orders")),
        ("login", text("O'Neill")),
    ]);
    masker.row(&TableName::new("t"), fields);
    let mut said = "orders default \"'ann@example.com'\", by O'Neill".to_owned();
    masker.scrub_text(&mut said);
    assert_eq!(said, "orders default \"'[masked]'\", by [masked]");
}
