//! What `query` hands over instead of rows.

use std::cell::Cell;
use std::sync::Arc;

use arrow_ipc::{
    BodyCompression, BodyCompressionArgs, Buffer, FieldNode, MessageBuilder, MessageHeader,
    MetadataVersion, RecordBatchBuilder,
};
use arrow_schema::{DataType, Field, Fields, Schema, UnionFields, UnionMode};
use dagflux_guest::{Result, ipc};
use flatbuffers::FlatBufferBuilder;

use crate::{attacks, lists, schemas};

thread_local! {
    static OPEN: Cell<u64> = const { Cell::new(0) };
    static AFTER_END: Cell<u64> = const { Cell::new(0) };
}

/// How often a result was asked for more after its end.
pub fn calls_after_end() -> u64 {
    AFTER_END.get()
}

/// How many results are open.
pub fn open() -> u64 {
    OPEN.get()
}

/// A result, proper or not.
pub struct Rows {
    kind: String,
    words: String,
    argument: u64,
    handed_over: Cell<u64>,
}

impl Rows {
    pub fn new(sql: &str) -> Result<Self> {
        let (kind, argument) = sql.split_once(' ').unwrap_or((sql, ""));
        if kind == "loop" {
            attacks::endless();
        }
        if kind.starts_with("slow-") {
            attacks::pause(1_000);
        }
        assert!(kind != "slow-panic", "too late");
        OPEN.with(|open| open.set(open.get() + 1));
        Ok(Self {
            kind: kind.to_owned(),
            words: argument.to_owned(),
            argument: attacks::number(argument),
            handed_over: Cell::new(0),
        })
    }

    pub fn losses(
        &self,
    ) -> Vec<dagflux_guest::bindings::exports::dagflux::connector::relational::Loss> {
        match self.kind.as_str() {
            "losses" => lists::losses(self.argument),
            _ => Vec::new(),
        }
    }

    pub fn schema(&self) -> Vec<u8> {
        let field = |data_type| Arc::new(Field::new("item", data_type, true));
        let data_type = match self.kind.as_str() {
            "deep-schema" => return schemas::deep(self.argument),
            "wide-schema" => return schemas::wide(self.argument),
            "shared-schema" => return schemas::shared(self.argument),
            "long-column" => {
                let name = "n".repeat(usize::try_from(self.argument).unwrap_or_default());
                return one_column(&name, DataType::Int32);
            }
            "named-dictionary" => {
                let value =
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                return one_column(&self.words, value);
            }
            "overlap" => {
                let columns = (0..100).map(|at| Field::new(at.to_string(), DataType::Int32, true));
                let schema = Schema::new(columns.collect::<Vec<_>>());
                return ipc::schema_message(&schema).unwrap_or_default();
            }
            "null-columns" => DataType::Struct(
                (0..1_000)
                    .map(|at| Field::new(at.to_string(), DataType::Null, true))
                    .collect(),
            ),
            "views" => DataType::Utf8View,
            "byte-views" => DataType::BinaryView,
            "list-views" => DataType::ListView(field(DataType::Int32)),
            "nested-views" => DataType::Struct(vec![field(DataType::Utf8View)].into()),
            "runs" => DataType::RunEndEncoded(field(DataType::Int32), field(DataType::Int32)),
            "union" => {
                let column = Field::new("a", DataType::Int32, true);
                let fields = UnionFields::from_fields(vec![column]);
                DataType::Union(fields, UnionMode::Dense)
            }
            "decimal" => DataType::Decimal128(200, 100),
            "negative-size" => DataType::FixedSizeBinary(-1),
            "schema-garbage" => return vec![7; 100],
            "schema-is-batch" => return one_number().encode(),
            "schema-trailing" => {
                let mut message = schema(DataType::Int32);
                message.extend_from_slice(&[0; 8]);
                return message;
            }
            "dictionary" => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            "nested-dictionary" => {
                let value =
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                DataType::List(Arc::new(Field::new("item", value, true)))
            }
            "not-utf8" | "offsets" => DataType::Utf8,
            "list-of-nulls" => DataType::List(field(DataType::Null)),
            "list-of-no-bytes" => DataType::LargeList(field(DataType::FixedSizeBinary(0))),
            "list-of-no-parts" => DataType::List(field(DataType::Struct(Fields::empty()))),
            "list-of-no-items" => {
                let none = DataType::FixedSizeList(field(DataType::Int32), 0);
                DataType::List(field(none))
            }
            "fixed-list-of-nulls" => {
                let item = Field::new("item", DataType::Null, false);
                DataType::FixedSizeList(Arc::new(item), i32::MAX)
            }
            "long-fixed-list" => {
                let item = Field::new("item", DataType::Boolean, false);
                DataType::FixedSizeList(Arc::new(item), i32::MAX)
            }
            "long-list" => DataType::List(field(DataType::Int32)),
            "long-struct" | "short-struct" => DataType::Struct(vec![field(DataType::Null)].into()),
            "many-nulls" | "too-many-nulls" | "negative-nulls" => DataType::Null,
            _ => DataType::Int32,
        };
        schema(data_type)
    }

