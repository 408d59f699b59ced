//! The allocator that the host calls to hand something over, made to misbehave.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What it does from the next call on.
static MANNER: AtomicU8 = AtomicU8::new(0);

const MANNERS: [&str; 6] = ["", "astray", "in-use", "endless", "inward", "trap"];

/// Whether there is such a manner; it begins at once.
pub fn misbehave(manner: &str) -> bool {
    let known = MANNERS.iter().position(|known| *known == manner);
    let manner = known.and_then(|at| u8::try_from(at).ok());
    MANNER.store(manner.unwrap_or_default(), Relaxed);
    manner.is_some()
}

/// In place of that of `wit-bindgen`, which gives way to another of this name.
#[cfg(target_arch = "wasm32")]
#[unsafe(export_name = "cabi_realloc")]
unsafe extern "C" fn reallocate(
    old: *mut u8,
    old_size: usize,
    alignment: usize,
    size: usize,
) -> *mut u8 {
    use std::alloc::{Layout, alloc, realloc};

    use dagflux_guest::bindings::wasi::clocks::monotonic_clock;

    match MANNER.load(Relaxed) {
        1 => return std::ptr::without_provenance_mut(0xffff_fff0),
        2 => return std::ptr::without_provenance_mut(3),
        3 => drop(crate::attacks::endless()),
        // Out of a call that the host is not done with.
        4 => drop(monotonic_clock::now()),
        5 => std::arch::wasm32::unreachable(),
        _ => {}
    }
    let Ok(layout) = Layout::from_size_align(old_size, alignment) else {
        std::arch::wasm32::unreachable()
    };
    let new = match (old_size, size) {
        (0, 0) => return std::ptr::without_provenance_mut(alignment),
        // SAFETY: the size is not 0.
        (0, _) => unsafe { alloc(Layout::from_size_align_unchecked(size, alignment)) },
        // SAFETY: it was allocated here, with this layout.
        _ => unsafe { realloc(old, layout, size) },
    };
    if new.is_null() {
        std::arch::wasm32::unreachable()
    }
    new
}
