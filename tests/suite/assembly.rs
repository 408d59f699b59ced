//! Components that no compiler would make: an honest one with something added.

use anyhow::{Context, Result};

const CORE_MODULE: u8 = 1;
const CORE_INSTANCE: u8 = 2;
/// Magic, version and layer.
const HEADER: usize = 8;

/// `component` with a core module added, written as text, and instantiated `times` over
/// whenever the component is.
pub fn with_module(component: &[u8], module: &str, times: u8) -> Result<Vec<u8>> {
    let index = count(component, CORE_MODULE)?;
    let mut whole = component.to_vec();
    section(&mut whole, CORE_MODULE, &wat::parse_str(module)?);
    let mut instances = vec![times];
    for _ in 0..times {
        // Instantiate module `index` without arguments.
        instances.extend_from_slice(&[0, index, 0]);
    }
    section(&mut whole, CORE_INSTANCE, &instances);
    Ok(whole)
}

/// `component`, made `size` bytes long by a custom section.
pub fn padded(component: &[u8], size: usize) -> Result<Vec<u8>> {
    // The section's own id and length, and the length of its name: of one byte.
    const OVERHEAD: usize = 1 + 5;
    let content = size
        .checked_sub(component.len() + OVERHEAD)
        .context("the component is larger than that")?;
    let mut whole = component.to_vec();
    whole.push(0);
    whole.extend_from_slice(&leb128_in_5_bytes(content));
    let mut body = vec![0; content];
    if let [length, name, ..] = body.as_mut_slice() {
        (*length, *name) = (1, b'p');
    }
    whole.extend_from_slice(&body);
    Ok(whole)
}

fn section(whole: &mut Vec<u8>, id: u8, content: &[u8]) {
    whole.push(id);
    whole.extend_from_slice(&leb128_in_5_bytes(content.len()));
    whole.extend_from_slice(content);
}

/// Padded, which the format permits.
fn leb128_in_5_bytes(value: usize) -> [u8; 5] {
    let part = |at: usize| (value >> (7 * at)) as u8 & 0x7f;
    [
        part(0) | 0x80,
        part(1) | 0x80,
        part(2) | 0x80,
        part(3) | 0x80,
        part(4),
    ]
}

/// How many sections of the kind `id` there are.
fn count(component: &[u8], id: u8) -> Result<u8> {
    let mut rest = component.get(HEADER..).context("no component")?;
    let mut found = 0;
    while let Some((&kind, after)) = rest.split_first() {
        let (mut length, mut used) = (0, 0);
        for byte in after {
            length |= usize::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        found += u8::from(kind == id);
        rest = after.get(used + length..).context("cut short")?;
    }
    Ok(found)
}
