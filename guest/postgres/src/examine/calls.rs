//! The functions that a statement calls, and which of them may do more than compute a value.
//!
//! They are found in the expressions of the plan, where views and simple functions are written out,
//! and the server says what each is declared as.

use std::collections::BTreeSet;

use dagflux_guest::Result;
use dagflux_guest::bindings::exports::dagflux::connector::relational::Access;

use super::tree::Tree;
use crate::catalog::{columns_of, required};
use crate::dialect::array;
use crate::session::Session;

/// Functions of the server that are declared volatile since they give another value each time, and
/// change nothing. (`setseed` changes what `random` gives, in this session; `timezone`, which is
/// `AT TIME ZONE`, is volatile for `timetz` in older versions, and a plan does not tell its forms apart.)
const HARMLESS: &[&str] = &[
    "clock_timestamp",
    "gen_random_uuid",
    "random",
    "random_normal",
    "setseed",
    "timeofday",
    "timezone",
    "uuidv4",
    "uuidv7",
];

/// Functions of the server that read tables which the statement does not name, though they are
/// declared stable.
const READERS: &[&str] = &[
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
];

/// Those that may do more, in the order of their names.
///
/// # Errors
/// What the server reports.
pub fn with_effects(session: &mut Session, tree: &Tree) -> Result<Vec<String>> {
    let found = Found::of(&tree.expressions());
    if found.calls.is_empty() && found.operators.is_empty() && found.types.is_empty() {
        return Ok(Vec::new());
    }
    let Found {
        calls,
        operators,
        types,
    } = found;
    let type_schemas = array(types.iter().map(|call| call.schema.as_str()));
    let types = array(types.iter().map(|call| call.name.as_str()));
    // A column with a sequence draws from it when a row is added.
    let adds = tree
        .changes()
        .iter()
        .any(|(.., access)| matches!(access, Access::Insert | Access::Merge));
    let schemas = array(calls.iter().map(|call| call.schema.as_str()));
    let names = array(calls.iter().map(|call| call.name.as_str()));
    let mut harmless: Vec<&str> = HARMLESS.to_vec();
    if adds {
        harmless.push("nextval");
    }
    let (harmless, readers) = (array(harmless), array(READERS.iter().copied()));
    let operators = array(operators.iter().map(String::as_str));
    // What is the server's own or an extension's is what its declaration says; what someone made is
    // trusted only if it depends on nothing but its arguments. An aggregate is what its parts are.
    session.ask(
        "SELECT DISTINCT CASE WHEN u.schema = '' THEN u.name ELSE u.schema || '.' || u.name END \
         FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS u(schema, name) \
         JOIN pg_catalog.pg_proc p ON p.proname::pg_catalog.text = u.name \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE (u.schema = '' AND pg_catalog.pg_function_is_visible(p.oid) OR n.nspname::pg_catalog.text = u.schema) AND CASE \
         WHEN n.nspname = 'pg_catalog' THEN (p.provolatile = 'v' AND p.proname::pg_catalog.text <> ALL ($3::pg_catalog.text[])) \
         OR p.proname::pg_catalog.text = ANY ($4::pg_catalog.text[]) \
         WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e' \
         AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid) THEN p.provolatile = 'v' \
         ELSE p.provolatile <> 'i' OR EXISTS (SELECT 1 FROM pg_catalog.pg_aggregate g \
         JOIN pg_catalog.pg_proc part ON part.oid IN (g.aggtransfn::pg_catalog.oid, g.aggfinalfn::pg_catalog.oid, \
         g.aggcombinefn::pg_catalog.oid, g.aggmtransfn::pg_catalog.oid, g.aggmfinalfn::pg_catalog.oid) \
         WHERE g.aggfnoid::pg_catalog.oid = p.oid AND part.provolatile <> 'i') END \
         UNION SELECT o.oprname::pg_catalog.text FROM pg_catalog.pg_operator o \
         JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
         JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode::pg_catalog.oid \
         WHERE n.nspname <> 'pg_catalog' AND o.oprname::pg_catalog.text = ANY ($5::pg_catalog.text[]) AND CASE \
         WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e' \
         AND d.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid) THEN p.provolatile = 'v' \
         ELSE p.provolatile <> 'i' END \
         UNION SELECT t.typname::pg_catalog.text \
         FROM ROWS FROM (pg_catalog.unnest($6::pg_catalog.text[]), pg_catalog.unnest($7::pg_catalog.text[])) AS u(schema, name) \
         JOIN pg_catalog.pg_type t ON t.typname::pg_catalog.text = u.name \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         WHERE (u.schema = '' AND pg_catalog.pg_type_is_visible(t.oid) OR n.nspname::pg_catalog.text = u.schema) \
         AND (EXISTS (SELECT 1 FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_depend d ON d.objid = c.oid \
         AND d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass::pg_catalog.oid \
         AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid \
         JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid WHERE c.contypid = t.oid AND p.provolatile <> 'i') \
         OR EXISTS (SELECT 1 FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc \
         JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace \
         WHERE k.casttarget = t.oid AND pn.nspname <> 'pg_catalog' AND p.provolatile <> 'i')) ORDER BY 1",
        &[
            Some(&schemas),
            Some(&names),
            Some(&harmless),
            Some(&readers),
            Some(&operators),
            Some(&type_schemas),
            Some(&types),
        ],
    )?;
    session
        .gather()?
        .into_iter()
        .map(|row| {
            let [name] = columns_of(row)?;
            required(name)
        })
        .collect()
}

