//! Arrow IPC across the boundary: strict on the way in, plain on the way out.
//!
//! What a guest hands over is not trusted. A message has to be whole, alone,
//! uncompressed, of the announced schema, and of types whose values are where the
//! batch says and nowhere twice; Arrow's own checks (lengths, offsets, UTF-8) run
//! over every batch. The buffers are not copied: a batch keeps the memory that the
//! boundary filled. In a list, every value takes at least a bit of it. So what a
//! message costs is bounded by its length and by the number of its rows.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::read_record_batch;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use arrow_ipc::{FieldNode, Message, MetadataVersion, root_as_message_with_opts};
use arrow_schema::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, Schema, SchemaRef,
};
use flatbuffers::VerifierOptions;

use crate::error::{Error, ErrorKind, Result};
use crate::policy::text;

/// Before the metadata: the continuation marker and its length.
const PREFIX: usize = 8;

/// What the metadata of a message may be made of. Parts of it can be referred to any number of
/// times, so it is their sum that counts: 16 MiB are a schema of 10,000 columns with long names,
/// and 100,000 tables a schema of 20,000.
const METADATA: VerifierOptions = VerifierOptions {
    max_depth: 64,
    max_tables: 100_000,
    max_apparent_size: 16 * 1024 * 1024,
    ignore_missing_null_terminator: false,
};

const NOT_OF_ITS_SCHEMA: &str = "a batch that is not of its schema";

/// The longest part of a column's name that an error repeats, in bytes.
const NAME: usize = 64;

/// The schema that `bytes` hold.
pub fn schema(bytes: &[u8]) -> Result<SchemaRef> {
    guarded(|| {
        let (message, body) = message(bytes)?;
        let schema = message
            .header_as_schema()
            .ok_or_else(|| invalid("a message other than a schema"))?;
        if !bytes.get(body..).unwrap_or_default().is_empty() {
            return Err(invalid("bytes that follow the schema"));
        }
        let schema = arrow_ipc::convert::try_fb_to_schema(schema)
            .map_err(|error| invalid("a schema that cannot be read").with_source(error))?;
        let unfit = |field: &Arc<Field>| Some((field.clone(), unfit(field.data_type(), false)?));
        match schema.fields().iter().find_map(unfit) {
            Some((field, what)) => Err(invalid(&format!(
                "{what} in the column `{}`",
                text::shortened(field.name(), NAME).escape_debug()
            ))),
            None => Ok(Arc::new(schema)),
        }
    })
}

/// The batch of the schema `schema` that `bytes` hold.
///
/// It has at most the rows that were `asked_for`, and `most_rows`: columns without buffers (of the
/// type Null) could otherwise claim any number. Where there are several of those, they share them.
pub fn batch(
    bytes: Vec<u8>,
    schema: &SchemaRef,
    asked_for: u32,
    most_rows: usize,
) -> Result<RecordBatch> {
    let most_rows = i64::try_from(most_rows).unwrap_or(i64::MAX);
    let bytes = Buffer::from_vec(bytes);
    guarded(|| {
        let (message, body) = message(&bytes)?;
        let body = bytes.slice(body);
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| invalid("a message other than a batch"))?;
        if batch.compression().is_some() {
            return Err(invalid("a compressed batch"));
        }
        let weightless: i64 = schema.fields().iter().map(|field| weightless(field)).sum();
        let most_rows = most_rows.checked_div(weightless).unwrap_or(most_rows);
        if !(0..=most_rows).contains(&batch.length()) {
            return Err(invalid("a batch of an absurd number of rows"));
        }
        let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
        let inside = |buffer: &arrow_ipc::Buffer| {
            let end = buffer.offset().checked_add(buffer.length());
            buffer.offset() >= 0 && buffer.length() >= 0 && end.is_some_and(|end| end <= size)
        };
        let buffers = || batch.buffers().into_iter().flatten();
        if !buffers().all(inside) {
            return Err(invalid("a buffer outside its message"));
        }
        // Were bytes counted twice, the work they make would not be bounded by the message.
        let lengths = buffers().try_fold(0_i64, |sum, buffer| sum.checked_add(buffer.length()));
        if lengths.is_none_or(|lengths| lengths > size) {
            return Err(invalid("buffers that overlap"));
        }
        // Arrow reads as many columns as the schema has, and passes over the rest.
        let mut shape = Shape {
            nodes: batch.nodes().into_iter().flatten(),
            buffers: 0,
            most: size.saturating_mul(8),
        };
        for field in schema.fields() {
            shape.fit(field, Length::Exactly(batch.length()))?;
        }
        if shape.nodes.next().is_some() || buffers().count() != shape.buffers {
            return Err(invalid(NOT_OF_ITS_SCHEMA));
        }
        let too_many = batch.length() > i64::from(asked_for);
        let batch = read_record_batch(
            &body,
            batch,
            schema.clone(),
            &HashMap::new(),
            None,
            &MetadataVersion::V5,
        )
        .map_err(|error| invalid(NOT_OF_ITS_SCHEMA).with_source(error))?;
        match too_many {
            true => Err(invalid("a batch of more rows than were asked for")),
            false => Ok(batch),
        }
    })
}

