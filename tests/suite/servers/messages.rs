//! A server's messages, proper ones and others. Manual: "Message Formats".

/// A message: tag, length, body.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).expect("a short message");
    saying(tag, length, body)
}

/// A message that says to have another length than it has. The length counts itself.
pub fn saying(tag: u8, length: i32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// A request for a login of some kind, or the end of one.
pub fn authentication(code: i32, rest: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes(), rest].concat())
}

/// What an error and a notice are made of.
pub fn fields(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, value) in fields {
        body.push(*kind);
        body.extend_from_slice(value);
        body.push(0);
    }
    body.push(0);
    body
}

/// An error; a FATAL one ends the connection.
pub fn error(severity: &str, code: &str, text: &str) -> Vec<u8> {
    let severity = severity.as_bytes();
    let parts = [
        (b'S', severity),
        (b'V', severity),
        (b'C', code.as_bytes()),
        (b'M', text.as_bytes()),
    ];
    message(b'E', &fields(&parts))
}

/// A remark.
pub fn notice(text: &str) -> Vec<u8> {
    let parts: [(u8, &[u8]); 4] = [
        (b'S', b"NOTICE"),
        (b'V', b"NOTICE"),
        (b'C', b"00000"),
        (b'M', text.as_bytes()),
    ];
    message(b'N', &fields(&parts))
}

/// A setting that the server tells.
pub fn setting(name: &[u8], value: &[u8]) -> Vec<u8> {
    message(b'S', &[name, &[0], value, &[0]].concat())
}

/// The end of an answer.
pub fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

/// A login without a password, up to the end of it.
pub fn welcome() -> Vec<u8> {
    [
        authentication(0, b""),
        setting(b"server_version", b"16.4"),
        setting(b"server_encoding", b"UTF8"),
        message(b'K', b"\x00\x00\x00\x2a\x00\x00\x00\x07"),
        ready(b'I'),
    ]
    .concat()
}

/// One column of a result: name, type, size.
pub fn column(name: &str, oid: u32, size: i16) -> Vec<u8> {
    let mut column = [name.as_bytes(), &[0]].concat();
    column.extend_from_slice(&[0; 6]);
    column.extend_from_slice(&oid.to_be_bytes());
    column.extend_from_slice(&size.to_be_bytes());
    column.extend_from_slice(&(-1_i32).to_be_bytes());
    column.extend_from_slice(&[0; 2]);
    column
}

/// The description of a result that says to have `count` columns.
pub fn description(count: i16, columns: &[Vec<u8>]) -> Vec<u8> {
    message(
        b'T',
        &[&count.to_be_bytes()[..], &columns.concat()].concat(),
    )
}

/// Values as they are in a row, each with its length.
pub fn values(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        match value {
            Some(value) => {
                bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
                bytes.extend_from_slice(value);
            }
            None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
    bytes
}

/// A row that says to have `count` values.
pub fn row(count: i16, values: &[u8]) -> Vec<u8> {
    message(b'D', &[&count.to_be_bytes(), values].concat())
}

/// The end of a statement.
pub fn complete(tag: &str) -> Vec<u8> {
    message(b'C', &[tag.as_bytes(), &[0]].concat())
}

/// A piece of a COPY.
pub fn copy_data(bytes: &[u8]) -> Vec<u8> {
    message(b'd', bytes)
}

/// What a binary COPY begins with.
pub const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
