//! `numeric`: three ways to read a number agree, and what is written reads as the same.

use arrow_buffer::i256;
use dagflux_postgres::types::encode::decimal_text;
use dagflux_postgres::types::numeric;

use super::Input;

/// Reads the rest of the input as one number.
pub fn run(input: &mut Input<'_>) {
    let precision = 1 + input.byte() % 76;
    let scale = (i16::from(input.byte()) % 115 - 38) as i8;
    let bytes = input.rest();
    let mut text = Vec::new();
    let told = numeric::to_text(bytes, &mut text);
    let wide = numeric::to_i256(bytes, precision, scale);
    if precision <= 38 {
        let narrow = numeric::to_i128(bytes, precision, scale);
        // Zeros in a row, which no server sends, may have too many places for the narrow one.
        if wide != Ok(i256::ZERO) {
            let widened = narrow.map(i256::from_i128).ok();
            assert_eq!(widened, wide.ok(), "precision {precision}, scale {scale}");
        }
        if let Ok(number) = narrow {
            let mut again = Vec::new();
            numeric::encode_i128(number, scale, &mut again);
            assert_eq!(numeric::to_i128(&again, 38, scale), Ok(number));
        }
    }
    let Ok(number) = wide else { return };
    let mut again = Vec::new();
    numeric::encode_i256(number, scale, &mut again);
    assert_eq!(numeric::to_i256(&again, 76, scale), Ok(number));
    // The server shows all places that there are.
    if told.is_ok() && shows_all(bytes) {
        let text = String::from_utf8(text).expect("digits");
        let own = decimal_text(&number.to_string(), scale);
        assert_eq!(plain(&text), plain(&own), "scale {scale}");
    }
}

/// Whether as many places are to be shown as the digits have.
fn shows_all(bytes: &[u8]) -> bool {
    let Some((&[n1, n0, w1, w0, _, _, d1, d0], _)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    let digits = i32::from(u16::from_be_bytes([n1, n0]));
    let weight = i32::from(i16::from_be_bytes([w1, w0]));
    let shown = i32::from(u16::from_be_bytes([d1, d0]) & 0x3fff);
    (digits - weight - 1) * 4 <= shown
}

/// Without zeros that change nothing, and without the sign of zero.
fn plain(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    };
    match digits.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => format!("{sign}{digits}"),
    }
}
