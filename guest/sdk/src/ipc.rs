//! Arrow IPC messages in the encapsulated format: how rows cross to the host and back.
//!
//! A batch is written straight from the column buffers, each copied once into a body whose
//! parts are 64-byte aligned from the start of the message, so that the host can use them
//! where they lie. `arrow-ipc`'s own writer would need arrays built first.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use arrow_ipc::{
    FieldNode, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder, root_as_message,
};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use flatbuffers::FlatBufferBuilder;

use crate::batch::{ColumnBuilder, Layout};
use crate::error::{Error, ErrorKind, Result};

/// What Arrow recommends buffers to be aligned to.
const ALIGNMENT: usize = 64;
/// Stands before the length of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The message that carries `schema`.
///
/// # Errors
/// `internal`, if the schema cannot be written.
pub fn schema_message(schema: &Schema) -> Result<Vec<u8>> {
    let options = IpcWriteOptions::default();
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut DictionaryTracker::new(true),
        &options,
    );
    let mut message = Vec::new();
    write_message(&mut message, encoded, &options)
        .map_err(|error| Error::internal(format!("the schema could not be encoded: {error}")))?;
    Ok(message)
}

/// The message that carries the rows in `columns`, which all have `rows` of them.
pub fn batch_message<'a>(
    columns: impl IntoIterator<Item = &'a ColumnBuilder>,
    rows: usize,
) -> Vec<u8> {
    let mut body = Body::default();
    let mut nodes = Vec::new();
    for column in columns {
        plan_column(column, &mut nodes, &mut body);
    }

    let mut fbb = FlatBufferBuilder::with_capacity(1024);
    let nodes = fbb.create_vector(&nodes);
    let buffers = fbb.create_vector(&body.buffers);
    let mut batch = RecordBatchBuilder::new(&mut fbb);
    batch.add_length(rows as i64);
    batch.add_nodes(nodes);
    batch.add_buffers(buffers);
    let batch = batch.finish();
    let mut message = MessageBuilder::new(&mut fbb);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::RecordBatch);
    message.add_bodyLength(body.length as i64);
    message.add_header(batch.as_union_value());
    let message = message.finish();
    fbb.finish(message, None);
    let metadata = fbb.finished_data();

    let head = (8 + metadata.len()).next_multiple_of(ALIGNMENT);
    let mut out = Vec::with_capacity(head + body.length);
    out.extend_from_slice(&CONTINUATION);
    out.extend_from_slice(&((head - 8) as u32).to_le_bytes());
    out.extend_from_slice(metadata);
    out.resize(head, 0);
    for part in body.parts {
        if let Part::Offsets(_) = part {
            out.extend_from_slice(&[0; 4]);
        }
        let (Part::Bytes(bytes) | Part::Offsets(bytes)) = part;
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    }
    out
}

/// A column's nodes and buffers, then those of what it is made of.
fn plan_column<'a>(column: &'a ColumnBuilder, nodes: &mut Vec<FieldNode>, body: &mut Body<'a>) {
    nodes.push(FieldNode::new(column.rows() as i64, column.nulls() as i64));
    if column.layout() == Layout::Null {
        return;
    }
    body.plan(column.validity());
    match column.layout() {
        Layout::Variable => {
            body.plan_offsets(column.ends());
            body.plan(column.data());
        }
        Layout::List => body.plan_offsets(column.ends()),
        Layout::FixedList(_) | Layout::Struct => {}
        _ => body.plan(column.data()),
    }
    for child in column.children() {
        plan_column(child, nodes, body);
    }
}

/// The parts of a message's body and where each will lie.
#[derive(Default)]
struct Body<'a> {
    parts: Vec<Part<'a>>,
    buffers: Vec<arrow_ipc::Buffer>,
    length: usize,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Bytes(&'a [u8]),
    /// Ends of values; the leading 0 is added.
    Offsets(&'a [u8]),
}

impl<'a> Body<'a> {
    fn plan(&mut self, bytes: &'a [u8]) {
        self.push(Part::Bytes(bytes), bytes.len());
    }

    fn plan_offsets(&mut self, ends: &'a [u8]) {
        self.push(Part::Offsets(ends), ends.len() + 4);
    }

    fn push(&mut self, part: Part<'a>, length: usize) {
        self.buffers
            .push(arrow_ipc::Buffer::new(self.length as i64, length as i64));
        self.parts.push(part);
        self.length += length.next_multiple_of(ALIGNMENT);
    }
}

/// The schema in a message.
///
/// # Errors
/// `schema-mismatch`, if it is not a schema message.
pub fn read_schema(message: &[u8]) -> Result<SchemaRef> {
    arrow_ipc::convert::try_schema_from_ipc_buffer(message)
        .map(Arc::new)
        .map_err(malformed)
}

/// The rows in a message, with columns as in `schema`.
///
/// # Errors
/// `schema-mismatch`, if it is not a batch message that fits the schema.
pub fn read_batch(message: Vec<u8>, schema: &SchemaRef) -> Result<RecordBatch> {
    let message = Buffer::from_vec(message);
    let bytes = message.as_slice();
    let length = bytes
        .strip_prefix(&CONTINUATION)
        .and_then(|rest| rest.first_chunk::<4>())
        .map(|length| u32::from_le_bytes(*length) as usize)
        .ok_or_else(|| malformed("no continuation marker"))?;
    let head = length.saturating_add(8);
    let metadata = bytes.get(8..head).ok_or_else(|| malformed("cut short"))?;
    let parsed = root_as_message(metadata).map_err(malformed)?;
    let batch = parsed
        .header_as_record_batch()
        .ok_or_else(|| malformed("not a batch"))?;
    let body = message.slice(head);
    if usize::try_from(parsed.bodyLength()) != Ok(body.len()) {
        return Err(malformed("a body of another length than announced"));
    }
    arrow_ipc::reader::read_record_batch(
        &body,
        batch,
        Arc::clone(schema),
        &HashMap::new(),
        None,
        &parsed.version(),
    )
    .map_err(|error: ArrowError| malformed(error))
}

fn malformed(reason: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!("the Arrow message offered cannot be read: {reason}"),
    )
    .with_hint("offer a schema message, then batch messages of that schema")
}
