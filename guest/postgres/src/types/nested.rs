//! Values with parts: arrays, composites, maps, vectors.
//!
//! Each part is decoded as a column's value would be, into the builder of its own. A part that
//! does not fit becomes null by itself, if that was chosen; the rest of the value stays.
//!
//! Source: PostgreSQL, `array_send` (`arrayfuncs.c`), `record_send` (`rowtypes.c`),
//! `hstore_send` (`contrib/hstore/hstore_io.c`); pgvector, `vector_send`, `halfvec_send`.
#![deny(clippy::arithmetic_side_effects)]

use dagflux_guest::ColumnBuilder;

use super::decode::{self, Account, Misfit, Unfit};
use super::literal;
use super::mapping::Kind;

/// The most dimensions that an array has. Source: PostgreSQL, `src/include/utils/array.h`.
const MOST_DIMENSIONS: usize = 6;

/// The most bytes that the parts of a column, or the columns of a row, may come to. Text can be much longer than what
/// arrives: `1e131071` is ten bytes.
pub const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of a value that are still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn u16(&mut self) -> Result<u16, Misfit> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Misfit::Malformed)?;
        self.0 = tail;
        Ok(u16::from_be_bytes(*head))
    }

    fn i32(&mut self) -> Result<i32, Misfit> {
        let (head, tail) = self.0.split_first_chunk().ok_or(Misfit::Malformed)?;
        self.0 = tail;
        Ok(i32::from_be_bytes(*head))
    }

    fn count(&mut self) -> Result<usize, Misfit> {
        usize::try_from(self.i32()?).map_err(|_| Misfit::Malformed)
    }

    /// A part: its length and its bytes; none for null.
    fn part(&mut self) -> Result<Option<&'a [u8]>, Misfit> {
        let length = match self.i32()? {
            -1 => return Ok(None),
            length => usize::try_from(length).map_err(|_| Misfit::Malformed)?,
        };
        let (part, tail) = self.0.split_at_checked(length).ok_or(Misfit::Malformed)?;
        self.0 = tail;
        Ok(Some(part))
    }

    fn end(self) -> Result<(), Misfit> {
        match self.0 {
            [] => Ok(()),
            _ => Err(Misfit::Malformed),
        }
    }
}

/// An array's head, and its elements to be read.
pub struct Array<'a> {
    /// The length of each dimension and where it begins; none for an empty array.
    pub dimensions: Vec<(usize, i32)>,
    elements: Reader<'a>,
}

impl<'a> Array<'a> {
    /// Reads an array's head.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Misfit> {
        let mut reader = Reader(bytes);
        let count = reader.count()?;
        if count > MOST_DIMENSIONS {
            return Err(Misfit::Malformed);
        }
        let _has_nulls = reader.i32()?;
        let _element_type = reader.i32()?;
        let mut dimensions = Vec::new();
        for _ in 0..count {
            let (length, from) = (reader.count()?, reader.i32()?);
            // An empty array has no dimensions; one of no length would leave the others unbounded.
            if length == 0 {
                return Err(Misfit::Malformed);
            }
            dimensions.push((length, from));
        }
        // Each element takes four bytes at least: what is said is checked before it is believed.
        let elements = dimensions
            .iter()
            .try_fold(usize::from(count > 0), |product: usize, (length, _)| {
                product.checked_mul(*length)
            })
            .filter(|elements| *elements <= reader.0.len() / 4);
        match elements {
            Some(_) => Ok(Self {
                dimensions,
                elements: reader,
            }),
            None => Err(Misfit::Malformed),
        }
    }

    /// The next element; none for null.
    ///
    /// # Errors
    /// When the bytes end before.
    pub fn element(&mut self) -> Result<Option<&'a [u8]>, Misfit> {
        self.elements.part()
    }
}

/// A composite's attributes, in order.
///
/// # Errors
/// When the bytes are no composite.
pub fn attributes(bytes: &[u8]) -> Result<Vec<Option<&[u8]>>, Misfit> {
    let mut reader = Reader(bytes);
    let mut parts = Vec::new();
    for _ in 0..reader.count()? {
        let _type = reader.i32()?;
        parts.push(reader.part()?);
    }
    reader.end()?;
    Ok(parts)
}

/// Appends a value of a column whose values have parts, or of such a part.
///
/// # Errors
/// A value or a part that does not fit, unless it may become null.
pub fn push(
    kind: &Kind,
    builder: &mut ColumnBuilder,
    value: &[u8],
    account: &mut Account<'_>,
) -> Result<(), Unfit> {
    let pushed = match kind {
        Kind::List { element, levels } => list(element, *levels, builder, value, account)?,
        Kind::Struct(kinds) => structure(kinds, builder, value, account)?,
        Kind::Hstore => hstore(builder, value, account.checked),
        Kind::Vector { length, half } => vector(*length, *half, builder, value),
        Kind::TextList { delimiter, levels } => text_list(*delimiter, *levels, builder, value),
        scalar => decode::push(scalar, builder, value, account.checked),
    };
    match pushed {
        Ok(()) => Ok(()),
        Err(misfit) => account.settle(kind, builder, misfit, value),
    }
}

