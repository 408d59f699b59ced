//! Which uses of the sensitive fields are permitted.

use crate::descriptor::{Field, FieldKind, Role};

/// The fewest iterations a SCRAM exchange may ask for: PostgreSQL's default and
/// the least that RFC 7677 allows. Fewer would make guessing from a recorded
/// exchange cheap.
pub const FEWEST_SCRAM_ITERATIONS: u32 = 4_096;

/// The most iterations a SCRAM exchange may ask for, so that a server cannot
/// keep the client busy: the bound of `postgres-protocol` and of pgjdbc.
pub const MOST_SCRAM_ITERATIONS: u32 = 100_000;

/// Exchanges per connection: one login needs one.
const EXCHANGES_PER_CONNECTION: u32 = 1;

/// Which ways of logging in are permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginPolicy {
    /// Permits MD5 logins. The exchange is weak, but servers set up before
    /// PostgreSQL 14 still ask for it, and refusing means that people send
    /// nothing safer instead. Default: yes, on whatever channel the connection
    /// form asks for.
    pub md5: bool,
}

impl Default for LoginPolicy {
    fn default() -> Self {
        Self { md5: true }
    }
}

impl LoginPolicy {
    /// Permits MD5 logins, or forbids them.
    pub fn with_md5(mut self, permitted: bool) -> Self {
        self.md5 = permitted;
        self
    }
}

/// Why a use of a field is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The descriptor has no such field, or it is not sensitive.
    NoSuchField,
    /// The field is not made for this use.
    WrongUse,
    /// The policy forbids MD5.
    Md5Forbidden,
    /// The exchanges of one login are used up.
    Exhausted,
    /// The connection has to be encrypted and verified first.
    InsecureChannel,
    /// The challenge is not what the server sent last.
    UnexpectedChallenge,
    /// The challenge asks for too few or too many iterations.
    Iterations,
}

/// What is known of the connection that logs in.
#[derive(Debug, Clone, Copy)]
pub struct Channel {
    /// The connection form asks for encryption.
    pub must_be_secure: bool,
    /// The channel is encrypted and the server verified.
    pub is_secure: bool,
}

/// Whether a field's value may be told to the connector.
///
/// Only the login name is: wire protocols send it in the clear anyway.
pub fn permit_reveal(fields: &[Field], name: &str) -> Result<(), Refusal> {
    match find(fields, name)? {
        field if field.role == Role::LoginName && field.kind != FieldKind::Secret => Ok(()),
        _ => Err(Refusal::WrongUse),
    }
}

/// Whether a login may begin with the password in the field `name`.
pub fn permit_exchange(fields: &[Field], name: &str, channel: Channel) -> Result<(), Refusal> {
    if find(fields, name)?.role != Role::LoginPassword {
        return Err(Refusal::WrongUse);
    }
    if channel.must_be_secure && !channel.is_secure {
        return Err(Refusal::InsecureChannel);
    }
    Ok(())
}

/// The exchanges of a connection, on whatever socket, with one more; none if that may not begin.
pub fn one_more_exchange(begun: u32) -> Option<u32> {
    if begun < EXCHANGES_PER_CONNECTION {
        begun.checked_add(1)
    } else {
        None
    }
}

/// Whether a challenge is what the server sent: the last bytes that arrived,
/// with nothing waiting behind them.
///
/// A server that waits for the answer to a challenge has sent nothing after it.
/// Were any bytes of the past accepted, a connector could make the server echo
/// a challenge of its own making inside an error message.
pub fn permit_challenge(
    challenge: &[u8],
    arrived: &[u8],
    more_waiting: bool,
) -> Result<(), Refusal> {
    if challenge.is_empty() || more_waiting || !arrived.ends_with(challenge) {
        return Err(Refusal::UnexpectedChallenge);
    }
    Ok(())
}

/// Whether an MD5 salt is what the server asked to be answered: four bytes, at
/// the end of its request for an MD5 password.
///
/// Four bytes alone prove nothing: the end of any message would do as a salt.
pub fn permit_md5_salt(
    salt: &[u8],
    arrived: &[u8],
    more_waiting: bool,
) -> Result<[u8; 4], Refusal> {
    /// `AuthenticationMD5Password` up to its salt. Manual: "Message Formats".
    const REQUEST: [u8; 9] = *b"R\0\0\0\x0c\0\0\0\x05";
    let salt: [u8; 4] = salt.try_into().map_err(|_| Refusal::UnexpectedChallenge)?;
    permit_challenge(&[&REQUEST[..], &salt].concat(), arrived, more_waiting)?;
    Ok(salt)
}

/// Whether a SCRAM server-first-message asks for a tolerable number of
/// iterations. Returns the number it asks for.
pub fn permit_iterations(server_first: &[u8]) -> Result<u32, Refusal> {
    let iterations = std::str::from_utf8(server_first)
        .ok()
        .and_then(|message| message.split(',').find_map(|part| part.strip_prefix("i=")))
        .and_then(|digits| digits.parse().ok())
        .ok_or(Refusal::Iterations)?;
    if !(FEWEST_SCRAM_ITERATIONS..=MOST_SCRAM_ITERATIONS).contains(&iterations) {
        return Err(Refusal::Iterations);
    }
    Ok(iterations)
}

