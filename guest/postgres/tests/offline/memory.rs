//! Few bytes of the server take little memory, whatever they say.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dagflux_postgres::types::mapping::Kind;
use dagflux_postgres::types::show;

/// The system's memory, with an account of what each thread holds.
struct Counted;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    MOST.set(MOST.get().max(held));
}

// SAFETY: every call goes to `System` as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static MEMORY: Counted = Counted;

/// The most bytes that `run` holds at once.
fn most(run: impl FnOnce()) -> isize {
    let before = HELD.get();
    MOST.set(before);
    run();
    MOST.get() - before
}

#[test]
fn showing_a_value_takes_little_however_long_it_is() {
    // Bytes that are no text.
    let bytes = vec![0xff; 8 << 20];
    let taken = most(|| {
        let shown = show::value(&Kind::Text, &bytes);
        assert_eq!(shown.chars().count(), 101, "{shown}");
    });
    assert!(taken < 1 << 16, "{taken} bytes");
    // A record of numbers with 131,072 digits each, of ten bytes.
    let number = b"\x00\x01\x7f\xff\x00\x00\x00\x00\x03\xe8";
    let mut record = 1000_i32.to_be_bytes().to_vec();
    for _ in 0..1000 {
        record.extend_from_slice(b"\0\0\x06\xa4\0\0\0\x0a");
        record.extend_from_slice(number);
    }
    let taken = most(|| {
        let shown = show::value(&Kind::Struct(vec![Kind::Numeric; 1000]), &record);
        assert!(
            shown.starts_with("(1000") && shown.ends_with('…'),
            "{shown}"
        );
    });
    assert!(taken < 4 << 20, "{taken} bytes");
}
