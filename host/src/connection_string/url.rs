//! `postgres://user:password@host:port/database?parameter=value&…`, as libpq reads it: RFC 3986
//! with a few liberties.
//!
//! Manual: "Connection URIs". What people forget to escape in passwords (`@`, `/`, `?`) would end
//! up in the host's or the database's name, and be shown; so it is looked for.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::fault;
use crate::error::{Error, Result};

/// The schemes of the URLs.
pub const SCHEMES: &[&str] = &["postgres", "postgresql"];

/// A parameter and its value.
pub type Pair = (String, Zeroizing<String>);

/// What comes behind the scheme; none if the text is no URL.
pub fn strip_scheme(text: &str) -> Result<Option<&str>> {
    for scheme in SCHEMES {
        if let Some(rest) = text
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
        {
            return Ok(Some(rest));
        }
    }
    match text.split_once("://") {
        // A keyword string may have a URL as a value.
        Some((scheme, _)) if !scheme.contains(['=', ' ']) => {
            Err(match scheme.starts_with("jdbc:") {
                true => fault(
                    "a JDBC URL is not a connection URL",
                    "leave out the leading `jdbc:`, and write user and password before the host: postgresql://user:password@host:5432/database",
                ),
                false => fault(
                    "the URL is not one of a PostgreSQL server",
                    "write it as postgres://user@host:5432/database",
                ),
            })
        }
        _ => Ok(None),
    }
}

/// The parameters in a URL, without its scheme.
pub fn pairs(rest: &str) -> Result<Vec<Pair>> {
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match place.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (place, None),
    };
    if database.is_some_and(|database| database.contains('@')) {
        return Err(unescaped());
    }
    let (login, host) = match authority.split_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    if host.contains('@') {
        return Err(unescaped());
    }
    let mut pairs = Vec::new();
    let mut add = |name: &str, raw: &str| -> Result<()> {
        pairs.push((name.to_owned(), decode(raw)?));
        Ok(())
    };
    if let Some(login) = login {
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        add("user", user)?;
        if let Some(password) = password {
            add("password", password)?;
        }
    }
    let (host, port) = host_and_port(host)?;
    add("host", host)?;
    add("port", port)?;
    if let Some(database) = database {
        add("dbname", database)?;
    }
    for (at, parameter) in query.iter().flat_map(|query| query.split('&')).enumerate() {
        let number = at.saturating_add(1);
        if parameter.is_empty() {
            continue;
        }
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(fault(
                format!("parameter {number} of the connection URL has no `=`"),
                format!("write it as name=value; {ESCAPE}"),
            ));
        };
        if value.contains('=') {
            return Err(fault(
                format!("parameter {number} of the connection URL has more than one `=`"),
                "write `&` between parameters, and `=` within a value as %3D",
            ));
        }
        let name = decode(name)?;
        // The habit of other drivers.
        match (name.as_str(), value) {
            ("ssl", "true") => add("sslmode", "require")?,
            (name, value) => add(name, value)?,
        }
    }
    Ok(pairs)
}

/// Splits a host from its port, with an IPv6 address in brackets.
fn host_and_port(text: &str) -> Result<(&str, &str)> {
    if text.contains(',') {
        return Err(several());
    }
    let Some(bracketed) = text.strip_prefix('[') else {
        return match text.split_once(':') {
            Some((_, port)) if port.contains(':') => Err(fault(
                "the host in the connection URL has more than one `:`",
                format!(
                    "write an IPv6 address in brackets, as in postgres://user@[2001:db8::1]:5432/database; {ESCAPE}"
                ),
            )),
            Some(parts) => Ok(parts),
            None => Ok((text, "")),
        };
    };
    let wrong = || {
        fault(
            "the address in brackets in the connection URL is not an IPv6 address",
            "write it as in postgres://user@[2001:db8::1]:5432/database",
        )
    };
    let (address, rest) = bracketed.split_once(']').ok_or_else(wrong)?;
    if address.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(wrong());
    }
    match rest.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if rest.is_empty() => Ok((address, "")),
        None => Err(wrong()),
    }
}

/// The characters that `%` and two hexadecimal digits stand for.
fn decode(raw: &str) -> Result<Zeroizing<String>> {
    let digits = |rest: &str| {
        let mut two = rest.bytes().take(2);
        let is_digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
        is_digit(two.next()) && is_digit(two.next())
    };
    if !raw.split('%').skip(1).all(digits) {
        return Err(fault(
            "the connection URL has a `%` without two hexadecimal digits behind it",
            "write `%` itself as %25",
        ));
    }
    let text = percent_decode_str(raw).decode_utf8().map_err(|_| {
        fault(
            "the escapes of the connection URL do not come to UTF-8 text",
            "escape each byte of a character's UTF-8 form, such as %C3%A4 for ä",
        )
    })?;
    Ok(Zeroizing::new(text.into_owned()))
}

const ESCAPE: &str = "in a user's name or a password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25";

fn unescaped() -> Error {
    fault("the connection URL has an `@` where none can be", ESCAPE)
}

/// The failure of a string that names several servers.
pub fn several() -> Error {
    fault(
        "the connection string names several hosts, and a connection leads to one",
        "name the one to connect to; for a read-only replica or a second server make a connection of its own",
    )
}