fn find<'a>(fields: &'a [Field], name: &str) -> Result<&'a Field, Refusal> {
    fields
        .iter()
        .find(|field| field.name == name && field.sensitive)
        .ok_or(Refusal::NoSuchField)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: FieldKind, role: Role) -> Field {
        Field {
            name: name.into(),
            label: name.into(),
            kind,
            required: true,
            sensitive: true,
            default: None,
            help: String::new(),
            role,
            choices: &[],
        }
    }

    fn form() -> Vec<Field> {
        vec![
            field("host", FieldKind::Text, Role::EndpointHost),
            field("username", FieldKind::Text, Role::LoginName),
            field("password", FieldKind::Secret, Role::LoginPassword),
            field("token", FieldKind::Secret, Role::None),
            Field {
                sensitive: false,
                ..field("database", FieldKind::Text, Role::None)
            },
        ]
    }

    const PLAIN: Channel = Channel {
        must_be_secure: false,
        is_secure: false,
    };

    #[test]
    fn only_the_login_name_is_revealed() {
        assert_eq!(permit_reveal(&form(), "username"), Ok(()));
        for name in ["host", "password", "token"] {
            assert_eq!(
                permit_reveal(&form(), name),
                Err(Refusal::WrongUse),
                "{name}"
            );
        }
        for name in ["database", "nonsense", ""] {
            assert_eq!(
                permit_reveal(&form(), name),
                Err(Refusal::NoSuchField),
                "{name}"
            );
        }
        let lying = [field("username", FieldKind::Secret, Role::LoginName)];
        assert_eq!(permit_reveal(&lying, "username"), Err(Refusal::WrongUse));
    }

    #[test]
    fn only_the_password_logs_in_and_once_and_on_the_right_channel() {
        assert_eq!(permit_exchange(&form(), "password", PLAIN), Ok(()));
        for name in ["username", "host", "token"] {
            assert_eq!(
                permit_exchange(&form(), name, PLAIN),
                Err(Refusal::WrongUse),
                "{name}"
            );
        }
        assert_eq!(one_more_exchange(0), Some(1));
        assert_eq!(one_more_exchange(1), None);
        let bare = Channel {
            must_be_secure: true,
            ..PLAIN
        };
        assert_eq!(
            permit_exchange(&form(), "password", bare),
            Err(Refusal::InsecureChannel)
        );
        let secure = Channel {
            is_secure: true,
            ..bare
        };
        assert_eq!(permit_exchange(&form(), "password", secure), Ok(()));
    }

    #[test]
    fn a_challenge_is_the_last_thing_the_server_sent() {
        let challenge = b"r=abc,s=AAAA,i=4096";
        let arrived = [b"R\0\0\0\x1b\0\0\0\x0b".as_slice(), challenge].concat();
        assert_eq!(permit_challenge(challenge, &arrived, false), Ok(()));
        assert_eq!(
            permit_challenge(challenge, &arrived, true),
            Err(Refusal::UnexpectedChallenge)
        );
        let echoed = [
            b"EFATAL database \"".as_slice(),
            challenge,
            b"\" does not exist\0\0",
        ]
        .concat();
        assert_eq!(
            permit_challenge(challenge, &echoed, false),
            Err(Refusal::UnexpectedChallenge)
        );
        assert_eq!(
            permit_challenge(b"r=abc,s=AAAA,i=1", &arrived, false),
            Err(Refusal::UnexpectedChallenge)
        );
        assert_eq!(
            permit_challenge(b"", &arrived, false),
            Err(Refusal::UnexpectedChallenge)
        );
    }

    #[test]
    fn a_salt_is_part_of_a_request_for_md5() {
        let request = b"R\0\0\0\x0c\0\0\0\x05salt";
        assert_eq!(permit_md5_salt(b"salt", request, false), Ok(*b"salt"));
        assert!(permit_md5_salt(b"salt", request, true).is_err());
        // What a server that offers SCRAM sends ends in the same bytes every time.
        let scram = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
        assert!(permit_md5_salt(b"56\0\0", scram, false).is_err());
        for salt in [&b""[..], b"alt", b"\x05salt", b"tlas"] {
            assert!(permit_md5_salt(salt, request, false).is_err());
        }
    }

    #[test]
    fn iterations_are_bounded_both_ways() {
        let message = |count: &str| format!("r=abc,s=AAAA,i={count}").into_bytes();
        assert_eq!(permit_iterations(&message("4096")), Ok(4_096));
        assert_eq!(permit_iterations(&message("100000")), Ok(100_000));
        for count in [
            "1",
            "4095",
            "100001",
            "2147483648",
            "99999999999",
            "",
            "-1",
            "x",
        ] {
            assert_eq!(
                permit_iterations(&message(count)),
                Err(Refusal::Iterations),
                "{count}"
            );
        }
        assert_eq!(permit_iterations(b"r=abc,s=AAAA"), Err(Refusal::Iterations));
        assert_eq!(permit_iterations(b"\xff"), Err(Refusal::Iterations));
    }

    #[test]
    fn md5_is_permitted_by_default() {
        assert!(LoginPolicy::default().md5);
    }
}
