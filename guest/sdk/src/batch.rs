//! Columns being filled, row by row, until they make a batch.

/// How large a batch may become; whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// The most rows; at least 1.
    pub rows: usize,
    /// The most bytes of Arrow buffers.
    pub bytes: usize,
}

impl BatchLimits {
    /// A host lets 64 MiB cross in one call unless it is told otherwise; this stays well below.
    const MOST_BYTES: usize = 32 * 1024 * 1024;
    /// Counts of rows stay far from where arithmetic on them could overflow.
    const MOST_ROWS: usize = 16 * 1024 * 1024;

    /// Limits as a host gave them, brought into the range a batch can have.
    pub fn new(rows: u32, bytes: u32) -> Self {
        Self {
            rows: (rows as usize).clamp(1, Self::MOST_ROWS),
            bytes: (bytes as usize).min(Self::MOST_BYTES),
        }
    }
}

/// How the values of a column lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One bit each.
    Bits,
    /// This many bytes each.
    Fixed(usize),
    /// Bytes of any number, found by 32-bit offsets.
    Variable,
    /// No values at all: every row is null.
    Null,
    /// Any number of rows of the one child each, found by 32-bit offsets. A map is a list
    /// whose child is a struct of key and value.
    List,
    /// This many rows of the one child each.
    FixedList(usize),
    /// One row of every child each.
    Struct,
}

impl Layout {
    /// The bytes one row takes, without those of a variable value and without the bit
    /// that says whether it is null.
    pub fn row_width(self) -> usize {
        match self {
            Layout::Bits => 1,
            Layout::Fixed(width) => width,
            Layout::Variable | Layout::List => 4,
            Layout::Null | Layout::FixedList(_) | Layout::Struct => 0,
        }
    }
}

/// One column of the batch being built.
///
/// The buffers are kept from batch to batch. The bitmap of nulls comes into being with
/// the first null. The caller pushes in the way of the column's layout, once per row.
#[derive(Debug)]
pub struct ColumnBuilder {
    layout: Layout,
    rows: usize,
    nulls: usize,
    /// Little-endian values, or a bitmap, or the bytes of variable values.
    data: Vec<u8>,
    /// The end of each variable value; the leading 0 is not in it.
    ends: Vec<u8>,
    /// One bit per row, empty while there is no null.
    validity: Vec<u8>,
    /// What a column of lists or structs is made of.
    children: Vec<ColumnBuilder>,
}

impl ColumnBuilder {
    /// An empty column with room for `rows`.
    pub fn new(layout: Layout, rows: usize) -> Self {
        let (data, ends) = match layout {
            Layout::Bits => (rows.div_ceil(8), 0),
            Layout::Fixed(width) => (rows.saturating_mul(width), 0),
            Layout::Variable => (rows.saturating_mul(8), rows.saturating_mul(4)),
            Layout::List => (0, rows.saturating_mul(4)),
            Layout::Null | Layout::FixedList(_) | Layout::Struct => (0, 0),
        };
        Self {
            layout,
            rows: 0,
            nulls: 0,
            data: Vec::with_capacity(data),
            ends: Vec::with_capacity(ends),
            validity: Vec::new(),
            children: Vec::new(),
        }
    }

    /// An empty column of lists or structs: one child for a list, one for each field of a
    /// struct.
    pub fn nested(layout: Layout, children: Vec<ColumnBuilder>) -> Self {
        let mut builder = Self::new(layout, 0);
        builder.children = children;
        builder
    }

    /// How the values lie.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many of them are null.
    pub fn nulls(&self) -> usize {
        self.nulls
    }

    /// What the column is made of.
    pub fn children(&self) -> &[ColumnBuilder] {
        &self.children
    }

    /// One of the columns this one is made of, to push into.
    #[inline]
    pub fn child(&mut self, at: usize) -> Option<&mut ColumnBuilder> {
        self.children.get_mut(at)
    }

