//! A look into the memory of guests.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// The most that one memory can grow to here.
const CAPACITY: usize = 128 * 1024 * 1024;

/// Every linear memory that a host has made. None is given back before this is dropped, so
/// that what an instance leaves behind is searched, too.
#[derive(Default)]
pub struct Memories(Mutex<Vec<Arc<Memory>>>);

impl Memories {
    /// How often `needle` occurs, over all memories. No guest may run meanwhile.
    pub fn count(&self, needle: &[u8]) -> usize {
        let occurrences = |memory: &Arc<Memory>| {
            let bytes = memory.bytes();
            let at = |start: usize| bytes.get(start..start + needle.len()) == Some(needle);
            match needle.first() {
                // A plain search for the first byte is what makes this quick.
                Some(first) => (0..bytes.len())
                    .filter(|start| bytes.get(*start) == Some(first) && at(*start))
                    .count(),
                None => 0,
            }
        };
        self.all().iter().map(occurrences).sum()
    }

    /// How many memories there were, and the bytes in them.
    pub fn size(&self) -> (usize, usize) {
        let all = self.all();
        (
            all.len(),
            all.iter().map(|memory| memory.bytes().len()).sum(),
        )
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Memory>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: each memory is one zeroed allocation that never moves, and lives for as long as
// anyone knows of it.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if reserved.unwrap_or_default() > CAPACITY || guard > 0 {
            return Err("the tests' memory has no guard pages".to_owned());
        }
        let layout = Memory::layout().map_err(|error| error.to_string())?;
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc_zeroed(layout) };
        if base.is_null() || minimum > CAPACITY {
            return Err("there is not enough memory".to_owned());
        }
        let memory = Arc::new(Memory {
            base,
            size: AtomicUsize::new(minimum),
        });
        self.all().push(memory.clone());
        Ok(Box::new(Handle(memory)))
    }
}

struct Memory {
    base: *mut u8,
    size: AtomicUsize,
}

// SAFETY: the pointer is to memory of its own, which is looked at while no guest runs.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn layout() -> Result<Layout, std::alloc::LayoutError> {
        Layout::from_size_align(CAPACITY, 64 * 1024)
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes were allocated, zeroed, and no guest writes to them now.
        unsafe { std::slice::from_raw_parts(self.base, self.size.load(SeqCst)) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Ok(layout) = Self::layout() {
            // SAFETY: it was allocated with this layout.
            unsafe { dealloc(self.base, layout) }
        }
    }
}

struct Handle(Arc<Memory>);

// SAFETY: as for `Memories`.
unsafe impl LinearMemory for Handle {
    fn byte_size(&self) -> usize {
        self.0.size.load(SeqCst)
    }

    fn byte_capacity(&self) -> usize {
        CAPACITY
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if size > CAPACITY {
            return Err(wasmtime::Error::msg("the tests' memory is full"));
        }
        self.0.size.store(size, SeqCst);
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.base
    }
}
