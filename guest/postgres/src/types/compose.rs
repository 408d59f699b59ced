//! Values with parts, as `COPY ... FROM STDIN` takes them: arrays, composites, maps, vectors.
//!
//! Source: PostgreSQL, `array_recv` (`arrayfuncs.c`), `record_recv` (`rowtypes.c`),
//! `hstore_recv` (`contrib/hstore/hstore_io.c`); pgvector, `vector_recv`.

use std::collections::HashSet;
use std::ops::Range;

use arrow_array::ArrowPrimitiveType;
use arrow_array::types::Float16Type;

use super::cell::{self, Cell, Misfit};
use super::encode::{self, BINARY_NULL, counted};
use super::json;
use super::literal::quote;
use super::source::{Source, Values};
use super::target::{Part, Target};

/// Appends the value in `row` in the binary format: its length, then its bytes.
///
/// # Errors
/// When it does not fit.
pub fn binary(
    source: &Source<'_>,
    row: usize,
    target: &Target,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    if source.is_null(row) {
        out.extend_from_slice(&BINARY_NULL);
        return Ok(());
    }
    match (target, &source.values) {
        (
            Target::Array {
                element,
                element_oid,
                ..
            },
            Values::List(..),
        ) => counted(out, |out| array(source, row, element, *element_oid, out)),
        (Target::Composite(parts), Values::Struct(fields)) => {
            counted(out, |out| composite(fields, row, parts, out))
        }
        (Target::Hstore, Values::Map(offsets, entries)) => {
            let range = offsets.range(row).unwrap_or_default();
            let (keys, values) = entries.as_ref();
            check_keys(keys, range.clone())?;
            counted(out, |out| {
                put_count(range.len(), out);
                for entry in range {
                    binary(keys, entry, &Target::Text, out)?;
                    binary(values, entry, &Target::Text, out)?;
                }
                Ok(())
            })
        }
        (Target::Vector, Values::List(offsets, elements)) => {
            let range = offsets.range(row).unwrap_or_default();
            counted(out, |out| vector(elements, range, out))
        }
        (Target::Json | Target::Jsonb, values) if values.has_parts() => {
            let mut text = String::new();
            json::value(source, row, &mut text)?;
            let cell = match target {
                Target::Jsonb => Cell::Jsonb(&text),
                _ => Cell::Text(&text),
            };
            encode::binary(cell, out);
            Ok(())
        }
        _ => {
            encode::binary(source.cell(row, target)?, out);
            Ok(())
        }
    }
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    // A batch holds less than 2 GiB.
    out.extend_from_slice(&(count as u32).to_be_bytes());
}

/// The dimensions of lists in one another as those of an array, the innermost elements, and
/// which of them are the array's. An empty array has no dimensions.
type Shape<'s, 'a> = (Vec<usize>, &'s Source<'a>, Range<usize>);

fn shape<'s, 'a>(
    source: &'s Source<'a>,
    row: usize,
    target: &Target,
) -> Result<Shape<'s, 'a>, Misfit> {
    let mut dimensions = Vec::new();
    let mut source = source;
    let mut lists = row..row.saturating_add(1);
    while let Values::List(offsets, elements) = &source.values {
        let first = offsets.range(lists.start).unwrap_or_default();
        let last = offsets
            .range(lists.end.saturating_sub(1))
            .unwrap_or_default();
        let uneven = lists.clone().any(|list| {
            source.is_null(list)
                || offsets.range(list).map_or(0, |range| range.len()) != first.len()
        });
        if uneven {
            return Err(cell::misfit(
                "has inner lists that are null or of different lengths, which an array cannot have",
                "this list",
            ));
        }
        if first.is_empty() {
            return match dimensions.is_empty() {
                true => Ok((dimensions, elements, 0..0)),
                false => Err(cell::misfit(
                    "has empty inner lists, which an array cannot have",
                    "this list",
                )),
            };
        }
        dimensions.push(first.len());
        lists = first.start..last.end;
        source = elements;
        if target.is_list(elements.is_text()) {
            // What lies in it are the elements themselves.
            break;
        }
    }
    Ok((dimensions, source, lists))
}

fn array(
    source: &Source<'_>,
    row: usize,
    target: &Target,
    element_oid: u32,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let (dimensions, leaf, elements) = shape(source, row, target)?;
    put_count(dimensions.len(), out);
    let nulls = elements.clone().any(|element| leaf.is_null(element));
    put_count(usize::from(nulls), out);
    out.extend_from_slice(&element_oid.to_be_bytes());
    for length in dimensions {
        put_count(length, out);
        // Where it begins.
        put_count(1, out);
    }
    for element in elements {
        binary(leaf, element, target, out)?;
    }
    Ok(())
}

