//! The name of a type, as `format_type` writes it, taken apart and put together again.
//!
//! `numeric(15,2)`, `timestamp(3) with time zone`, `"Schema"."Type"`, `integer[]`.

use super::mapping::numeric_modifier;
use super::oid;
use super::pg_type::{Class, Typed};

/// A type's name whose parts are known to be names and numbers, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// The name, schema included, each part quoted unless it is one of the standard's.
    base: String,
    /// The schema in it, not quoted.
    schema: Option<String>,
    /// What stands in parentheses: numbers, or plain words such as `Point`.
    modifiers: Vec<String>,
    /// What stands behind the parentheses: ` with time zone` or nothing.
    zone: &'static str,
    /// How many `[]` follow.
    dimensions: usize,
}

/// The types that the SQL standard calls by words, which must not be quoted.
const STANDARD: &[&str] = &[
    "bigint",
    "bit",
    "bit varying",
    "boolean",
    "character",
    "character varying",
    "double precision",
    "integer",
    "interval",
    "interval day",
    "interval day to hour",
    "interval day to minute",
    "interval day to second",
    "interval hour",
    "interval hour to minute",
    "interval hour to second",
    "interval minute",
    "interval minute to second",
    "interval month",
    "interval second",
    "interval year",
    "interval year to month",
    "numeric",
    "real",
    "smallint",
    "time",
    "timestamp",
];

impl TypeName {
    /// Takes a name apart; none if it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut text = text.trim();
        let mut dimensions = 0_usize;
        while let Some(rest) = text.strip_suffix("[]") {
            text = rest;
            dimensions = dimensions.saturating_add(1);
        }
        let mut zone = "";
        for (suffix, kept) in [
            (" with time zone", " with time zone"),
            (" without time zone", ""),
        ] {
            if let Some(rest) = text.strip_suffix(suffix) {
                text = rest;
                zone = kept;
            }
        }
        let mut modifiers = Vec::new();
        if let Some(rest) = text.strip_suffix(')') {
            let (base, list) = rest.rsplit_once('(')?;
            for modifier in list.split(',') {
                let modifier = modifier.trim();
                let is_word = modifier.starts_with(|c: char| c.is_ascii_alphabetic())
                    && modifier.chars().all(|c| c.is_ascii_alphanumeric());
                let is_number = modifier.parse::<i32>().is_ok();
                (is_word || is_number).then_some(())?;
                modifiers.push(modifier.to_owned());
            }
            text = base;
        }
        let (base, schema) = match STANDARD.contains(&text) {
            true => (text.to_owned(), None),
            false => quoted(text)?,
        };
        // SQL's own types have numbers only.
        if STANDARD.contains(&text) && modifiers.iter().any(|m| m.parse::<i32>().is_err()) {
            return None;
        }
        if !zone.is_empty() && !matches!(base.as_str(), "time" | "timestamp") {
            return None;
        }
        Some(Self {
            base,
            schema,
            modifiers,
            zone,
            dimensions,
        })
    }

    /// The name as SQL.
    pub fn sql(&self) -> String {
        let mut sql = self.base.clone();
        if !self.modifiers.is_empty() {
            sql.push_str(&format!("({})", self.modifiers.join(",")));
        }
        sql.push_str(self.zone);
        sql.push_str(&"[]".repeat(self.dimensions));
        sql
    }

    /// The schema, if the name has one.
    pub fn schema(&self) -> Option<String> {
        self.schema.clone()
    }

    /// The name as SQL without what is in parentheses.
    pub fn bare(&self) -> String {
        format!("{}{}{}", self.base, self.zone, "[]".repeat(self.dimensions))
    }

    /// The type that this is the name of, with the modifier that the name has.
    pub fn modified(&self, typed: &Typed) -> Typed {
        let type_oid = match &typed.pg.class {
            Class::Array { element, .. } => element.oid,
            _ => typed.pg.oid,
        };
        Typed {
            modifier: self.modifier(type_oid),
            ..typed.clone()
        }
    }

    /// The modifier, for the types whose modifier says what values a column takes.
    fn modifier(&self, type_oid: u32) -> i32 {
        let numbers: Option<Vec<i32>> = self.modifiers.iter().map(|m| m.parse().ok()).collect();
        match (type_oid, numbers.unwrap_or_default().as_slice()) {
            (oid::NUMERIC, [precision]) => numeric_modifier(*precision, 0),
            (oid::NUMERIC, [precision, scale]) => numeric_modifier(*precision, *scale),
            (oid::INTERVAL, numbers) => {
                let keeps_seconds = self.base == "interval" || self.base.ends_with("second");
                let parts = if keeps_seconds { 0x7fff } else { 0 };
                (parts << 16) | (numbers.first().unwrap_or(&0xffff) & 0xffff)
            }
            (_, [number]) => *number,
            _ => -1,
        }
    }
}

/// A name of one or two parts, quoted, and the first of two; each part is a plain word or quoted
/// already.
fn quoted(text: &str) -> Option<(String, Option<String>)> {
    let mut schema = None;
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, tail) = part(rest)?;
        parts.push(crate::dialect::quote(&part));
        match tail.strip_prefix('.') {
            Some(tail) if parts.len() < 2 => {
                schema = Some(part);
                rest = tail;
            }
            None if tail.is_empty() => return Some((parts.join("."), schema)),
            _ => return None,
        }
    }
}

/// The first part of a name, and what follows it.
fn part(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let (before, after) = rest.split_once('"')?;
            name.push_str(before);
            match after.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    rest = after;
                }
                None if name.is_empty() => return None,
                None => return Some((name, after)),
            }
        }
    }
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    let starts_well = word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    starts_well.then(|| (word.to_owned(), rest))
}
