//! Text that has a grammar: arrays, records, names of types.

use dagflux_postgres::types::literal;
use dagflux_postgres::types::name::TypeName;

use super::Input;

/// Reads text as an array and as a record.
pub fn run(input: &mut Input<'_>) {
    let delimiter = match input.byte() % 4 {
        0 => ';',
        _ => ',',
    };
    let text = String::from_utf8_lossy(input.rest());
    if let Some(array) = literal::array(&text, delimiter) {
        let elements = match array.dimensions.as_slice() {
            [] => 0,
            dimensions => dimensions.iter().product(),
        };
        assert_eq!(array.elements.len(), elements, "{:?}", array.dimensions);
        let mut again = String::from("{");
        for (at, element) in array.elements.iter().enumerate() {
            if at > 0 {
                again.push(delimiter);
            }
            match element {
                Some(element) => literal::quote(element, &mut again),
                None => again.push_str("NULL"),
            }
        }
        again.push('}');
        let again = literal::array(&again, delimiter).expect("an array");
        assert_eq!(again.elements, array.elements);
    }
    if let Some(fields) = literal::record(&text) {
        let mut again = Vec::new();
        for field in &fields {
            let mut text = String::new();
            if let Some(field) = field {
                literal::quote(field, &mut text);
            }
            again.push(text);
        }
        let again = format!("({})", again.join(","));
        assert_eq!(literal::record(&again), Some(fields));
    }
}

/// Reads text as the name of a type. What becomes SQL reads as the same name.
pub fn names(input: &mut Input<'_>) {
    let text = String::from_utf8_lossy(input.rest());
    if let Some(name) = TypeName::parse(&text) {
        let sql = name.sql();
        let again = TypeName::parse(&sql).expect("a name that reads as one");
        assert_eq!(again.sql(), sql);
        let _ = (name.schema(), name.bare());
    }
}
