//! `numeric` on the wire: digits to base 10,000.
//!
//! The header is four 16-bit numbers: how many digits follow, the weight of the first (its
//! power of 10,000), the sign, and the scale for display. The digits follow, 16 bits each.
//! Source: PostgreSQL, `src/backend/utils/adt/numeric.c`, `numeric_send`.
#![deny(clippy::arithmetic_side_effects)]

use std::fmt::Write;

use arrow_buffer::i256;

/// Why a number cannot be a decimal of the column's precision and scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It is not a number.
    NotANumber,
    /// It is infinite.
    Infinite {
        /// Whether it is the negative infinity.
        negative: bool,
    },
    /// It has too many digits.
    OutOfRange,
    /// The bytes are not a number in this format.
    Malformed,
}

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const POSITIVE_INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;
/// The powers of ten that a 64-bit number holds.
const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut at = 1;
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The parts of a number, taken apart.
struct Parts<'a> {
    negative: bool,
    /// The last digit, apart because only part of it may lie before the scale's end.
    last: u16,
    /// The digits before the last one.
    leading: &'a [[u8; 2]],
    /// How many decimal places the whole has to be moved left to be an integer of the
    /// column's scale. Never below -3: then the last digit would be cut off entirely.
    shift: u32,
    /// The power of ten that the last digit is divided by, as an exponent from 0 to 3.
    cut: u32,
}

#[inline]
fn take_apart(bytes: &[u8], scale: i8) -> Result<Option<Parts<'_>>, Misfit> {
    let Some((&[n1, n0, w1, w0, s1, s0, _, _], rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Misfit::Malformed);
    };
    let (digits, odd) = rest.as_chunks::<2>();
    if !odd.is_empty() || digits.len() != usize::from(u16::from_be_bytes([n1, n0])) {
        return Err(Misfit::Malformed);
    }
    let negative = match u16::from_be_bytes([s1, s0]) {
        0 => false,
        NEGATIVE => true,
        NAN => return Err(Misfit::NotANumber),
        POSITIVE_INFINITY => return Err(Misfit::Infinite { negative: false }),
        NEGATIVE_INFINITY => return Err(Misfit::Infinite { negative: true }),
        _ => return Err(Misfit::Malformed),
    };
    let Some((last, leading)) = digits.split_last() else {
        return Ok(None);
    };
    let weight = i32::from(i16::from_be_bytes([w1, w0]));
    // At most 65,535 digits: nothing here comes near the limits of 32 bits.
    let places = i32::try_from(leading.len())
        .unwrap_or(i32::MAX)
        .wrapping_sub(weight)
        .wrapping_mul(4);
    let shift = i32::from(scale).wrapping_sub(places);
    let (shift, cut) = match shift {
        0.. => (shift, 0),
        -3..=-1 => (0, shift.wrapping_neg()),
        _ => return Err(Misfit::OutOfRange),
    };
    Ok(Some(Parts {
        negative,
        last: u16::from_be_bytes(*last),
        leading,
        shift: shift.unsigned_abs(),
        cut: cut.unsigned_abs(),
    }))
}

#[inline(always)]
fn digit(bytes: [u8; 2]) -> Result<u16, Misfit> {
    match u16::from_be_bytes(bytes) {
        digit @ 0..10_000 => Ok(digit),
        _ => Err(Misfit::Malformed),
    }
}

/// The part of the last digit that lies before the end of the scale, and the power of ten
/// that makes room for it.
#[inline(always)]
fn cut_last(parts: &Parts<'_>) -> Result<(u16, u16), Misfit> {
    let last = digit(parts.last.to_be_bytes())?;
    let (kept, rest, room) = match parts.cut {
        0 => (last, 0, 10_000),
        1 => (last / 10, last % 10, 1000),
        2 => (last / 100, last % 100, 100),
        _ => (last / 1000, last % 1000, 10),
    };
    if rest != 0 {
        return Err(Misfit::OutOfRange);
    }
    Ok((kept, room))
}

/// The number as an integer, `scale` decimal places to the left, of at most `precision` digits.
///
/// # Errors
/// When it is not such a number.
#[inline]
pub fn to_i128(bytes: &[u8], precision: u8, scale: i8) -> Result<i128, Misfit> {
    let Some(parts) = take_apart(bytes, scale)? else {
        return Ok(0);
    };
    // 19 decimal places fit into 64 bits; the last digit is four of them.
    if (parts.leading.len() as u32)
        .saturating_mul(4)
        .saturating_add(parts.shift)
        <= 15
    {
        let (kept, room) = cut_last(&parts)?;
        let mut value: u64 = 0;
        for bytes in parts.leading {
            value = value
                .wrapping_mul(10_000)
                .wrapping_add(u64::from(digit(*bytes)?));
        }
        value = value
            .wrapping_mul(u64::from(room))
            .wrapping_add(u64::from(kept));
        value = value.wrapping_mul(power(parts.shift));
        if precision < 19 && value >= power(u32::from(precision)) {
            return Err(Misfit::OutOfRange);
        }
        let value = i128::from(value);
        return Ok(if parts.negative {
            value.wrapping_neg()
        } else {
            value
        });
    }
    slow_i128(&parts, precision)
}

