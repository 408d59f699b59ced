//! Values as JSON, and JSON as values: what JSON lines are made of, and what lists,
//! records and maps are in every text.
//!
//! | type | JSON |
//! |---|---|
//! | NULL | `null` |
//! | boolean, integers | JSON's own |
//! | floats | a number with the shortest digits that read back the same; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | list | `[1,null,2]` |
//! | record | `{"a":1,"b":"x"}`; an absent key is NULL |
//! | map | `{"key":"value"}`, in order |
//! | anything else | text as in [`super::text`], decimals too: most readers would squeeze a number into a double |
//!
//! Our own, since arrow-json writes decimals as numbers and NaN as null.

mod read;
mod write;

pub use read::{from_json, is_nested_json, list_depth, scalar_text};
pub use write::JsonColumn;

#[cfg(test)]
mod tests;
