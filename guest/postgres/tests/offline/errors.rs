//! What the server's errors become.

use std::time::Duration;

use dagflux_guest::bindings::dagflux::connector::types::ErrorKind;
use dagflux_postgres::protocol::backend::Report;
use dagflux_postgres::sqlstate::{self, Circumstances};

fn report(code: &str, message: &str) -> Report {
    Report {
        severity: "ERROR".to_owned(),
        code: code.to_owned(),
        message: message.to_owned(),
        ..Report::default()
    }
}

#[test]
fn a_sqlstate_has_its_kind_and_every_failure_a_next_step() {
    for (code, kind, retryable) in [
        ("28P01", ErrorKind::Authentication, false),
        ("28000", ErrorKind::Authentication, false),
        ("3D000", ErrorKind::DatabaseNotFound, false),
        ("42P01", ErrorKind::TableNotFound, false),
        ("3F000", ErrorKind::SchemaNotFound, false),
        ("42703", ErrorKind::ColumnNotFound, false),
        ("42601", ErrorKind::Syntax, false),
        ("42501", ErrorKind::PermissionDenied, false),
        ("25006", ErrorKind::ReadOnly, false),
        ("57P01", ErrorKind::ServerShutdown, true),
        ("57P03", ErrorKind::ServerShutdown, true),
        ("53300", ErrorKind::ServerResources, true),
        ("53100", ErrorKind::ServerResources, true),
        ("40001", ErrorKind::Conflict, true),
        ("40P01", ErrorKind::Conflict, true),
        ("40003", ErrorKind::OutcomeUnknown, false),
        ("55P03", ErrorKind::Conflict, true),
        ("23505", ErrorKind::Constraint, false),
        ("23503", ErrorKind::Constraint, false),
        ("22012", ErrorKind::Statement, false),
        ("22021", ErrorKind::Value, false),
        ("42883", ErrorKind::Statement, false),
        ("42P07", ErrorKind::AlreadyExists, false),
        ("XX000", ErrorKind::Other, false),
        ("", ErrorKind::Other, false),
        ("é", ErrorKind::Other, false),
    ] {
        let error = sqlstate::error(&report(code, "what happened."), Circumstances::default());
        assert_eq!(error.kind(), kind, "{code}");
        assert_eq!(error.as_record().retryable, retryable, "{code}");
        assert_eq!(error.message(), "what happened");
        assert!(error.has_hint(), "{code}");
    }
}

#[test]
fn the_servers_own_hint_comes_first() {
    let mut report = report("42703", "column \"nam\" does not exist");
    report.hint = Some("Perhaps you meant to reference the column \"t.name\".".to_owned());
    report.position = Some(8);
    let error = sqlstate::error(&report, Circumstances::default());
    assert_eq!(error.as_record().hint, report.hint);
    assert_eq!(error.as_record().position, Some(8));
}

#[test]
fn a_time_limit_is_told_from_a_cancellation_in_any_language() {
    let limit = |elapsed: u64| Circumstances {
        timeout: Some(Duration::from_secs(2)),
        elapsed: Some(Duration::from_secs(elapsed)),
    };
    for (message, circumstances, kind) in [
        (
            "canceling statement due to statement timeout",
            limit(0),
            ErrorKind::StatementTimeout,
        ),
        (
            "canceling statement due to user request",
            limit(9),
            ErrorKind::Cancelled,
        ),
        ("storniere Anfrage", limit(3), ErrorKind::StatementTimeout),
        ("storniere Anfrage", limit(1), ErrorKind::Cancelled),
        (
            "storniere Anfrage",
            Circumstances::default(),
            ErrorKind::Cancelled,
        ),
    ] {
        let error = sqlstate::error(&report("57014", message), circumstances);
        assert_eq!(error.kind(), kind, "{message}");
    }
}

#[test]
fn a_refusal_for_want_of_encryption_says_so() {
    for message in [
        "no pg_hba.conf entry for host \"10.0.0.1\", user \"u\", database \"d\", no encryption",
        "no pg_hba.conf entry for host \"10.0.0.1\", user \"u\", database \"d\", SSL off",
    ] {
        let error = sqlstate::error(&report("28000", message), Circumstances::default());
        let hint = error.as_record().hint.clone().unwrap_or_default();
        assert!(hint.contains("Use SSL on"), "{hint}");
    }
}

#[test]
fn a_failed_row_is_named() {
    for (context, row) in [
        ("COPY t, line 3", Some("3")),
        ("COPY t, line 12, column price: \"x\"", Some("12")),
        ("COPY t, Zeile 3, Spalte a2", Some("3")),
        ("COPY t", None),
        ("PL/pgSQL function f() line 3 at RAISE", None),
    ] {
        let mut report = report("23514", "no");
        report.context = Some(context.to_owned());
        report.constraint = Some("positive".to_owned());
        let error = sqlstate::error(&report, Circumstances::default());
        let attributes = &error.as_record().attributes;
        let found = attributes.iter().find(|(name, _)| name == "row");
        assert_eq!(found.map(|(_, value)| value.as_str()), row, "{context}");
        assert!(attributes.contains(&("constraint".to_owned(), "positive".to_owned())));
    }
}

/// PgBouncer has one SQLSTATE for all it says, and names no function.
#[test]
fn a_poolers_refusals_are_told_by_their_words() {
    for (message, kind) in [
        ("login rejected", ErrorKind::Authentication),
        ("no such user", ErrorKind::Authentication),
        ("SSL required", ErrorKind::Authentication),
        (
            "certificate authentication failed",
            ErrorKind::Authentication,
        ),
        ("no such database: sales", ErrorKind::DatabaseNotFound),
        (
            "no more connections allowed (max_client_conn)",
            ErrorKind::ServerResources,
        ),
        (
            "unsupported startup parameter: IntervalStyle",
            ErrorKind::Protocol,
        ),
    ] {
        let told = report("08P01", message);
        let error = sqlstate::error(&told, Circumstances::default());
        assert_eq!(error.kind(), kind, "{message}");
        assert!(error.has_hint(), "{message}");
        let by_server = Report {
            routine: Some("ProcessStartupPacket".to_owned()),
            ..told
        };
        let error = sqlstate::error(&by_server, Circumstances::default());
        assert_eq!(error.kind(), ErrorKind::Protocol, "{message}");
    }
}