/// A part, which may be null.
fn part(
    kind: &Kind,
    builder: &mut ColumnBuilder,
    value: Option<&[u8]>,
    account: &mut Account<'_>,
) -> Result<(), Unfit> {
    match value {
        Some(value) => push(kind, builder, value, account)?,
        None => builder.push_null(),
    }
    within("a value", builder.buffer_bytes())
}

/// Makes sure that what bytes have become is not too large to be handed over.
///
/// # Errors
/// When it is.
#[inline]
pub fn within(what: &str, bytes: usize) -> Result<(), Unfit> {
    match bytes {
        0..=MOST_BYTES => Ok(()),
        _ => Err(Unfit {
            misfit: Misfit::TooLarge,
            value: format!("{what} of more than {} MiB", MOST_BYTES / (1024 * 1024)),
        }),
    }
}

/// What is wrong with the value as a whole, or else with one of its parts.
type Parts = Result<Result<(), Misfit>, Unfit>;

fn malformed() -> Unfit {
    Unfit {
        misfit: Misfit::Malformed,
        value: String::new(),
    }
}

/// Makes sure that an array has the dimensions that the column's lists have.
fn check_dimensions(dimensions: usize, from_one: bool, levels: usize) -> Result<(), Misfit> {
    match dimensions {
        // An empty array has none.
        0 => Ok(()),
        _ if dimensions != levels => Err(Misfit::Dimensions(dimensions)),
        _ if !from_one => Err(Misfit::Bounds),
        _ => Ok(()),
    }
}

fn list(
    element: &Kind,
    levels: usize,
    builder: &mut ColumnBuilder,
    value: &[u8],
    account: &mut Account<'_>,
) -> Parts {
    let mut array = match Array::read(value) {
        Ok(array) => array,
        Err(misfit) => return Ok(Err(misfit)),
    };
    let from_one = array.dimensions.iter().all(|(_, from)| *from == 1);
    if let Err(misfit) = check_dimensions(array.dimensions.len(), from_one, levels) {
        return Ok(Err(misfit));
    }
    let lengths: Vec<_> = array.dimensions.iter().map(|(length, _)| *length).collect();
    fill(builder, &lengths, &mut |leaf| {
        let value = array.element().map_err(|_| malformed())?;
        part(element, leaf, value, account)
    })?;
    Ok(array.elements.end())
}

/// Appends one value of lists in one another, of the lengths given; `push` appends each
/// element.
fn fill(
    builder: &mut ColumnBuilder,
    lengths: &[usize],
    push: &mut impl FnMut(&mut ColumnBuilder) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    if let Some((length, inner)) = lengths.split_first() {
        let child = builder.child(0).ok_or_else(malformed)?;
        for _ in 0..*length {
            match inner {
                [] => push(child)?,
                inner => fill(child, inner, push)?,
            }
        }
    }
    builder.push_nested();
    Ok(())
}

fn structure(
    kinds: &[Kind],
    builder: &mut ColumnBuilder,
    value: &[u8],
    account: &mut Account<'_>,
) -> Parts {
    let parts = match attributes(value) {
        Ok(parts) if parts.len() == kinds.len() => parts,
        _ => return Ok(Err(Misfit::Malformed)),
    };
    for (at, (kind, value)) in kinds.iter().zip(parts).enumerate() {
        let child = builder.child(at).ok_or_else(malformed)?;
        part(kind, child, value, account)?;
    }
    builder.push_nested();
    Ok(Ok(()))
}

/// A key, and its value if that is not null.
pub type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

/// The keys and values of an hstore.
///
/// # Errors
/// When the bytes are no hstore.
pub fn pairs(bytes: &[u8]) -> Result<Vec<Pair<'_>>, Misfit> {
    let mut reader = Reader(bytes);
    let mut pairs = Vec::new();
    for _ in 0..reader.count()? {
        let key = reader.part()?.ok_or(Misfit::Malformed)?;
        pairs.push((key, reader.part()?));
    }
    reader.end()?;
    Ok(pairs)
}

fn hstore(builder: &mut ColumnBuilder, value: &[u8], checked: bool) -> Result<(), Misfit> {
    let pairs = pairs(value)?;
    let is_text = |bytes: &[u8]| checked || std::str::from_utf8(bytes).is_ok();
    if !pairs
        .iter()
        .all(|(key, value)| is_text(key) && value.is_none_or(is_text))
    {
        return Err(Misfit::NotText);
    }
    let entries = builder.child(0).ok_or(Misfit::Malformed)?;
    for (key, value) in pairs {
        entries.child(0).ok_or(Misfit::Malformed)?.push_bytes(key);
        let values = entries.child(1).ok_or(Misfit::Malformed)?;
        match value {
            Some(value) => values.push_bytes(value),
            None => values.push_null(),
        }
        entries.push_nested();
    }
    builder.push_nested();
    Ok(())
}

