//! Rows of SQLite as columns of Arrow.

use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};

use super::errors;
use super::losses::{Ledger, Reason};
use super::numbers::WHOLE;
use super::types::Kind;
use super::values::{Cell, Place, Stored, cell};
use crate::error::{Error, Result};
use crate::types::{BatchSize, OnLoss};

/// The most bytes of a batch: Arrow counts those of a column in 31 bits, and one more value may
/// take 256 MiB.
const MOST_BYTES: usize = 1 << 30;

/// The columns of a result, which fill up row by row.
pub struct Columns {
    columns: Vec<Column>,
    names: Vec<String>,
    ledger: Ledger,
    /// Known once the first batch is whole, where there are columns without a declared type.
    schema: Option<SchemaRef>,
    /// Rows and bytes since the last batch, and the most of them.
    rows: usize,
    bytes: usize,
    most: (usize, usize),
    /// All rows before this batch.
    before: u64,
}

struct Column {
    place: Place,
    on_loss: OnLoss,
    state: State,
}

enum State {
    /// What it is will be told by these values.
    Open(Vec<Stored<'static>>),
    Known(Kind, Builder),
    /// All of it becomes text, as was chosen, in place of this.
    Told(Kind, Builder),
}

impl Columns {
    /// Columns of these names and declared types.
    pub fn new(
        columns: Vec<(String, Option<String>)>,
        choices: &[OnLoss],
        size: BatchSize,
    ) -> Self {
        let names = columns.iter().map(|(name, _)| name.clone()).collect();
        let mut columns: Vec<_> = (columns.into_iter().zip(choices))
            .map(|((name, declared), on_loss)| Column {
                place: Place::new(name, declared.unwrap_or_default(), false),
                on_loss: *on_loss,
                state: State::Open(Vec::new()),
            })
            .collect();
        for column in &mut columns {
            if let Some(kind) = column.place.kind() {
                column.state = State::of(kind, column.on_loss);
            }
        }
        let most = |wanted: u32| usize::try_from(wanted).unwrap_or(usize::MAX).max(1);
        let mut this = Self {
            columns,
            names,
            ledger: Ledger::default(),
            schema: None,
            rows: 0,
            bytes: 0,
            most: (most(size.rows), most(size.bytes).min(MOST_BYTES)),
            before: 0,
        };
        if !this.columns.iter().any(Column::is_open) {
            this.settle_schema();
        }
        this
    }

    /// The schema, if it is known yet.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    /// What was not carried as it is.
    pub fn losses(&self) -> Vec<crate::types::Loss> {
        self.ledger.losses(&self.names)
    }

    /// Whether a row of so many bytes has to go into another batch.
    pub fn is_full(&self, bytes: usize) -> bool {
        let (most_rows, most_bytes) = self.most;
        self.rows >= most_rows || self.rows > 0 && self.bytes.saturating_add(bytes) > most_bytes
    }

    /// Adds a row of so many bytes.
    ///
    /// # Errors
    /// `value`.
    pub fn push<'v>(&mut self, row: impl Iterator<Item = Stored<'v>>, bytes: usize) -> Result<()> {
        self.rows = self.rows.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let number = self.before.saturating_add(self.rows as u64);
        for (at, (column, value)) in self.columns.iter_mut().zip(row).enumerate() {
            column.push(at, &value, number, &mut self.ledger)?;
        }
        Ok(())
    }

    /// The rows since the last batch; none if there are none, except before the schema is known.
    ///
    /// # Errors
    /// `value`.
    pub fn batch(&mut self) -> Result<Option<RecordBatch>> {
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.settle(at, self.before, &mut self.ledger)?;
        }
        let schema = self.settle_schema();
        if self.rows == 0 {
            return Ok(None);
        }
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        self.before = self.before.saturating_add(self.rows as u64);
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(schema, columns)
            .map(Some)
            .map_err(|error| {
                Error::new(
                    crate::ErrorKind::Internal,
                    format!("columns that make no batch: {error}"),
                )
                .with_hint("report this")
            })
    }

    fn settle_schema(&mut self) -> SchemaRef {
        if let Some(schema) = &self.schema {
            return schema.clone();
        }
        let fields: Vec<Field> = self.columns.iter().map(Column::field).collect();
        let schema = Arc::new(Schema::new(fields));
        self.schema = Some(schema.clone());
        schema
    }
}

impl State {
    fn of(kind: Kind, on_loss: OnLoss) -> Self {
        match on_loss == OnLoss::Text && !kind.is_text() {
            true => Self::Told(kind, Builder::new(Kind::Text)),
            false => Self::Known(kind, Builder::new(kind)),
        }
    }
}

impl Column {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    fn field(&self) -> Field {
        match self.state {
            State::Known(kind, _) => kind.field(&self.place.name),
            State::Open(_) | State::Told(..) => Kind::Text.field(&self.place.name),
        }
    }

