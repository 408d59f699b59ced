//! Schemas that no writer of Arrow would make, part by part.

use arrow_ipc::{
    Field, FieldBuilder, IntBuilder, MessageBuilder, MessageHeader, MetadataVersion, SchemaBuilder,
    Struct_Builder, Type,
};
use flatbuffers::{FlatBufferBuilder, WIPOffset};

type Builder = FlatBufferBuilder<'static>;

/// One column, within a struct, within a struct, ...
pub fn deep(levels: u64) -> Vec<u8> {
    let mut builder = Builder::new();
    let mut inner = number(&mut builder, "n");
    for _ in 0..levels {
        let children = builder.create_vector(&[inner]);
        let of = Struct_Builder::new(&mut builder).finish().as_union_value();
        let mut field = FieldBuilder::new(&mut builder);
        field.add_type_type(Type::Struct_);
        field.add_type_(of);
        field.add_children(children);
        inner = field.finish();
    }
    schema(builder, &[inner])
}

/// So many columns.
pub fn wide(columns: u64) -> Vec<u8> {
    let mut builder = Builder::new();
    let of = int(&mut builder);
    let fields: Vec<_> = (0..columns)
        .map(|_| {
            let mut field = FieldBuilder::new(&mut builder);
            field.add_type_type(Type::Int);
            field.add_type_(of);
            field.finish()
        })
        .collect();
    schema(builder, &fields)
}

/// One column with a name of 64 KiB, so many times.
pub fn shared(columns: u64) -> Vec<u8> {
    let mut builder = Builder::new();
    let field = number(&mut builder, &"n".repeat(64 * 1024));
    let fields = vec![field; usize::try_from(columns).unwrap_or_default()];
    schema(builder, &fields)
}

fn int(builder: &mut Builder) -> WIPOffset<flatbuffers::UnionWIPOffset> {
    let mut int = IntBuilder::new(builder);
    int.add_bitWidth(32);
    int.add_is_signed(true);
    int.finish().as_union_value()
}

fn number(builder: &mut Builder, name: &str) -> WIPOffset<Field<'static>> {
    let of = int(builder);
    let name = builder.create_string(name);
    let mut field = FieldBuilder::new(builder);
    field.add_name(name);
    field.add_type_type(Type::Int);
    field.add_type_(of);
    field.finish()
}

fn schema(mut builder: Builder, fields: &[WIPOffset<Field<'static>>]) -> Vec<u8> {
    let fields = builder.create_vector(fields);
    let mut schema = SchemaBuilder::new(&mut builder);
    schema.add_fields(fields);
    let schema = schema.finish().as_union_value();
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::Schema);
    message.add_header(schema);
    let message = message.finish();
    builder.finish(message, None);
    let metadata = builder.finished_data();
    let length = metadata.len().next_multiple_of(8);
    let mut out = Vec::with_capacity(length + 8);
    out.extend_from_slice(&[0xff; 4]);
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(metadata);
    out.resize(length + 8, 0);
    out
}