/// A function by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    /// Its schema; empty where the server leaves it out.
    schema: String,
    name: String,
}

/// What expressions use.
#[derive(Debug, Default)]
struct Found {
    calls: BTreeSet<Call>,
    operators: BTreeSet<String>,
    /// What is cast to: a domain has checks, and a cast a function.
    types: BTreeSet<Call>,
}

/// What operators are made of. Manual: "Operators" in "Lexical Structure".
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?";

impl Found {
    /// What is used in expressions, as the server writes them: what looks like a call and is none,
    /// such as a type with a length, is no function's name or does no harm to be asked for.
    fn of(expressions: &[&str]) -> Self {
        let mut found = Self::default();
        for expression in expressions {
            found.add(expression);
        }
        found
    }

    /// Takes down the type that `text` begins with, and gives what follows it.
    fn cast<'t>(&mut self, text: &'t str) -> &'t str {
        let Some((first, rest)) = name(text) else {
            return text;
        };
        let qualified = rest.strip_prefix('.').and_then(name);
        let (schema, name, rest) = match qualified {
            Some((second, rest)) => (first, second, rest),
            None => (String::new(), first, rest),
        };
        self.types.insert(Call { schema, name });
        rest
    }

    fn add(&mut self, expression: &str) {
        let mut path: Vec<String> = Vec::new();
        let mut rest = expression;
        while let Some(first) = rest.chars().next() {
            if let Some((name, after)) = name(rest) {
                path.push(name);
                rest = after;
                if let Some(after) = rest.strip_prefix('.') {
                    rest = after;
                    // OPERATOR(schema.+)
                    if !rest.starts_with(|c| OPERATOR.contains(c)) {
                        continue;
                    }
                }
            } else if let Some(after) = rest.strip_prefix("::") {
                rest = self.cast(after);
                continue;
            } else if OPERATOR.contains(first) {
                let end = rest.find(|c| !OPERATOR.contains(c)).unwrap_or(rest.len());
                let (operator, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                self.operators.insert(operator.to_owned());
                rest = after;
            } else {
                rest = match first {
                    '\'' => after_literal(rest, expression),
                    _ => rest.get(first.len_utf8()..).unwrap_or_default(),
                };
            }
            if rest.starts_with('(')
                && let Some(name) = path.pop()
            {
                let schema = path.pop().unwrap_or_default();
                self.calls.insert(Call { schema, name });
            }
            path.clear();
        }
    }
}

/// The name that `text` begins with, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let begins = |c: char| c.is_alphabetic() || c == '_';
        let goes_on = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        if !text.starts_with(begins) {
            return None;
        }
        let end = text.find(|c| !goes_on(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return Some((name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, after)),
        }
    }
}

/// What follows the string that `text` begins with. Behind an `E`, backslashes escape.
fn after_literal<'t>(text: &'t str, whole: &str) -> &'t str {
    let at = whole.len().saturating_sub(text.len());
    let escapes = whole.get(..at).is_some_and(|before| before.ends_with('E'));
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if escapes => {
                chars.next();
            }
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            '\'' => return text.get(at.saturating_add(1)..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::Found;

    #[test]
    fn what_is_called() {
        for (expression, expected) in [
            ("a", vec![]),
            ("(a + b)", vec![]),
            ("lower(name)", vec!["lower"]),
            ("s.f(g(1), 'h(2)', k)", vec!["s.f", "g"]),
            ("\"Odd \"\"name\"(1)", vec!["Odd \"name"]),
            ("\"S\".\"F\"(1)", vec!["S.F"]),
            ("E'\\'' || f(1)", vec!["f"]),
            ("'it''s g(' || f('x'::text)", vec!["f"]),
            ("'\\' || f(1)", vec!["f"]),
            ("(a > 1) AND f(b)", vec!["f"]),
            ("count(*) FILTER (WHERE f(a))", vec!["count", "f"]),
            ("größe(1)", vec!["größe"]),
            ("'unended", vec![]),
            ("\"unended", vec![]),
        ] {
            let mut expected = expected;
            expected.sort_unstable();
            let mut found: Vec<String> = Found::of(&[expression])
                .calls
                .into_iter()
                .map(|call| match call.schema.as_str() {
                    "" => call.name,
                    schema => format!("{schema}.{}", call.name),
                })
                .collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{expression}");
        }
    }

    #[test]
    fn what_operators_are_used() {
        for (expression, expected) in [
            ("(a + b)", vec!["+"]),
            ("(a ->> 'x-y'::text) ~~ '%'::text", vec!["->>", "~~"]),
            ("(a OPERATOR(s.###) b)", vec!["###"]),
            ("'a + b'", vec![]),
        ] {
            let found: Vec<String> = Found::of(&[expression]).operators.into_iter().collect();
            assert_eq!(found, expected, "{expression}");
        }
    }
}