/// The numbers of a vector.
///
/// # Errors
/// When the bytes are no vector.
pub fn floats(bytes: &[u8], half: bool) -> Result<Vec<f32>, Misfit> {
    let mut reader = Reader(bytes);
    let length = usize::from(reader.u16()?);
    let _unused = reader.u16()?;
    let floats: Vec<_> = match half {
        false => {
            let (floats, odd) = reader.0.as_chunks::<4>();
            if !odd.is_empty() {
                return Err(Misfit::Malformed);
            }
            floats.iter().map(|b| f32::from_be_bytes(*b)).collect()
        }
        true => {
            let (floats, odd) = reader.0.as_chunks::<2>();
            if !odd.is_empty() {
                return Err(Misfit::Malformed);
            }
            floats
                .iter()
                .map(|b| widen(u16::from_be_bytes(*b)))
                .collect()
        }
    };
    match floats.len() == length {
        true => Ok(floats),
        false => Err(Misfit::Malformed),
    }
}

fn vector(
    length: Option<usize>,
    half: bool,
    builder: &mut ColumnBuilder,
    value: &[u8],
) -> Result<(), Misfit> {
    let floats = floats(value, half)?;
    if length.is_some_and(|length| length != floats.len()) {
        return Err(Misfit::Malformed);
    }
    let child = builder.child(0).ok_or(Misfit::Malformed)?;
    for float in floats {
        child.push_fixed(float.to_le_bytes());
    }
    builder.push_nested();
    Ok(())
}

/// A half-precision float as one of single precision, which holds all of them.
fn widen(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction * 2_f32.powi(-24),
        0x1f if fraction == 0.0 => f32::INFINITY,
        0x1f => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent.wrapping_sub(25)),
    };
    sign * magnitude
}

fn text_list(
    delimiter: char,
    levels: usize,
    builder: &mut ColumnBuilder,
    value: &[u8],
) -> Result<(), Misfit> {
    let text = match std::str::from_utf8(value) {
        Ok(text) => text,
        Err(_) => return Err(Misfit::NotText),
    };
    let array = literal::array(text, delimiter).ok_or(Misfit::Malformed)?;
    check_dimensions(array.dimensions.len(), array.from_one, levels)?;
    let mut elements = array.elements.iter();
    fill(builder, &array.dimensions, &mut |leaf| {
        match elements.next().ok_or_else(malformed)? {
            Some(element) => leaf.push_bytes(element.as_bytes()),
            None => leaf.push_null(),
        }
        Ok(())
    })
    .map_err(|unfit| unfit.misfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_floats() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(widen(bits), value, "{bits:x}");
        }
        assert!(widen(0x7e00).is_nan());
        assert!(widen(0x8000).is_sign_negative());
    }

    #[test]
    fn vectors() {
        let bytes = [0, 2, 0, 0, 0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0];
        assert_eq!(floats(&bytes, false), Ok(vec![1.0, -2.0]));
        assert_eq!(floats(&bytes[..11], false), Err(Misfit::Malformed));
        assert_eq!(floats(&[0, 1, 0, 0, 0x3c, 0], true), Ok(vec![1.0]));
        assert_eq!(floats(&[0, 2, 0, 0, 0x3c, 0], true), Err(Misfit::Malformed));
    }

    #[test]
    fn absurd_arrays_are_not_believed() {
        let head = |dimensions: i32, length: i32| {
            let mut bytes = Vec::new();
            for number in [dimensions, 0, 23, length, 1] {
                bytes.extend_from_slice(&number.to_be_bytes());
            }
            bytes
        };
        for bytes in [
            head(1, i32::MAX),
            head(1, -1),
            head(i32::MAX, 1),
            head(1, 0),
            head(7, 1),
            head(-1, 0),
        ] {
            assert!(Array::read(&bytes).is_err());
        }
        assert!(Array::read(&[]).is_err());
        // A length of none would leave the other unbounded.
        let mut none = Vec::new();
        for number in [2, 0, 23, 1_000_000_000, 1, 0, 1_i32] {
            none.extend_from_slice(&number.to_be_bytes());
        }
        assert!(Array::read(&none).is_err());
        // More dimensions than there are.
        let mut deep = Vec::new();
        for number in [7, 0, 23_i32] {
            deep.extend_from_slice(&number.to_be_bytes());
        }
        for _ in 0..14 {
            deep.extend_from_slice(&1_i32.to_be_bytes());
        }
        deep.extend_from_slice(&(-1_i32).to_be_bytes());
        assert!(Array::read(&deep).is_err());
    }
}