fn message(bytes: &[u8]) -> Result<(Message<'_>, usize)> {
    let (Some([255, 255, 255, 255]), Some(length)) =
        (bytes.first_chunk::<4>(), bytes.get(4..PREFIX))
    else {
        return Err(invalid("something that is not an Arrow message"));
    };
    let length = u32::from_le_bytes(length.try_into().unwrap_or_default());
    let body = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(PREFIX));
    let metadata = body.and_then(|body| bytes.get(PREFIX..body));
    let (Some(body), Some(metadata)) = (body, metadata) else {
        return Err(invalid("an Arrow message that is cut short"));
    };
    let message = root_as_message_with_opts(&METADATA, metadata)
        .map_err(|_| invalid("an Arrow message that cannot be read"))?;
    if message.version() != MetadataVersion::V5 {
        return Err(invalid("an Arrow message of an old version"));
    }
    if usize::try_from(message.bodyLength()).ok() != bytes.len().checked_sub(body) {
        return Err(invalid("an Arrow message of the wrong length"));
    }
    Ok((message, body))
}

/// What a batch says of its columns, beside what its schema does.
struct Shape<N> {
    /// Of every column, and after it of what it is made of.
    nodes: N,
    /// How many buffers the columns so far take.
    buffers: usize,
    /// The most values that anything within a list may have.
    most: i64,
}

/// How many values a column may have.
#[derive(Clone, Copy)]
enum Length {
    Exactly(i64),
    /// As many as its list refers to, which Arrow looks at.
    Any,
}

impl<'a, N: Iterator<Item = &'a FieldNode>> Shape<N> {
    /// Makes sure that the next column is one of the type of `field`, of so many values. Arrow
    /// takes lengths as they come, and makes room for what is inside a fixed list before it looks.
    fn fit(&mut self, field: &Field, length: Length) -> Result<()> {
        let node = self
            .nodes
            .next()
            .ok_or_else(|| invalid(NOT_OF_ITS_SCHEMA))?;
        let most = match length {
            Length::Exactly(length) if node.length() != length => {
                return Err(invalid(NOT_OF_ITS_SCHEMA));
            }
            Length::Exactly(length) => length,
            Length::Any => self.most,
        };
        if !(0..=most).contains(&node.length()) || !(0..=node.length()).contains(&node.null_count())
        {
            return Err(invalid("a batch of an absurd number of values"));
        }
        let (own, inner) = match field.data_type() {
            DataType::Null => (0, Length::Any),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
                (3, Length::Any)
            }
            DataType::FixedSizeList(_, size) => {
                let values = node.length().saturating_mul((*size).into());
                if values > self.most {
                    return Err(invalid("a batch of an absurd number of values"));
                }
                (1, Length::Exactly(values))
            }
            DataType::Struct(_) => (1, Length::Exactly(node.length())),
            _ => (2, Length::Any),
        };
        self.buffers = self.buffers.saturating_add(own);
        children(field.data_type())
            .into_iter()
            .try_for_each(|child| self.fit(child, inner))
    }
}

/// How many columns without a byte there are in one: a row of them costs nothing here, and a place
/// for each wherever it goes.
fn weightless(field: &Field) -> i64 {
    match field.data_type() {
        DataType::Null | DataType::FixedSizeBinary(0) | DataType::FixedSizeList(_, 0) => 1,
        DataType::Struct(fields) if fields.is_empty() => 1,
        DataType::Struct(fields) => fields.iter().map(|field| weightless(field)).sum(),
        _ => 0,
    }
}