    fn push(&mut self, at: usize, value: &Stored<'_>, row: u64, ledger: &mut Ledger) -> Result<()> {
        match &mut self.state {
            State::Open(held) => held.push(value.clone().into_owned()),
            State::Known(kind, builder) => match cell(*kind, value) {
                Ok(cell) => builder.push(cell),
                Err(reason) => {
                    let text = value.text();
                    match self.on_loss {
                        OnLoss::Fail => return Err(self.misfit(row, &reason, &text)),
                        OnLoss::Null => builder.push(Cell::Null),
                        OnLoss::Text => builder.push(Cell::Text(text.as_ref().into())),
                    }
                    ledger.enter(at, reason, self.on_loss, row, &text);
                }
            },
            State::Told(kind, builder) => {
                if let Err(reason) = cell(*kind, value) {
                    ledger.enter(at, reason, self.on_loss, row, &value.text());
                }
                builder.push(match value {
                    Stored::Null => Cell::Null,
                    value => Cell::Text(value.text()),
                });
            }
        }
        Ok(())
    }

    fn misfit(&self, row: u64, reason: &Reason, value: &str) -> Error {
        errors::misfit(&self.place, row, reason, value)
    }

    /// Decides what the column is, where that is still open.
    fn settle(&mut self, at: usize, before: u64, ledger: &mut Ledger) -> Result<()> {
        let State::Open(held) = &mut self.state else {
            return Ok(());
        };
        let held = std::mem::take(held);
        self.state = State::of(told_by(&held), self.on_loss);
        for (value, row) in held.iter().zip(before.saturating_add(1)..) {
            self.push(at, value, row, ledger)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match &mut self.state {
            State::Known(_, builder) | State::Told(_, builder) => builder.finish(),
            State::Open(held) => Arc::new(arrow_array::StringArray::new_null(held.len())),
        }
    }
}

/// What values are, all of them.
fn told_by(values: &[Stored<'_>]) -> Kind {
    let mut kind = None;
    let mut large = false;
    for value in values {
        let next = match value {
            Stored::Null => continue,
            Stored::Integer(value) => {
                large |= !(-WHOLE..=WHOLE).contains(value);
                Kind::Integer
            }
            Stored::Real(_) => Kind::Float,
            Stored::Blob(_) => Kind::Binary,
            Stored::Text(_) | Stored::Garbled(_) => Kind::Text,
        };
        kind = Some(match (kind, next) {
            (None, next) => next,
            (Some(one), next) if one == next => one,
            (Some(one), next) if one.is_number() && next.is_number() => Kind::Float,
            _ => Kind::Text,
        });
    }
    match kind {
        Some(Kind::Float) if large => Kind::Text,
        kind => kind.unwrap_or(Kind::Text),
    }
}

macro_rules! builders {
    ($($name:ident: $builder:ty,)*) => {
        enum Builder {
            $($name($builder),)*
        }

        impl Builder {
            fn finish(&mut self) -> ArrayRef {
                match self {
                    $(Self::$name(builder) => Arc::new(builder.finish()),)*
                }
            }

            fn push_null(&mut self) {
                match self {
                    $(Self::$name(builder) => builder.append_null(),)*
                }
            }
        }
    };
}

builders! {
    Boolean: BooleanBuilder,
    Integer: Int64Builder,
    Float: Float64Builder,
    Decimal: Decimal128Builder,
    Days: Date32Builder,
    Time: Time64MicrosecondBuilder,
    Timestamp: TimestampMicrosecondBuilder,
    Text: StringBuilder,
    Uuid: FixedSizeBinaryBuilder,
    Binary: BinaryBuilder,
}

impl Builder {
    fn new(kind: Kind) -> Self {
        let of = kind.field("").data_type().clone();
        match kind {
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Decimal { .. } => Self::Decimal(Decimal128Builder::new().with_data_type(of)),
            Kind::Date => Self::Days(Date32Builder::new()),
            Kind::Time => Self::Time(Time64MicrosecondBuilder::new()),
            Kind::Timestamp { .. } => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(of))
            }
            Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Uuid => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            Kind::Binary => Self::Binary(BinaryBuilder::new()),
        }
    }

    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Boolean(builder), Cell::Boolean(value)) => builder.append_value(value),
            (Self::Integer(builder), Cell::Integer(value)) => builder.append_value(value),
            (Self::Float(builder), Cell::Float(value)) => builder.append_value(value),
            (Self::Decimal(builder), Cell::Decimal(value)) => builder.append_value(value),
            (Self::Days(builder), Cell::Days(value)) => builder.append_value(value),
            (Self::Time(builder), Cell::Micros(value)) => builder.append_value(value),
            (Self::Timestamp(builder), Cell::Micros(value)) => builder.append_value(value),
            (Self::Text(builder), Cell::Text(value)) => builder.append_value(value),
            (Self::Uuid(builder), Cell::Uuid(value)) => {
                // Sixteen bytes are what it takes.
                if builder.append_value(value).is_err() {
                    builder.append_null();
                }
            }
            (Self::Binary(builder), Cell::Binary(value)) => builder.append_value(value),
            (builder, _) => builder.push_null(),
        }
    }
}
