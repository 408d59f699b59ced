//! `numeric` on the wire: digits to base 10,000.
//!
//! The header is four 16-bit numbers: how many digits follow, the weight of the first (its
//! power of 10,000), the sign, and the scale for display. The digits follow, 16 bits each.
//! Source: PostgreSQL, `src/backend/utils/adt/numeric.c`, `numeric_send`.
#![deny(clippy::arithmetic_side_effects)]

use arrow_buffer::i256;
use bytes::{BufMut, BytesMut};

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

/// Appends a number in this format: `unscaled` times ten to the power of `-scale`.
pub fn encode_i128(unscaled: i128, scale: i8, out: &mut BytesMut) {
    let mut digits = [0; 11];
    let mut count = 0;
    let magnitude = unscaled.unsigned_abs();
    // Where the unit of `unscaled` lies within a digit to base 10,000.
    let exponent = i32::from(scale).wrapping_neg();
    let (weight, within) = (exponent.div_euclid(4), exponent.rem_euclid(4));
    let (mut rest, lowest) = match within {
        0 => (magnitude / 10_000, magnitude % 10_000),
        1 => (magnitude / 1000, (magnitude % 1000).wrapping_mul(10)),
        2 => (magnitude / 100, (magnitude % 100).wrapping_mul(100)),
        _ => (magnitude / 10, (magnitude % 10).wrapping_mul(1000)),
    };
    let mut push = |digit: u16| {
        if let Some(slot) = digits.get_mut(count) {
            *slot = digit;
            count = count.saturating_add(1);
        }
    };
    push(lowest as u16);
    // 128-bit division is slow: it is left behind as soon as the rest fits into 64 bits.
    while u64::try_from(rest).is_err() {
        push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    write_digits(
        unscaled < 0,
        scale,
        weight,
        digits.get(..count).unwrap_or_default(),
        out,
    );
}

/// Like [`encode_i128`], for more than 38 digits.
pub fn encode_i256(unscaled: i256, scale: i8, out: &mut BytesMut) {
    let exponent = i32::from(scale).wrapping_neg();
    let (weight, within) = (exponent.div_euclid(4), exponent.rem_euclid(4));
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
fn write_digits(negative: bool, scale: i8, weight: i32, digits: &[u16], out: &mut BytesMut) {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let top = digits.iter().rev().skip_while(|digit| **digit == 0).count();
    let digits = digits.get(zeros..top).unwrap_or_default();
    // At most 20 digits at a weight of at most 32: nothing here can overflow.
    let first = weight.wrapping_add(top as i32).wrapping_sub(1);
    out.put_i16(digits.len() as i16);
    out.put_i16(if digits.is_empty() { 0 } else { first as i16 });
    out.put_u16(if negative && !digits.is_empty() {
        NEGATIVE
    } else {
        0
    });
    out.put_u16(u16::from(scale.max(0).unsigned_abs()));
    for digit in digits.iter().rev() {
        out.put_u16(*digit);
    }
}

/// Whether a number keeps its value when it is cut off `places` decimal places.
pub fn can_lose_places(unscaled: i256, places: u32) -> bool {
    match i256::from_i128(10).checked_pow(places) {
        Some(power) => unscaled.wrapping_rem(power) == i256::ZERO,
        None => unscaled == i256::ZERO,
    }
}