fn composite(
    fields: &[(&str, Source<'_>)],
    row: usize,
    parts: &[Part],
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    put_count(parts.len(), out);
    for part in parts {
        out.extend_from_slice(&part.type_oid.to_be_bytes());
        match fields.iter().find(|(name, _)| *name == part.name) {
            Some((_, field)) => binary(field, row, &part.target, out)?,
            None => out.extend_from_slice(&BINARY_NULL),
        }
    }
    Ok(())
}

/// Makes sure that a map has each key once: of two, the server would drop one.
pub(super) fn check_keys(keys: &Source<'_>, range: Range<usize>) -> Result<(), Misfit> {
    let mut seen = HashSet::new();
    for entry in range {
        let mut key = String::new();
        encode::plain(keys.cell(entry, &Target::Other)?, &mut key);
        if let Some(key) = seen.replace(key) {
            return Err(cell::misfit("is a key that the map has twice", key));
        }
    }
    Ok(())
}

/// Whether a float is one of half precision as well.
fn is_half(number: f32) -> bool {
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    number.is_nan() || Half::from_f32(number).to_f32() == number
}

/// The numbers of a vector, none of which may be null.
fn numbers(elements: &Source<'_>, range: Range<usize>) -> Result<Vec<f32>, Misfit> {
    range
        .map(|element| match elements.cell(element, &Target::Float4)? {
            Cell::Float4(value) => Ok(value),
            _ => Err(cell::misfit(
                "has a null, which a vector cannot have",
                "this list",
            )),
        })
        .collect()
}

fn vector(elements: &Source<'_>, range: Range<usize>, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let numbers = numbers(elements, range)?;
    let length = u16::try_from(numbers.len())
        .map_err(|_| cell::misfit("has more elements than a vector", "this list"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
    Ok(())
}

/// Appends the value in `row`, which is not null, as the type's input function reads it, with
/// nothing escaped.
///
/// # Errors
/// When it does not fit.
pub fn text(
    source: &Source<'_>,
    row: usize,
    target: &Target,
    out: &mut String,
) -> Result<(), Misfit> {
    match (target, &source.values) {
        (
            Target::Array {
                element, delimiter, ..
            },
            Values::List(..),
        ) => {
            let (dimensions, leaf, elements) = shape(source, row, element)?;
            let mut elements = elements;
            braces(
                &dimensions,
                *delimiter,
                out,
                &mut |out| match elements.next() {
                    Some(at) if !leaf.is_null(at) => quoted(leaf, at, element, out),
                    _ => {
                        out.push_str("NULL");
                        Ok(())
                    }
                },
            )
        }
        (Target::Composite(parts), Values::Struct(fields)) => {
            out.push('(');
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                let field = fields.iter().find(|(name, _)| *name == part.name);
                if let Some((_, field)) = field
                    && !field.is_null(row)
                {
                    quoted(field, row, &part.target, out)?;
                }
            }
            out.push(')');
            Ok(())
        }
        (Target::Hstore, Values::Map(offsets, entries)) => {
            let (keys, values) = entries.as_ref();
            check_keys(keys, offsets.range(row).unwrap_or_default())?;
            for (at, entry) in offsets.range(row).unwrap_or_default().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quoted(keys, entry, &Target::Text, out)?;
                out.push_str("=>");
                match values.is_null(entry) {
                    true => out.push_str("NULL"),
                    false => quoted(values, entry, &Target::Text, out)?,
                }
            }
            Ok(())
        }
        (Target::Vector | Target::HalfVector, Values::List(offsets, elements)) => {
            let numbers = numbers(elements, offsets.range(row).unwrap_or_default())?;
            if let (Target::HalfVector, Some(number)) =
                (target, numbers.iter().find(|number| !is_half(**number)))
            {
                return Err(cell::misfit(
                    "is more precise than halfvec can carry",
                    number,
                ));
            }
            let numbers: Vec<_> = numbers.iter().map(|number| format!("{number:?}")).collect();
            out.push('[');
            out.push_str(&numbers.join(","));
            out.push(']');
            Ok(())
        }
        (Target::Json | Target::Jsonb, values) if values.has_parts() => {
            json::value(source, row, out)
        }
        (Target::Geometry, Values::Bytes(_)) => {
            if let Cell::Bytes(bytes) = source.cell(row, target)? {
                encode::hexadecimal(bytes, out);
            }
            Ok(())
        }
        _ => {
            encode::plain(source.cell(row, target)?, out);
            Ok(())
        }
    }
}

/// A part of a value, in quotes.
fn quoted(
    source: &Source<'_>,
    row: usize,
    target: &Target,
    out: &mut String,
) -> Result<(), Misfit> {
    let mut part = String::new();
    text(source, row, target, &mut part)?;
    quote(&part, out);
    Ok(())
}

/// Braces in one another, as many in each as `lengths` says, with elements in the innermost.
fn braces(
    lengths: &[usize],
    delimiter: char,
    out: &mut String,
    element: &mut impl FnMut(&mut String) -> Result<(), Misfit>,
) -> Result<(), Misfit> {
    out.push('{');
    if let Some((length, inner)) = lengths.split_first() {
        for at in 0..*length {
            if at > 0 {
                out.push(delimiter);
            }
            match inner {
                [] => element(out)?,
                inner => braces(inner, delimiter, out, element)?,
            }
        }
    }
    out.push('}');
    Ok(())
}