    pub fn next(&self) -> Option<Vec<u8>> {
        let batch = self.handed_over.get();
        self.handed_over.set(batch.saturating_add(1));
        let number = one_number();
        let message = match self.kind.as_str() {
            // A proper batch, and then what was asked for.
            _ if batch == 0 && self.kind.starts_with("late-") => number.encode(),
            "rows" if batch < self.argument => number.encode(),
            "rows" | "losses" => {
                AFTER_END.with(|calls| calls.set(calls.get() + u64::from(batch > self.argument)));
                return None;
            }
            "endless" => number.encode(),
            "overlap" => {
                let body = 1024 * 1024;
                Batch {
                    rows: 250_000,
                    nodes: vec![FieldNode::new(250_000, 0); 100],
                    buffers: [Buffer::new(0, 0), Buffer::new(1, body - 1)].repeat(100),
                    body: vec![0; usize::try_from(body).unwrap_or_default()],
                    ..number
                }
                .encode()
            }
            "many-buffers" => Batch {
                buffers: vec![
                    Buffer::new(0, 0);
                    usize::try_from(self.argument).unwrap_or_default()
                ],
                ..number
            }
            .encode(),
            "other-schema" => text([0, 2], b"ab").encode(),
            // One is enough, should it be taken.
            _ if batch > 0 && !self.kind.starts_with("late-") => return None,
            "drop-panic" | "drop-loop" | "drop-wait" => number.encode(),
            "wait" | "late-wait" => {
                attacks::wait();
                return None;
            }
            "late-loop" => {
                attacks::endless();
                return None;
            }
            "late-panic" => panic!("after the first batch"),
            "garbage" | "late-garbage" => vec![7; 100],
            "empty" => Vec::new(),
            "truncated" => {
                let mut message = number.encode();
                message.truncate(message.len() - 8);
                message
            }
            "trailing" => {
                let mut message = number.encode();
                message.extend_from_slice(&[0; 8]);
                message
            }
            "schema-again" => schema(DataType::Int32),
            "large" => vec![0; usize::try_from(self.argument).unwrap_or_default()],
            "compressed" => Batch {
                compressed: true,
                ..number
            }
            .encode(),
            "old-version" => Batch {
                version: MetadataVersion::V4,
                ..number
            }
            .encode(),
            "two-columns" => Batch {
                nodes: vec![FieldNode::new(1, 0); 2],
                ..number
            }
            .encode(),
            "no-columns" => Batch {
                nodes: Vec::new(),
                buffers: Vec::new(),
                ..number
            }
            .encode(),
            "short-buffer" => Batch {
                rows: 1_000_000,
                nodes: vec![FieldNode::new(1_000_000, 0)],
                ..number
            }
            .encode(),
            "outside" => Batch {
                buffers: vec![Buffer::new(0, 0), Buffer::new(64, 1 << 40)],
                ..number
            }
            .encode(),
            "negative" => Batch {
                buffers: vec![Buffer::new(0, 0), Buffer::new(-64, 4)],
                ..number
            }
            .encode(),
            "long-fixed-list" => {
                let rows = 1_024;
                let values = rows * i64::from(i32::MAX);
                Batch {
                    rows,
                    nodes: vec![FieldNode::new(rows, 1), FieldNode::new(values, 0)],
                    buffers: vec![
                        Buffer::new(0, 128),
                        Buffer::new(128, 0),
                        Buffer::new(128, 0),
                    ],
                    body: [vec![0xfe], vec![0xff; 127]].concat(),
                    ..number
                }
                .encode()
            }
            "long-list" => Batch {
                nodes: vec![FieldNode::new(1, 0), FieldNode::new(i64::MAX, 0)],
                buffers: vec![
                    Buffer::new(0, 0),
                    Buffer::new(0, 8),
                    Buffer::new(0, 0),
                    Buffer::new(8, 4),
                ],
                ..number
            }
            .encode(),
            "long-struct" => Batch {
                nodes: vec![FieldNode::new(1, 0), FieldNode::new(i64::MAX, i64::MAX)],
                buffers: vec![Buffer::new(0, 0)],
                ..number
            }
            .encode(),
            "short-struct" => Batch {
                rows: 2,
                nodes: vec![FieldNode::new(1, 0), FieldNode::new(1, 1)],
                buffers: vec![Buffer::new(0, 0)],
                ..number
            }
            .encode(),
            "more-nulls-than-values" => Batch {
                nodes: vec![FieldNode::new(1, i64::MAX)],
                ..number
            }
            .encode(),
            "null-columns" => {
                let rows = self.argument.try_into().unwrap_or_default();
                let part = FieldNode::new(rows, rows);
                Batch {
                    rows,
                    nodes: [vec![FieldNode::new(rows, 0)], vec![part; 1_000]].concat(),
                    buffers: vec![Buffer::new(0, 0)],
                    ..number
                }
                .encode()
            }
            "negative-nulls" => nulls(-1).encode(),
            "many-nulls" => nulls(1 << 24).encode(),
            "too-many-nulls" => nulls((1 << 24) + 1).encode(),
            "not-utf8" => text([0, 2], b"\xc3\x28").encode(),
            "offsets" => text([0, 1 << 30], b"ab").encode(),
            _ => return None,
        };
        Some(message)
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        OPEN.with(|open| open.set(open.get() - 1));
        match self.kind.as_str() {
            "drop-panic" => panic!("not yet"),
            "drop-loop" => drop(attacks::endless()),
            "drop-wait" => attacks::wait(),
            _ => {}
        }
    }
}