#[inline(always)]
fn power(exponent: u32) -> u64 {
    POWERS.get(exponent as usize).copied().unwrap_or(u64::MAX)
}

#[cold]
fn slow_i128(parts: &Parts<'_>, precision: u8) -> Result<i128, Misfit> {
    let (kept, room) = cut_last(parts)?;
    let mut value: u128 = 0;
    for bytes in parts.leading {
        let digit = u128::from(digit(*bytes)?);
        value = value
            .checked_mul(10_000)
            .and_then(|value| value.checked_add(digit))
            .ok_or(Misfit::OutOfRange)?;
    }
    let value = value
        .checked_mul(u128::from(room))
        .and_then(|value| value.checked_add(u128::from(kept)))
        .and_then(|value| value.checked_mul(10_u128.checked_pow(parts.shift)?))
        .filter(|value| {
            10_u128
                .checked_pow(u32::from(precision))
                .is_none_or(|limit| *value < limit)
        })
        .and_then(|value| i128::try_from(value).ok())
        .ok_or(Misfit::OutOfRange)?;
    Ok(if parts.negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// Like [`to_i128`], for more than 38 digits.
///
/// # Errors
/// When it is not such a number.
pub fn to_i256(bytes: &[u8], precision: u8, scale: i8) -> Result<i256, Misfit> {
    let Some(parts) = take_apart(bytes, scale)? else {
        return Ok(i256::ZERO);
    };
    let (kept, room) = cut_last(&parts)?;
    let ten = i256::from_i128(10);
    let mut value = i256::ZERO;
    let base = i256::from_i128(10_000);
    for bytes in parts.leading {
        let digit = i256::from_i128(i128::from(digit(*bytes)?));
        value = value
            .checked_mul(base)
            .and_then(|value| value.checked_add(digit))
            .ok_or(Misfit::OutOfRange)?;
    }
    let value = value
        .checked_mul(i256::from_i128(i128::from(room)))
        .and_then(|value| value.checked_add(i256::from_i128(i128::from(kept))))
        .and_then(|value| value.checked_mul(ten.checked_pow(parts.shift)?))
        .filter(|value| {
            ten.checked_pow(u32::from(precision))
                .is_none_or(|limit| *value < limit)
        })
        .ok_or(Misfit::OutOfRange)?;
    Ok(if parts.negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// Appends a number as the server writes it.
///
/// # Errors
/// When the bytes are not a number in this format.
pub fn to_text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Misfit> {
    let Some((&[n1, n0, w1, w0, s1, s0, d1, d0], rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Misfit::Malformed);
    };
    let (digits, odd) = rest.as_chunks::<2>();
    if !odd.is_empty() || digits.len() != usize::from(u16::from_be_bytes([n1, n0])) {
        return Err(Misfit::Malformed);
    }
    let special: &[u8] = match u16::from_be_bytes([s1, s0]) {
        0 => b"",
        NEGATIVE => {
            out.push(b'-');
            b""
        }
        NAN => b"NaN",
        POSITIVE_INFINITY => b"Infinity",
        NEGATIVE_INFINITY => b"-Infinity",
        _ => return Err(Misfit::Malformed),
    };
    if !special.is_empty() {
        out.extend_from_slice(special);
        return Ok(());
    }
    // The digit that counts ten thousand to the power of `place`.
    let weight = i32::from(i16::from_be_bytes([w1, w0]));
    let at = |place: i32| -> Result<u16, Misfit> {
        let index = usize::try_from(weight.wrapping_sub(place)).ok();
        index
            .and_then(|index| digits.get(index))
            .map_or(Ok(0), |bytes| digit(*bytes))
    };
    let mut text = String::new();
    // Writing to memory cannot fail.
    let _ = write!(text, "{}", at(weight.max(0))?);
    for place in (0..weight.max(0)).rev() {
        let _ = write!(text, "{:04}", at(place)?);
    }
    let places = usize::from(u16::from_be_bytes([d1, d0]) & 0x3fff);
    if places > 0 {
        text.push('.');
        let end = text.len().saturating_add(places);
        let mut place = -1;
        while text.len() < end {
            let _ = write!(text, "{:04}", at(place)?);
            place = place.wrapping_sub(1);
        }
        text.truncate(end);
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Appends a number in this format: `unscaled` times ten to the power of `-scale`.
#[inline]
pub fn encode_i128(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    match u64::try_from(unscaled.unsigned_abs()) {
        Ok(magnitude) => encode_small(unscaled < 0, magnitude, scale, out),
        Err(_) => encode_large(unscaled, scale, out),
    }
}

/// Where the unit of an unscaled integer lies: the power of ten thousand, and the power of ten
/// within that digit.
#[inline(always)]
fn unit(scale: i8) -> (i32, i32) {
    let exponent = i32::from(scale).wrapping_neg();
    (exponent.div_euclid(4), exponent.rem_euclid(4))
}

/// Most numbers fit into 64 bits, which are quick to divide. Written as one piece: a header and
/// six digits at most.
#[inline]
fn encode_small(negative: bool, magnitude: u64, scale: i8, out: &mut Vec<u8>) {
    let (weight, within) = unit(scale);
    let (mut rest, lowest) = match within {
        0 => (magnitude / 10_000, magnitude % 10_000),
        1 => (magnitude / 1000, (magnitude % 1000).wrapping_mul(10)),
        2 => (magnitude / 100, (magnitude % 100).wrapping_mul(100)),
        _ => (magnitude / 10, (magnitude % 10).wrapping_mul(1000)),
    };
    // The least significant digit comes last, at the end of the piece.
    let mut piece = [0_u8; 20];
    let mut start = piece.len();
    let mut put = |digit: u64| {
        start = start.saturating_sub(2);
        if let Some(slot) = piece.get_mut(start..).and_then(|at| at.first_chunk_mut()) {
            *slot = (digit as u16).to_be_bytes();
        }
    };
    let mut weight = weight;
    let mut digit = lowest;
    // Digits that are zero at the end are not written.
    while digit == 0 && rest > 0 {
        digit = rest % 10_000;
        rest /= 10_000;
        weight = weight.wrapping_add(1);
    }
    let mut count: u16 = 0;
    if digit > 0 {
        put(digit);
        count = 1;
        while rest > 0 {
            put(rest % 10_000);
            rest /= 10_000;
            count = count.wrapping_add(1);
        }
    }
    let first = match count {
        0 => 0,
        _ => weight.wrapping_add(i32::from(count)).wrapping_sub(1),
    };
    let sign = if negative { NEGATIVE } else { 0 };
    let head = header(count, first, sign, scale);
    let digits = piece.get(start..).unwrap_or_default();
    out.extend_from_slice(&head);
    // A copy of a fixed size is quicker than one of the right size.
    let mut fixed = [0_u8; 12];
    for (to, from) in fixed.iter_mut().zip(digits) {
        *to = *from;
    }
    let end = out.len().saturating_add(digits.len());
    out.extend_from_slice(&fixed);
    out.truncate(end);
}

#[inline(always)]
fn header(count: u16, first: i32, sign: u16, scale: i8) -> [u8; 8] {
    let [c1, c0] = count.to_be_bytes();
    let [f1, f0] = (first as i16).to_be_bytes();
    let [s1, s0] = sign.to_be_bytes();
    let [d1, d0] = u16::from(scale.max(0).unsigned_abs()).to_be_bytes();
    [c1, c0, f1, f0, s1, s0, d1, d0]
}

#[cold]
fn encode_large(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    let (weight, within) = unit(scale);
    let magnitude = unscaled.unsigned_abs();
    let (mut rest, lowest) = match within {
        0 => (magnitude / 10_000, magnitude % 10_000),
        1 => (magnitude / 1000, (magnitude % 1000).wrapping_mul(10)),
        2 => (magnitude / 100, (magnitude % 100).wrapping_mul(100)),
        _ => (magnitude / 10, (magnitude % 10).wrapping_mul(1000)),
    };
    let mut digits = vec![lowest as u16];
    while rest > 0 {
        digits.push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    write_digits(unscaled < 0, scale, weight, &digits, out);
}

/// Like [`encode_i128`], for more than 38 digits.
pub fn encode_i256(unscaled: i256, scale: i8, out: &mut Vec<u8>) {
    let (weight, within) = unit(scale);
    let mut text = unscaled.to_string();
    let negative = text.starts_with('-');
    text.retain(|c| c != '-');
    text.extend(std::iter::repeat_n('0', within.unsigned_abs() as usize));
    let digits: Vec<u16> = text
        .as_bytes()
        .rchunks(4)
        .map(|chunk| {
            chunk.iter().fold(0_u16, |digit, c| {
                digit
                    .wrapping_mul(10)
                    .wrapping_add(u16::from(c.wrapping_sub(b'0')))
            })
        })
        .collect();
    write_digits(negative, scale, weight, &digits, out);
}

/// Writes the header and `digits`, the least significant of which comes first and counts
/// ten thousand to the power of `weight`.
fn write_digits(negative: bool, scale: i8, weight: i32, digits: &[u16], out: &mut Vec<u8>) {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let top = digits.iter().rev().skip_while(|digit| **digit == 0).count();
    let digits = digits.get(zeros..top).unwrap_or_default();
    // At most 20 digits at a weight of at most 32: nothing here can overflow.
    let first = match digits {
        [] => 0,
        _ => weight.wrapping_add(top as i32).wrapping_sub(1),
    };
    let sign = match negative && !digits.is_empty() {
        true => NEGATIVE,
        false => 0,
    };
    out.extend_from_slice(&header(digits.len() as u16, first, sign, scale));
    for digit in digits.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// Whether a number keeps its value when it is cut off `places` decimal places.
pub fn can_lose_places(unscaled: i256, places: u32) -> bool {
    match i256::from_i128(10).checked_pow(places) {
        Some(power) => unscaled.wrapping_rem(power) == i256::ZERO,
        None => unscaled == i256::ZERO,
    }
}