    /// The bytes of all buffers so far, those of the children included.
    pub fn buffer_bytes(&self) -> usize {
        let own = self.data.len() + self.ends.len() + self.validity.len();
        self.children
            .iter()
            .map(ColumnBuilder::buffer_bytes)
            .fold(own, usize::saturating_add)
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(crate) fn ends(&self) -> &[u8] {
        &self.ends
    }

    pub(crate) fn validity(&self) -> &[u8] {
        &self.validity
    }

    /// Appends a value of a column of [`Layout::Fixed`], little-endian.
    #[inline(always)]
    pub fn push_fixed<const N: usize>(&mut self, value: [u8; N]) {
        debug_assert_eq!(self.layout, Layout::Fixed(N));
        self.data.extend_from_slice(&value);
        self.mark_valid();
    }

    /// Appends a value of a column of [`Layout::Variable`].
    #[inline(always)]
    pub fn push_bytes(&mut self, value: &[u8]) {
        debug_assert_eq!(self.layout, Layout::Variable);
        self.data.extend_from_slice(value);
        self.push_end();
        self.mark_valid();
    }

    /// Appends a value of a column of [`Layout::Bits`].
    #[inline(always)]
    pub fn push_bit(&mut self, value: bool) {
        debug_assert_eq!(self.layout, Layout::Bits);
        push_bit(&mut self.data, self.rows, value);
        self.mark_valid();
    }

    /// Ends a value of a column of lists or structs, whose parts were pushed into the
    /// children before.
    #[inline]
    pub fn push_nested(&mut self) {
        if self.layout == Layout::List {
            self.push_end();
        }
        self.mark_valid();
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        match self.layout {
            Layout::Bits => push_bit(&mut self.data, self.rows, false),
            Layout::Fixed(width) => {
                let filled = self.data.len().saturating_add(width);
                self.data.resize(filled, 0);
            }
            Layout::Variable | Layout::List => self.push_end(),
            Layout::FixedList(length) => {
                for child in &mut self.children {
                    (0..length).for_each(|_| child.push_null());
                }
            }
            Layout::Struct => self.children.iter_mut().for_each(ColumnBuilder::push_null),
            Layout::Null => {
                self.rows = self.rows.saturating_add(1);
                self.nulls = self.rows;
                return;
            }
        }
        if self.nulls == 0 {
            // Every row before this one was valid.
            self.validity.clear();
            self.validity.resize(self.rows / 8, 0xff);
            if !self.rows.is_multiple_of(8) {
                self.validity.push(0xff >> (8 - self.rows % 8));
            }
        }
        push_bit(&mut self.validity, self.rows, false);
        self.nulls = self.nulls.saturating_add(1);
        self.rows = self.rows.saturating_add(1);
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.nulls = 0;
        self.data.clear();
        self.ends.clear();
        self.validity.clear();
        self.children.iter_mut().for_each(ColumnBuilder::clear);
    }

    #[inline(always)]
    fn push_end(&mut self) {
        let length = match self.layout {
            Layout::List => self.children.first().map_or(0, |child| child.rows),
            _ => self.data.len(),
        };
        // `BatchLimits` and the limit on one message keep a batch below 2 GiB.
        let end = u32::try_from(length).unwrap_or(u32::MAX);
        self.ends.extend_from_slice(&end.to_le_bytes());
    }

    #[inline(always)]
    fn mark_valid(&mut self) {
        if self.nulls != 0 {
            push_bit(&mut self.validity, self.rows, true);
        }
        self.rows += 1;
    }
}

/// Sets bit `at`, which is the next one, of a bitmap.
#[inline(always)]
fn push_bit(bits: &mut Vec<u8>, at: usize, value: bool) {
    let bit = u8::from(value) << (at % 8);
    match bits.last_mut() {
        Some(last) if !at.is_multiple_of(8) => *last |= bit,
        _ => bits.push(bit),
    }
}
