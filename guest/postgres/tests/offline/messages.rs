//! Frames and messages as bytes.

use bytes::BytesMut;
use dagflux_postgres::protocol::frame::{self, Frame, Split};
use dagflux_postgres::protocol::{backend, frontend};

use crate::script::{error_response, message};

fn built(build: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    build(&mut out);
    out.to_vec()
}

#[test]
fn messages_to_the_server_are_these_bytes() {
    let startup = built(|out| {
        frontend::startup(&[("user", "u"), ("database", "d")], out).expect("no NUL");
    });
    assert_eq!(
        startup,
        b"\x00\x00\x00\x1b\x00\x03\x00\x00user\x00u\x00database\x00d\x00\x00"
    );
    assert_eq!(
        built(|out| frontend::query("SELECT 1", out).expect("no NUL")),
        b"Q\x00\x00\x00\x0dSELECT 1\x00"
    );
    assert_eq!(
        built(|out| frontend::parse_and_describe("SELECT 1", out).expect("no NUL")),
        b"P\x00\x00\x00\x10\x00SELECT 1\x00\x00\x00D\x00\x00\x00\x06S\x00"
    );
    assert_eq!(
        built(|out| {
            let formats = [1, 0].into_iter();
            frontend::bind_and_execute(&[Some("x"), None], formats, out).expect("no NUL");
        }),
        b"B\x00\x00\x00\x19\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01x\xff\xff\xff\xff\x00\x02\x00\x01\x00\x00E\x00\x00\x00\x09\x00\x00\x00\x00\x00"
    );
    assert_eq!(built(frontend::sync), b"S\x00\x00\x00\x04");
    assert_eq!(built(frontend::copy_done), b"c\x00\x00\x00\x04");
    assert_eq!(built(frontend::terminate), b"X\x00\x00\x00\x04");
    assert_eq!(
        built(|out| frontend::cancel_request(1, 2, out)),
        b"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02"
    );
    assert!(frontend::query("a\0b", &mut BytesMut::new()).is_err());
}

#[test]
fn a_frame_is_whole_or_says_how_much_is_missing() {
    let bytes = message(b'D', b"body");
    for length in 0..bytes.len() {
        let needed = if length < 5 { 5 } else { bytes.len() };
        assert_eq!(frame::split(&bytes[..length]), Ok(Split::Partial(needed)));
    }
    let mut longer = bytes.clone();
    longer.extend_from_slice(b"next");
    let expected = Frame {
        tag: b'D',
        body: b"body",
        whole: &bytes,
    };
    assert_eq!(frame::split(&longer), Ok(Split::Frame(expected)));
}

#[test]
fn a_frame_of_impossible_length_is_refused_before_it_is_waited_for() {
    for length in [
        0,
        1,
        3,
        (frame::LONGEST + 1) as u32,
        i32::MAX as u32,
        u32::MAX,
    ] {
        let mut bytes = vec![b'D'];
        bytes.extend_from_slice(&length.to_be_bytes());
        assert!(frame::split(&bytes).is_err(), "{length}");
    }
}

/// One of each message a server sends.
fn samples() -> Vec<Vec<u8>> {
    vec![
        message(b'R', b"\x00\x00\x00\x00"),
        message(b'R', b"\x00\x00\x00\x05salt"),
        message(b'R', b"\x00\x00\x00\x0aSCRAM-SHA-256-PLUS\x00SCRAM-SHA-256\x00\x00"),
        message(b'R', b"\x00\x00\x00\x0br=nonce,s=c2FsdA==,i=4096"),
        message(b'K', b"\x00\x00\x00\x01\x00\x00\x00\x02"),
        message(b'S', b"server_version\x0015.8\x00"),
        message(b'Z', b"I"),
        message(b'C', b"SELECT 1\x00"),
        message(b't', b"\x00\x01\x00\x00\x00\x17"),
        message(b'T', b"\x00\x01name\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"),
        message(b'D', b"\x00\x02\x00\x00\x00\x01x\xff\xff\xff\xff"),
        message(b'G', b"\x01\x00\x01\x00\x01"),
        message(b'H', b"\x01\x00\x01\x00\x01"),
        message(b'A', b"\x00\x00\x00\x01channel\x00payload\x00"),
        error_response(&[(b'S', "ERROR"), (b'V', "ERROR"), (b'C', "42601"), (b'M', "no"), (b'P', "7")]),
    ]
}

/// Reads a message as deeply as the connector does.
fn read(bytes: &[u8]) -> bool {
    let Ok(Split::Frame(frame)) = frame::split(bytes) else {
        return false;
    };
    match backend::parse(frame) {
        Err(_) => false,
        Ok(backend::Message::RowDescription(body)) => backend::columns(&body).is_ok(),
        Ok(backend::Message::ParameterDescription(body)) => backend::parameter_count(&body).is_ok(),
        Ok(backend::Message::AuthenticationSasl(body)) => backend::mechanisms(&body).is_ok(),
        Ok(backend::Message::ErrorResponse(body)) => backend::report(body.fields()).is_ok(),
        Ok(backend::Message::DataRow(body)) => backend::text_row(&body).is_ok(),
        Ok(_) => true,
    }
}

#[test]
fn every_message_is_read_whole_and_no_cut_one_panics() {
    for sample in samples() {
        assert!(read(&sample), "{}", sample.escape_ascii());
        for length in 5..sample.len() {
            // The frame is whole, but the body ends early.
            let cut = message(sample[0], &sample[5..length]);
            read(&cut);
            let mut longer = message(sample[0], &[&sample[5..length], &[0xff; 9]].concat());
            read(&longer);
            longer.truncate(length);
            assert!(!read(&longer) || length == sample.len());
        }
        for at in 5..sample.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = sample.clone();
                changed[at] = value;
                read(&changed);
            }
        }
    }
}

#[test]
fn a_report_has_its_fields_by_what_they_mean() {
    let bytes = error_response(&[
        (b'S', "FEHLER"),
        (b'V', "ERROR"),
        (b'C', "23505"),
        (b'M', "doppelt"),
        (b'D', "detail"),
        (b'W', "COPY t, line 3"),
        (b'n', "t_pkey"),
        (b'?', "of the future"),
    ]);
    let Ok(Split::Frame(frame)) = frame::split(&bytes) else {
        panic!("a frame");
    };
    let Ok(backend::Message::ErrorResponse(body)) = backend::parse(frame) else {
        panic!("an error");
    };
    let report = backend::report(body.fields()).expect("fields");
    assert_eq!(report.severity, "ERROR");
    assert_eq!(report.constraint.as_deref(), Some("t_pkey"));
    assert_eq!(report.position, None);
    assert!(!report.is_fatal());
}

#[test]
fn a_long_report_is_cut_between_characters() {
    for lead in 0..4 {
        let text = format!("{}{}", "x".repeat(lead), "\u{1f40d}".repeat(20_000));
        let bytes = error_response(&[(b'M', &text)]);
        let Ok(Split::Frame(frame)) = frame::split(&bytes) else {
            panic!("a frame");
        };
        let Ok(backend::Message::ErrorResponse(body)) = backend::parse(frame) else {
            panic!("an error");
        };
        let message = backend::report(body.fields()).expect("fields").message;
        let kept = message.strip_suffix('…').expect("cut short");
        assert!(text.starts_with(kept), "{lead}");
        assert!(kept.len() > 64 * 1024 - 4, "{lead}");
    }
}
