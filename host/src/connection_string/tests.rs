//! Connection strings as libpq's documentation has them, wrong ones, and random ones.

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    let string = ConnectionString::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let values = string.values.iter();
    let pairs: Vec<_> = values
        .map(|(meaning, value)| format!("{meaning:?}={}", value.as_str()))
        .collect();
    pairs.join(" ")
}

#[test]
fn the_examples_of_the_manual() {
    for (text, expected) in [
        (
            "host=localhost port=5432 dbname=mydb connect_timeout=10",
            "Host=localhost Port=5432 Database=mydb ConnectTimeout=10",
        ),
        ("postgresql://", ""),
        ("postgresql://localhost", "Host=localhost"),
        ("postgresql://localhost:5433", "Host=localhost Port=5433"),
        (
            "postgresql://localhost/mydb",
            "Host=localhost Database=mydb",
        ),
        ("postgresql://user@localhost", "Host=localhost User=user"),
        (
            "postgresql://user:secret@localhost",
            "Host=localhost User=user Password=secret",
        ),
        (
            "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
            "Host=localhost Database=otherdb User=other ConnectTimeout=10 ApplicationName=myapp",
        ),
        (
            "postgresql:///mydb?host=localhost&port=5433",
            "Host=localhost Port=5433 Database=mydb",
        ),
        (
            "postgresql://[2001:db8::1234]/database",
            "Host=2001:db8::1234 Database=database",
        ),
        (
            "postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff",
            "?",
        ),
    ] {
        if expected == "?" {
            assert!(ConnectionString::parse(text).is_err());
        } else {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}

#[test]
fn parameters_in_our_words() {
    for (text, expected) in [
        ("postgres://u:@h/d", "Host=h Database=d User=u"),
        ("postgres://:p@h", "Host=h Password=p"),
        (
            "postgres://u:p%40%2F%3A%25@h:/d/e",
            "Host=h Database=d/e User=u Password=p@/:%",
        ),
        ("postgres://u:p:q@h", "Host=h User=u Password=p:q"),
        (
            "postgres://u@h?sslmode=allow",
            "Host=h User=u SslMode=prefer",
        ),
        ("postgres://u@h?ssl=true", "Host=h User=u SslMode=require"),
        (
            "postgres://h?sslmode=verify-full&sslrootcert=ca.pem",
            "Host=h SslMode=verify-full SslCa=ca.pem",
        ),
        (
            "postgres://h?sslrootcert=system",
            "Host=h SslMode=verify-full",
        ),
        (
            "postgres://h?sslcert=c.pem&sslkey=k.pem",
            "Host=h SslCert=c.pem SslKey=k.pem",
        ),
        (
            "postgres://h?ssl_min_protocol_version=TLSv1.1",
            "Host=h SslMinVersion=TLSv1.2",
        ),
        (
            "postgres://h?ssl_min_protocol_version=TLSv1.3",
            "Host=h SslMinVersion=TLSv1.3",
        ),
        (
            "postgres://h?channel_binding=disable",
            "Host=h ChannelBinding=prefer",
        ),
        (
            "postgres://h?hostaddr=10.0.0.1&passfile=/p",
            "Host=h HostAddress=10.0.0.1 PasswordFile=/p",
        ),
        (
            "postgres://h?keepalives=1&keepalives_idle=30&keepalives_count=3",
            "Host=h KeepAlive=30",
        ),
        (
            "postgres://h?keepalives_idle=30&keepalives=0",
            "Host=h KeepAlive=0",
        ),
        ("postgres://h?connect_timeout=0&keepalives_idle=0", "Host=h"),
        (
            "postgres://h?target_session_attrs=any&gssencmode=disable&sslnegotiation=postgres",
            "Host=h",
        ),
        (
            "postgres://h?fallback_application_name=x",
            "Host=h ApplicationName=x",
        ),
        (
            "postgres://h?fallback_application_name=x&application_name=y",
            "Host=h ApplicationName=y",
        ),
        (
            "postgres://h?options=-csearch_path%3DSales",
            "Host=h Schema=sales",
        ),
        ("host=h options='-c search_path=\"My Sales\"'", "?"),
        (
            "host=h options='-c search_path=\"My\\\\ Sales\" --statement-timeout=1500'",
            "Host=h Schema=My Sales StatementTimeout=2",
        ),
        ("host=h options='-c statement_timeout=0'", "Host=h"),
        ("postgres://u@h?user=v&user=w", "Host=h User=w"),
        (
            "host = h  dbname='a \\'b\\' \\\\c' user=x\\ y password=''",
            "Host=h Database=a 'b' \\c User=x y",
        ),
        ("  postgres://h\n", "Host=h"),
        ("hostaddr=::1 host=h", "Host=h HostAddress=::1"),
    ] {
        if expected == "?" {
            assert!(ConnectionString::parse(text).is_err(), "{text}");
        } else {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_of_the_text() {
    for (text, expected) in [
        ("", "is empty"),
        ("hunter2", "neither a URL nor made of keywords"),
        ("mysql://u:hunter2@h/d", "not one of a PostgreSQL server"),
        ("jdbc:postgresql://h/d?password=hunter2", "a JDBC URL"),
        ("postgres://u:hun@ter2@h/d", "an `@` where none can be"),
        ("postgres://u:hunter2/x@h/d", "an `@` where none can be"),
        ("postgres://u:hunter2#x@h@/d", "an `@` where none can be"),
        (
            "postgres://u:hunter2?x@h/d",
            "parameter 1 of the connection URL has no `=`",
        ),
        (
            "postgres://u:hunter2?x=1@h/d",
            "the port of the connection string",
        ),
        (
            "postgres://u:hunter2@h:99999/d",
            "the port of the connection string",
        ),
        (
            "postgres://u:hunter2@h:0/d",
            "the port of the connection string",
        ),
        ("postgres://u:hunter2@a,b/d", "several hosts"),
        ("host=a,b password=hunter2", "several hosts"),
        ("host=a port=1,2 password=hunter2", "several hosts"),
        ("postgres://u:hunter2@2001:db8::1/d", "more than one `:`"),
        ("postgres://u:hunter2@[2001:db8::1/d", "not an IPv6 address"),
        ("postgres://u:hunter2@[h]/d", "not an IPv6 address"),
        ("postgres://u:hunter2@[::1]x/d", "not an IPv6 address"),
        (
            "postgres://u:hunter%2@h/d",
            "a `%` without two hexadecimal digits",
        ),
        ("postgres://u:hunter2%ff@h/d", "do not come to UTF-8 text"),
        ("postgres://u:hunter2%00@h/d", "holds a NUL character"),
        ("postgres://u:hunter2@%2Fvar%2Frun/d", "a Unix socket"),
        ("host=/tmp password=hunter2", "a Unix socket"),
        ("host=h password=hunter2 sslmod=require", "not known"),
        ("host=h password=hunter2 hunter2=1", "not known, in place 3"),
        (
            "host=h password=my hunter2",
            "parameter 3 of the connection string has no `=`",
        ),
        ("host=h password='hunter2", "the quote of parameter 2"),
        (
            "postgres://u:hunter2@h?sslmode=hunter2",
            "`sslmode` of the connection string has to be one of",
        ),
        (
            "postgres://u:hunter2@h?sslmode=require&sslrootcert=system",
            "goes with no other `sslmode`",
        ),
        (
            "postgres://u:hunter2@h?sslnegotiation=direct",
            "`sslnegotiation` of the connection string cannot be kept to",
        ),
        (
            "postgres://u:hunter2@h?target_session_attrs=read-write",
            "one server, whatever its state",
        ),
        ("postgres://u:hunter2@h?gssencmode=require", "GSSAPI"),
        ("postgres://u:hunter2@h?sslcrl=x", "revoked certificates"),
        (
            "postgres://u:hunter2@h?require_auth=scram-sha-256",
            "`require_auth`",
        ),
        (
            "postgres://u:hunter2@h?service=x",
            "service files are not read",
        ),
        (
            "postgres://u:hunter2@h?options=-c%20hunter2%3D1",
            "something else than search_path",
        ),
        (
            "postgres://u:hunter2@h?options=-c%20search_path%3Da%2Cb",
            "several schemas",
        ),
        (
            "postgres://u:hunter2@h?connect_timeout=hunter2",
            "a whole number of seconds",
        ),
        ("postgres://u:hunter2@h?x=1=2", "more than one `=`"),
    ] {
        let error = ConnectionString::parse(text).expect_err(text);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{text}");
        let hint = error.hint().unwrap_or_default();
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert!(!hint.is_empty(), "{text}");
        let everything = format!("{error} {hint} {error:?}");
        assert!(!everything.contains("hunter"), "{text}: {everything}");
    }
    let near = ConnectionString::parse("host=h sslmod=require").unwrap_err();
    assert_eq!(near.hint(), Some("did you mean `sslmode`?"));
}

#[test]
fn nothing_is_shown() {
    let string = ConnectionString::parse("postgres://me:hunter2@db.example.com/shop").unwrap();
    assert!(string.has_password());
    assert_eq!(
        format!("{string:?}"),
        "ConnectionString { parameters: [\"host\", \"dbname\", \"user\", \"password\"], .. }"
    );
}

/// Values that need no other form here than libpq's.
fn values() -> impl Strategy<Value = BTreeMap<&'static str, String>> {
    let free = prop::sample::select(vec![
        "dbname",
        "user",
        "password",
        "passfile",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "application_name",
    ]);
    let free = btree_map(free, "[^\0]{1,20}", 0..8);
    let host = prop_oneof![
        Just(None),
        "[a-z0-9.-]{1,20}".prop_map(Some),
        Just(Some("2001:db8::7".to_owned()))
    ];
    let port = prop::option::of(1..=u16::MAX);
    let mode = prop::option::of(prop::sample::select(TLS_MODES.to_vec()));
    (free, host, port, mode).prop_map(|(mut values, host, port, mode)| {
        values.extend(host.map(|host| ("host", host)));
        values.extend(port.map(|port| ("port", port.to_string())));
        values.extend(mode.map(|mode| ("sslmode", mode.to_owned())));
        values
    })
}

const TLS_MODES: &[&str] = crate::policy::TlsMode::NAMES;

/// `values` as a URL, with everything escaped that has a meaning there.
fn as_url(values: &BTreeMap<&str, String>) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let part = |name: &str| {
        let value = values.get(name).map(String::as_str);
        utf8_percent_encode(value.unwrap_or_default(), NON_ALPHANUMERIC).to_string()
    };
    let host = match values.get("host") {
        Some(address) if address.contains(':') => format!("[{address}]"),
        _ => part("host"),
    };
    let mut url = format!(
        "postgresql://{}:{}@{host}:{}/{}",
        part("user"),
        part("password"),
        part("port"),
        part("dbname")
    );
    let above = ["user", "password", "host", "port", "dbname"];
    let below = values.keys().filter(|name| !above.contains(name));
    for (at, name) in below.enumerate() {
        url.push(if at == 0 { '?' } else { '&' });
        url.push_str(&format!("{name}={}", part(name)));
    }
    url
}

fn as_keywords(values: &BTreeMap<&str, String>) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    let pairs = values.iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{name} = '{}'", escaped(value)))
        .collect();
    pairs.join("  ")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(values in values()) {
        let same = ConnectionString::of(values.iter().map(|(name, value)| (*name, value.as_str())));
        prop_assume!(!values.is_empty() && same.is_ok());
        let same = same.unwrap();
        let url = as_url(&values);
        prop_assert_eq!(&ConnectionString::parse(&url).unwrap(), &same, "{}", url);
        let keywords = as_keywords(&values);
        prop_assert_eq!(&ConnectionString::parse(&keywords).unwrap(), &same, "{}", keywords);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(postgres://)?\\PC{0,60}") {
        let _ = ConnectionString::parse(&text);
    }
}