/// What a column of the type `data_type` is made of.
fn children(data_type: &DataType) -> Vec<&Field> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _)
        | DataType::RunEndEncoded(_, field) => vec![field],
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.as_ref()).collect(),
        _ => Vec::new(),
    }
}

/// What it is about a column of the type `data_type` that does not cross the boundary.
///
/// Views, unions and runs can show the same bytes any number of times, so that a small batch is
/// an endless one. A list of what takes no room is one, too. Other types have parameters that Arrow
/// takes as they come, and panics over later.
fn unfit(data_type: &DataType, in_list: bool) -> Option<&'static str> {
    let own = match data_type {
        DataType::Dictionary(..) => Some("a dictionary"),
        DataType::Utf8View
        | DataType::BinaryView
        | DataType::ListView(_)
        | DataType::LargeListView(_) => Some("a view"),
        DataType::Union(..) => Some("a union"),
        DataType::RunEndEncoded(..) => Some("a run"),
        DataType::Decimal128(precision, scale)
            if !is_decimal(*precision, *scale, DECIMAL128_MAX_PRECISION) =>
        {
            Some("an absurd decimal")
        }
        DataType::Decimal256(precision, scale)
            if !is_decimal(*precision, *scale, DECIMAL256_MAX_PRECISION) =>
        {
            Some("an absurd decimal")
        }
        DataType::Decimal32(precision, scale) if !is_decimal(*precision, *scale, 9) => {
            Some("an absurd decimal")
        }
        DataType::Decimal64(precision, scale) if !is_decimal(*precision, *scale, 18) => {
            Some("an absurd decimal")
        }
        DataType::FixedSizeBinary(size) | DataType::FixedSizeList(_, size) if *size < 0 => {
            Some("a negative size")
        }
        DataType::Null | DataType::FixedSizeBinary(0) | DataType::FixedSizeList(_, 0)
            if in_list =>
        {
            Some("a list of nothing")
        }
        DataType::Struct(fields) if in_list && fields.is_empty() => Some("a list of nothing"),
        _ => None,
    };
    let in_list = in_list || !matches!(data_type, DataType::Struct(_));
    own.or_else(|| {
        children(data_type)
            .into_iter()
            .find_map(|child| unfit(child.data_type(), in_list))
    })
}

fn is_decimal(precision: u8, scale: i8, most: u8) -> bool {
    (1..=most).contains(&precision) && scale.unsigned_abs() <= most
}

fn has_dictionary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(..))
        || children(data_type)
            .into_iter()
            .any(|child| has_dictionary(child.data_type()))
}

/// Should Arrow's reader panic on some input after all, it is the guest's fault.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(invalid("data that Arrow cannot read")))
}

fn invalid(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("the connector handed over {what}"),
    )
    .with_hint(
        "this is a fault of the connector: report it to its author, with the connector's version",
    )
}

/// `schema` as one message.
pub fn encode_schema(schema: &Schema) -> Result<Vec<u8>> {
    if let Some(field) = schema
        .fields()
        .iter()
        .find(|field| has_dictionary(field.data_type()))
    {
        let message = format!("the column `{}` is dictionary-encoded", field.name());
        return Err(Error::new(ErrorKind::SchemaMismatch, message)
            .with_hint("cast it to its value type before writing it"));
    }
    let options = IpcWriteOptions::default();
    let mut tracker = DictionaryTracker::new(false);
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut tracker,
        &options,
    );
    let mut bytes = Vec::new();
    write_message(&mut bytes, encoded, &options).map_err(unencodable)?;
    Ok(bytes)
}

/// `batch` as one message.
pub fn encode_batch(batch: &RecordBatch) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::default();
    let mut tracker = DictionaryTracker::new(false);
    let (_, encoded) = IpcDataGenerator::default()
        .encode(batch, &mut tracker, &options, &mut Default::default())
        .map_err(unencodable)?;
    let mut bytes = Vec::with_capacity(encoded.arrow_data.len().saturating_add(4 * 1024));
    write_message(&mut bytes, encoded, &options).map_err(unencodable)?;
    Ok(bytes)
}

fn unencodable(error: arrow_schema::ArrowError) -> Error {
    Error::new(ErrorKind::Value, "the batch cannot be written as Arrow IPC")
        .with_hint("check that its columns are of types that Arrow IPC knows")
        .with_source(error)
}
