//! Before a login, during it, and right after it.

use std::time::Duration;

use anyhow::Result;
use dagflux_host::ErrorKind::{
    self, Authentication, ConnectTimeout, ConnectionLost, Protocol, ServerShutdown,
};
use dagflux_host::Limits;

use super::case::{self, Case, Work, meddled, scripted};
use super::meddler::{Deed, Said};
use super::messages::{
    authentication, complete, copy_data, error, message, notice, ready, row, saying, setting,
    welcome,
};
use super::peer::Step::{self, Expect, Forever, HalfClose, Reset, Say, Stall, Startup};

/// Somebody who says this once a login was asked for, and then waits.
fn answering(name: &'static str, answer: Vec<u8>, kind: ErrorKind, words: &'static str) -> Case {
    login(name, [Startup, Say(answer), Stall], kind, words)
}

fn login(
    name: &'static str,
    script: impl IntoIterator<Item = Step>,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    scripted(name, script, Work::Connect, kind, words)
}

/// A real server whose part in SCRAM is changed.
fn scram(
    name: &'static str,
    rule: fn(&Said<'_>) -> Deed,
    kind: ErrorKind,
    words: &'static str,
) -> Case {
    meddled(name, Work::Connect, rule, kind, words)
}

/// The challenge, with one part replaced.
fn challenged(said: &Said<'_>, part: &str, with: &str) -> Deed {
    if !said.is(b'R', 1) {
        return Deed::Pass;
    }
    let text = String::from_utf8_lossy(said.body().get(4..).unwrap_or_default()).into_owned();
    let parts: Vec<_> = text
        .split(',')
        .map(|it| match it.starts_with(part) {
            true => with.replace("{}", it.get(2..).unwrap_or_default()),
            false => it.to_owned(),
        })
        .filter(|it| !it.is_empty())
        .collect();
    Deed::Say(authentication(11, parts.join(",").as_bytes()))
}

fn frames() -> Vec<Case> {
    vec![
        answering(
            "a length of 0",
            saying(b'R', 0, b""),
            Protocol,
            "of the length 0",
        ),
        answering(
            "a length of 1",
            saying(b'R', 1, b""),
            Protocol,
            "of the length 1",
        ),
        answering(
            "a length of 2",
            saying(b'R', 2, b""),
            Protocol,
            "of the length 2",
        ),
        answering(
            "a length of 3",
            saying(b'R', 3, b""),
            Protocol,
            "of the length 3",
        ),
        answering(
            "a length of -1",
            saying(b'R', -1, b""),
            Protocol,
            "of the length 4294967295",
        ),
        answering(
            "the least length",
            saying(b'R', i32::MIN, b""),
            Protocol,
            "of the length 2147483648",
        ),
        answering(
            "a length of 2 GiB",
            saying(b'R', i32::MAX, b""),
            Protocol,
            "of the length 2147483647",
        ),
        answering(
            "a length of 33 MiB",
            saying(b'R', 33 << 20, b""),
            Protocol,
            "of the length 34603008",
        ),
        answering(
            "a request for a login without a kind",
            message(b'R', b""),
            Protocol,
            "a message that ends early",
        ),
        answering(
            "an unknown kind of login",
            authentication(99, b""),
            Protocol,
            "unknown authentication tag `99`",
        ),
        answering(
            "a negative kind of login",
            authentication(-1, b""),
            Protocol,
            "unknown authentication tag `-1`",
        ),
        answering(
            "an unknown tag",
            message(b'?', b""),
            Protocol,
            "unknown message tag `63`",
        ),
        answering(
            "the tag 0",
            message(0, b""),
            Protocol,
            "unknown message tag `0`",
        ),
        answering(
            "an HTTP server",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            Protocol,
            "a message `H` of the length",
        ),
        answering(
            "bytes behind the end of a login",
            message(b'R', &[0; 9]),
            Protocol,
            "invalid message length",
        ),
    ]
}

fn states() -> Vec<Case> {
    let after = |bytes: Vec<u8>| [welcome_without_end(), bytes].concat();
    vec![
        login(
            "it closes at once",
            [],
            ConnectionLost,
            "without saying why",
        ),
        login(
            "it resets after the startup",
            [Startup, Reset],
            ConnectionLost,
            "broke",
        ),
        login("it says nothing", [Stall], ConnectTimeout, "within 5 s"),
        login(
            "it closes after the startup",
            [Startup],
            ConnectionLost,
            "without saying why",
        ),
        login(
            "it closes its half",
            [Startup, HalfClose, Stall],
            ConnectionLost,
            "without saying why",
        ),
        answering(
            "half a message",
            b"R\0\0".to_vec(),
            ConnectTimeout,
            "within 5 s",
        ),
        answering(
            "a row before the login",
            row(0, b""),
            Protocol,
            "no place in a login",
        ),
        answering(
            "a COPY before the login",
            copy_data(b"x"),
            Protocol,
            "no place in a login",
        ),
        answering(
            "the end of an answer before the login",
            ready(b'I'),
            Protocol,
            "no place in a login",
        ),
        answering(
            "the end of a command after the login",
            after(complete("SELECT 1")),
            Protocol,
            "unexpected message after the login",
        ),
        answering(
            "a second login after the login",
            after(authentication(0, b"")),
            Protocol,
            "unexpected message after the login",
        ),
        answering(
            "an end that is none",
            after(ready(b'X')),
            Protocol,
            "unknown transaction state",
        ),
        answering(
            "an end without a state",
            after(message(b'Z', b"")),
            Protocol,
            "ends early",
        ),
        answering(
            "a key of three bytes",
            after(message(b'K', b"abc")),
            Protocol,
            "ends early",
        ),
        answering(
            "a key of a megabyte",
            after(message(b'K', &vec![7; 1 << 20])),
            Protocol,
            "invalid message length",
        ),
        answering(
            "a refusal",
            error("FATAL", "57P03", "the database system is starting up"),
            ServerShutdown,
            "starting up",
        ),
        answering(
            "an error without fields",
            message(b'E', b"\0"),
            ErrorKind::Other,
            "without saying what it is",
        ),
        answering(
            "an error without an end",
            message(b'E', b"SFATAL\0Mx"),
            Protocol,
            "ends early",
        ),
        answering("an empty error", message(b'E', b""), Protocol, "ends early"),
        answering(
            "an error that is not UTF-8",
            message(b'E', b"SFATAL\0C28P01\0M\xff\xfe no\0\0"),
            Authentication,
            "\u{fffd} no",
        ),
    ]
}

/// A login without a password, up to before the end of it.
fn welcome_without_end() -> Vec<u8> {
    let mut bytes = welcome();
    bytes.truncate(bytes.len() - ready(b'I').len());
    bytes
}

fn logins() -> Vec<Case> {
    let sasl = |names: &[u8]| authentication(10, names);
    vec![
        answering(
            "a password in the clear",
            authentication(3, b""),
            Authentication,
            "asks for the password in the clear",
        ),
        answering("Kerberos", authentication(7, b""), Authentication, "GSSAPI"),
        answering("SSPI", authentication(9, b""), Authentication, "SSPI"),
        answering(
            "a challenge that nobody asked for",
            authentication(11, b"r=x,s=AAAA,i=4096"),
            Protocol,
            "no place in a login",
        ),
        answering(
            "a proof that nobody asked for",
            authentication(12, b"v=AAAA"),
            Protocol,
            "no place in a login",
        ),
        answering("no mechanism", sasl(b"\0"), Authentication, "malformed"),
        answering(
            "a mechanism that is not known",
            sasl(b"SCRAM-MD5\0\0"),
            Authentication,
            "malformed",
        ),
        answering(
            "a mechanism that is not text",
            sasl(b"\xff\xfe\0\0"),
            Protocol,
            "invalid utf-8",
        ),
        answering(
            "an MD5 salt of two bytes",
            authentication(5, b"ab"),
            Protocol,
            "ends early",
        ),
        login(
            "MD5 within SCRAM",
            [
                Startup,
                Say(sasl(b"SCRAM-SHA-256\0\0")),
                Expect(b'p'),
                Say(authentication(5, b"salt")),
                Stall,
            ],
            Authentication,
            "had its one login",
        ),
        login(
            "SCRAM within SCRAM",
            [
                Startup,
                Say(sasl(b"SCRAM-SHA-256\0\0")),
                Expect(b'p'),
                Say(sasl(b"SCRAM-SHA-256\0\0")),
                Stall,
            ],
            Protocol,
            "no place in a login",
        ),
        login(
            "let in without a challenge",
            [
                Startup,
                Say(sasl(b"SCRAM-SHA-256\0\0")),
                Expect(b'p'),
                Say(welcome()),
                Stall,
            ],
            Authentication,
            "without proving",
        ),
        login(
            "a proof without a challenge",
            [
                Startup,
                Say(sasl(b"SCRAM-SHA-256\0\0")),
                Expect(b'p'),
                Say(authentication(12, b"v=AAAA")),
                Stall,
            ],
            Authentication,
            "had its one login",
        ),
        scram(
            "one iteration",
            |said| challenged(said, "i=", "i=1"),
            Authentication,
            "fewer than 4,096",
        ),
        scram(
            "no iterations",
            |said| challenged(said, "i=", "i=0"),
            Authentication,
            "fewer than 4,096",
        ),
        scram(
            "2^31 iterations",
            |said| challenged(said, "i=", "i=2147483648"),
            Authentication,
            "more than 100,000",
        ),
        scram(
            "2^32 + 4096 iterations",
            |said| challenged(said, "i=", "i=4294971392"),
            Authentication,
            "more than 100,000",
        ),
        scram(
            "iterations that are no number",
            |said| challenged(said, "i=", "i=many"),
            Authentication,
            "more than 100,000",
        ),
        scram(
            "iterations left out",
            |said| challenged(said, "i=", ""),
            Authentication,
            "more than 100,000",
        ),
        scram(
            "a second number of iterations",
            |said| challenged(said, "i=", "i=4096,i=1"),
            Authentication,
            "malformed",
        ),
        scram(
            "an empty salt",
            |said| challenged(said, "s=", "s="),
            Authentication,
            "password authentication failed",
        ),
        scram(
            "a salt that is not Base64",
            |said| challenged(said, "s=", "s=!!!!"),
            Authentication,
            "malformed",
        ),
        scram(
            "a salt of 100 kB",
            |said| challenged(said, "s=", &format!("s={}", "AAAA".repeat(25_000))),
            Authentication,
            "not what the server sent last",
        ),
        scram(
            "another salt",
            |said| challenged(said, "s=", "s=AAAAAAAAAAAAAAAAAAAAAA=="),
            Authentication,
            "password authentication failed",
        ),
        scram(
            "a nonce of its own",
            |said| challenged(said, "r=", "r=AAAAAAAAAAAAAAAAAAAAAAAA"),
            Authentication,
            "malformed",
        ),
        scram(
            "a nonce with a letter before it",
            |said| challenged(said, "r=", "r=x{}"),
            Authentication,
            "malformed",
        ),
        scram(
            "a nonce left out",
            |said| challenged(said, "r=", ""),
            Authentication,
            "malformed",
        ),
        scram(
            "an empty challenge",
            |said| match said.is(b'R', 1) {
                true => Deed::Say(authentication(11, b"")),
                false => Deed::Pass,
            },
            Authentication,
            "not what the server sent last",
        ),
        scram(
            "a challenge with something behind it",
            |said| match said.is(b'R', 1) {
                true => Deed::Say([said.whole, &notice("psst")].concat()),
                false => Deed::Pass,
            },
            Authentication,
            "not what the server sent last",
        ),
        scram(
            "the challenge twice",
            |said| match said.is(b'R', 2) {
                true => Deed::Say(authentication(11, b"r=x,s=AAAA,i=4096")),
                false => Deed::Pass,
            },
            Authentication,
            "had its one login",
        ),
        scram(
            "a wrong proof",
            |said| match said.is(b'R', 2) {
                true => Deed::Say(authentication(
                    12,
                    b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                )),
                false => Deed::Pass,
            },
            Authentication,
            "impostor",
        ),
        scram(
            "an error for a proof",
            |said| match said.is(b'R', 2) {
                true => Deed::Say(authentication(12, b"e=other-error")),
                false => Deed::Pass,
            },
            Authentication,
            "impostor",
        ),
        scram(
            "no proof",
            |said| match said.is(b'R', 2) {
                true => Deed::Say(Vec::new()),
                false => Deed::Pass,
            },
            Authentication,
            "without proving",
        ),
        scram(
            "the proof twice",
            |said| match said.is(b'R', 2) {
                true => Deed::Say([said.whole, said.whole].concat()),
                false => Deed::Pass,
            },
            Authentication,
            "had its one login",
        ),
    ]
}

fn floods() -> Vec<Case> {
    let flood = |name, bytes: Vec<u8>| {
        let many = bytes.repeat(1 + 65_536 / bytes.len());
        login(
            name,
            [Startup, Forever(many)],
            ConnectTimeout,
            "did not complete the login within 3 s",
        )
    };
    vec![
        flood("remarks without end", notice("so it goes")),
        flood("settings without end", setting(b"a", b"b")),
        flood(
            "settings of a megabyte without end",
            setting(b"a", &vec![b'x'; 1 << 20]),
        ),
        flood(
            "settings that are not text without end",
            setting(b"\xff", b"\xfe"),
        ),
        flood(
            "notifications without end",
            message(b'A', b"\0\0\0\x07channel\0payload\0"),
        ),
        login(
            "an error whose fields do not end",
            [
                Startup,
                Say(saying(b'E', i32::MAX, b"")),
                Forever(b"Mzz\0".repeat(1024)),
            ],
            Protocol,
            "a message `E` of the length 2147483647",
        ),
        login(
            "an error of a hundred thousand fields",
            [
                Startup,
                Say(message(
                    b'E',
                    &[b"Mzz\0".repeat(100_000).as_slice(), b"\0"].concat(),
                )),
                Stall,
            ],
            ErrorKind::Other,
            "zz",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_cannot_be() -> Result<()> {
    case::all("servers_frames", frames(), 15).await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_the_wrong_place() -> Result<()> {
    case::all("servers_states", states(), 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_are_none() -> Result<()> {
    case::all("servers_logins", logins(), 30).await
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_before_the_login() -> Result<()> {
    // Little memory: what a server says in vain is not kept.
    let limits = Limits::default()
        .with_connect_time(Duration::from_secs(3))
        .with_memory(96 << 20);
    case::all_within(limits, "servers_floods", floods(), 7).await
}
