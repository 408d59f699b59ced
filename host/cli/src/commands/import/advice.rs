//! What to do about a write that the server or the connector refused, in the words of the
//! command line.

use arrow_schema::Schema;
use dagflux_host::{Error, ErrorKind};

use crate::args::{ImportArgs, Mode, quoted};
use crate::failure::ServerFailure;

/// SQLSTATE `unique_violation`.
const UNIQUE: &str = "23505";

/// The failure with its next step.
pub fn advised(args: &ImportArgs, schema: &Schema, source: Error) -> anyhow::Error {
    let attributes = source.attributes().iter();
    let columns: Vec<&str> = (attributes.clone())
        .filter(|(name, _)| name == "column")
        .map(|(_, column)| column.as_str())
        .collect();
    let hint = match (source.kind(), source.sqlstate(), args.mode()) {
        (ErrorKind::SchemaMismatch, _, _) => without(schema, &columns)
            .map(|rest| join(source.hint(), &format!("--columns {rest} leaves them out"))),
        (ErrorKind::AlreadyExists, _, Mode::Create) => Some(
            "choose another name, or import into it with --mode append, replace or upsert"
                .to_owned(),
        ),
        (ErrorKind::Constraint, Some(UNIQUE), Mode::Append) => Some(
            "leave out the row named, or add --mode upsert to change the rows that are there; \
             nothing was changed"
                .to_owned(),
        ),
        // The connector finds two things itself: keys that come twice, and keys without a value.
        (ErrorKind::Constraint, None, Mode::Upsert) => {
            let mut values = attributes.filter(|(name, _)| name == "value");
            values.any(|(_, value)| value != "null").then(|| {
                "leave one row for each key, or add --duplicates last to have the last one count; \
                 nothing was changed"
                    .to_owned()
            })
        }
        _ => None,
    };
    ServerFailure {
        sql: None,
        hint,
        source,
    }
    .into()
}

/// The columns of the file but for these, as an argument; none if they are not all its own, or
/// if nothing would be left.
fn without(schema: &Schema, columns: &[&str]) -> Option<String> {
    let names: Vec<&str> = (schema.fields().iter().map(|field| field.name().as_str())).collect();
    let rest: Vec<&str> = (names.iter().copied())
        .filter(|name| !columns.contains(name))
        .collect();
    let own = !columns.is_empty() && columns.iter().all(|column| names.contains(column));
    // A comma would part a name in two.
    let expressible = !rest.is_empty() && rest.iter().all(|name| !name.contains(','));
    (own && expressible).then(|| quoted(&rest.join(",")))
}

fn join(hint: Option<&str>, more: &str) -> String {
    match hint {
        Some(hint) => format!("{hint}; {more}"),
        None => more.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{DataType, Field};

    #[test]
    fn columns_to_leave_out() {
        let schema = |names: &[&str]| {
            let fields = names
                .iter()
                .map(|name| Field::new(*name, DataType::Utf8, true));
            Schema::new(fields.collect::<Vec<_>>())
        };
        for (names, columns, expected) in [
            (&["id", "n", "twice"][..], &["twice"][..], Some("id,n")),
            (&["id", "unit price", "n"], &["n"], Some("'id,unit price'")),
            (&["id", "n"], &["absent"], None),
            (&["id", "n"], &[], None),
            (&["id"], &["id"], None),
            (&["a,b", "n"], &["n"], None),
        ] {
            let found = without(&schema(names), columns);
            assert_eq!(found.as_deref(), expected, "{names:?} {columns:?}");
        }
    }
}
