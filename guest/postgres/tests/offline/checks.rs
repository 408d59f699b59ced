//! What purposes need, and the set-up that gives it.

use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    Purpose, SetUpNames, Severity,
};
use dagflux_postgres::check::need::{Asked, Need, PURPOSES, grave};
use dagflux_postgres::check::set_up::set_up;

fn names(owners: &[&str]) -> SetUpNames {
    SetUpNames {
        database: "shop".into(),
        schema: "public".into(),
        user: "Ada L".into(),
        owners: owners.iter().map(|owner| (*owner).to_owned()).collect(),
    }
}

fn sql(purposes: &[Purpose], owners: &[&str]) -> Vec<String> {
    let steps = set_up(purposes, &names(owners)).unwrap();
    steps
        .into_iter()
        .filter(|step| !step.optional)
        .map(|step| step.sql)
        .collect()
}

#[test]
fn sources_need_what_the_document_says_and_no_more() {
    assert_eq!(
        sql(&[Purpose::Source], &[]),
        [
            "CREATE USER \"Ada L\" WITH PASSWORD 'choose-a-strong-password';",
            "GRANT CONNECT ON DATABASE shop TO \"Ada L\";",
            "GRANT USAGE ON SCHEMA public TO \"Ada L\";",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"Ada L\";",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO \"Ada L\";",
        ]
    );
}

#[test]
fn every_purpose_begins_with_those_of_a_source() {
    let source = sql(&[Purpose::Source], &["app"]);
    assert!(source.iter().any(|sql| sql.contains("FOR ROLE app")));
    for purpose in PURPOSES {
        assert!(sql(&[purpose], &["app"]).starts_with(&source));
    }
    // None means all, as in a check.
    assert_eq!(sql(&[], &[]), sql(&PURPOSES, &[]));
}

#[test]
fn ownership_is_for_someone_to_decide() {
    let steps = set_up(&[Purpose::InPlace], &names(&["app", "etl"])).unwrap();
    let optional: Vec<_> = steps.iter().filter(|step| step.optional).collect();
    let sql: Vec<_> = optional.iter().map(|step| step.sql.as_str()).collect();
    let truncate = "GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO \"Ada L\";";
    assert_eq!(
        sql,
        [
            truncate,
            "GRANT app TO \"Ada L\";",
            "GRANT etl TO \"Ada L\";"
        ]
    );
    for purpose in [Purpose::Source, Purpose::NewTable, Purpose::Join] {
        let steps = set_up(&[purpose], &names(&["app"])).unwrap();
        assert!(steps.iter().all(|step| !step.optional));
    }
    let long = SetUpNames {
        user: "x".repeat(64),
        ..names(&[])
    };
    assert!(set_up(&[], &long).is_err());
}

#[test]
fn only_reading_fails_when_nothing_was_asked_for() {
    let open = Asked::new(&[]);
    for (need, severity) in [
        (Need::Select, Severity::Failed),
        (Need::Usage, Severity::Failed),
        (Need::Create, Severity::Warning),
        (Need::Update, Severity::Warning),
        (Need::Temporary, Severity::Warning),
        (Need::Own, Severity::Warning),
    ] {
        assert_eq!(open.severity(grave(need)), severity, "{need:?}");
    }
    let source = Asked::new(&[Purpose::Source]);
    assert!(!source.wants(Need::Insert) && !source.wants(Need::Temporary));
    assert!(source.wants(Need::AllRows));
}