fn schema(data_type: DataType) -> Vec<u8> {
    one_column("value", data_type)
}

fn one_column(name: &str, data_type: DataType) -> Vec<u8> {
    let schema = Schema::new(vec![Field::new(name, data_type, true)]);
    ipc::schema_message(&schema).unwrap_or_default()
}

/// A record batch message, part by part, so that each can be wrong.
struct Batch {
    version: MetadataVersion,
    rows: i64,
    nodes: Vec<FieldNode>,
    buffers: Vec<Buffer>,
    compressed: bool,
    body: Vec<u8>,
}

/// One column of the type Int32 with one value.
fn one_number() -> Batch {
    Batch {
        version: MetadataVersion::V5,
        rows: 1,
        nodes: vec![FieldNode::new(1, 0)],
        buffers: vec![Buffer::new(0, 0), Buffer::new(0, 4)],
        compressed: false,
        body: padded(&[1, 0, 0, 0]),
    }
}

/// One column of the type Null.
fn nulls(rows: i64) -> Batch {
    Batch {
        rows,
        nodes: vec![FieldNode::new(rows, rows)],
        buffers: Vec::new(),
        body: Vec::new(),
        ..one_number()
    }
}

/// One column of the type Utf8 with one value.
fn text(offsets: [i32; 2], value: &[u8]) -> Batch {
    let mut body = padded(&offsets.map(i32::to_le_bytes).concat());
    body.extend(padded(value));
    Batch {
        buffers: vec![
            Buffer::new(0, 0),
            Buffer::new(0, 8),
            Buffer::new(64, value.len() as i64),
        ],
        body,
        ..one_number()
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes
}

impl Batch {
    fn encode(&self) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let nodes = builder.create_vector(&self.nodes);
        let buffers = builder.create_vector(&self.buffers);
        let compression = self
            .compressed
            .then(|| BodyCompression::create(&mut builder, &BodyCompressionArgs::default()));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(self.rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(compression) = compression {
            batch.add_compression(compression);
        }
        let batch = batch.finish();
        let mut message = MessageBuilder::new(&mut builder);
        message.add_version(self.version);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_bodyLength(self.body.len() as i64);
        message.add_header(batch.as_union_value());
        let message = message.finish();
        builder.finish(message, None);
        let metadata = builder.finished_data();
        let head = (8 + metadata.len()).next_multiple_of(64);
        let mut out = vec![0xff; 4];
        out.extend_from_slice(&((head - 8) as u32).to_le_bytes());
        out.extend_from_slice(metadata);
        out.resize(head, 0);
        out.extend_from_slice(&self.body);
        out
    }
}
