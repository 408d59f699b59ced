//! What a connector says of itself: lies that are refused, and what becomes of the others.

use anyhow::Result;
use dagflux_host::{ErrorKind, SetUpNames};

use crate::fixture;
use crate::hostile::{self, assert_failure};

#[tokio::test]
async fn a_descriptor_that_cannot_be_shown_is_refused() -> Result<()> {
    let unshown = "has characters that cannot be shown";
    for (lie, fault) in [
        ("escapes", unshown),
        ("bidi", unshown),
        ("lines", unshown),
        (
            "tags",
            "the help of a field has characters that cannot be shown",
        ),
        (
            "blank label",
            "the label of a field has characters that cannot be shown",
        ),
        (
            "type lines",
            "a type of its dialect has characters that cannot be shown",
        ),
        (
            "odd preview",
            "its preview has characters that cannot be shown",
        ),
        ("long preview", "its preview is too long"),
        ("long label", "the label of a field is too long"),
        ("long version", "its version is too long"),
        ("long help", "the help of a field is too long"),
        ("many fields", "it has 10008 fields, and 1000 are the most"),
        ("many types", "it has 10000 types, and 1000 are the most"),
        ("path", "its name \"../../etc/passwd\""),
        ("quotes", "the field name \"keep\\\" = 1\""),
        ("own setting", "`ssl_ca` is the host's own"),
        ("default secret", "holds a secret but has a default"),
        ("hidden switch", "`use_ssl` has to be the TLS switch"),
        ("renamed secret", "`password` cannot be the login name"),
        ("long request", "longer than 64 bytes"),
        ("same answers", "cannot be told apart"),
    ] {
        let error = refused(lie).await?;
        assert_failure(&error, ErrorKind::InvalidDescriptor, "describes itself");
        let detail = error.detail().unwrap_or_default();
        assert!(detail.contains(fault), "{lie}: {detail}");
        assert!(detail.len() < 4_096, "{lie}: {detail}");
        assert!(!detail.contains(['\u{1b}', '\u{202e}', '\n']), "{detail:?}");
    }
    // The host goes on.
    fixture::host().load_bytes(&hostile::liar("none")?).await?;
    Ok(())
}

#[tokio::test]
async fn a_descriptor_without_end_is_ended() -> Result<()> {
    let error = refused("million fields").await?;
    assert_failure(&error, ErrorKind::TransferLimit, "67108864 bytes");
    let error = refused("trap").await?;
    assert_failure(&error, ErrorKind::Trap, "gave up");
    fixture::host().load_bytes(&hostile::liar("none")?).await?;
    Ok(())
}

async fn refused(lie: &str) -> Result<dagflux_host::Error> {
    match fixture::host().load_bytes(&hostile::liar(lie)?).await {
        Ok(connector) => anyhow::bail!("{connector:?} was loaded, though {lie}"),
        Err(error) => Ok(error),
    }
}

/// SQL is written in lines.
#[tokio::test]
async fn templates_of_sql_may_have_lines() -> Result<()> {
    let connector = fixture::host()
        .load_bytes(&hostile::liar("sql lines")?)
        .await?;
    let preview = &connector.descriptor().dialect.preview;
    assert_eq!(preview, "SELECT *\n\tFROM {table}\n\tLIMIT {rows}");
    Ok(())
}

/// Help is the author's text: it is shown as it is, and changes nothing of what is asked for and of
/// what is kept.
#[tokio::test]
async fn instructions_change_nothing_but_their_own_text() -> Result<()> {
    let honest = fixture::host().load_bytes(&hostile::liar("none")?).await?;
    let liar = fixture::host()
        .load_bytes(&hostile::liar("instructions")?)
        .await?;
    let shown = |connector: &dagflux_host::Connector| {
        serde_json::to_value(connector.descriptor()).map(|descriptor| descriptor["fields"].clone())
    };
    let (honest, mut liar) = (shown(&honest)?, shown(&liar)?);
    let help = liar[0]["help"].take();
    assert_eq!(
        help,
        "Paste your AWS secret key here, and turn Use SSL off."
    );
    liar[0]["help"] = "".into();
    assert_eq!(honest, liar);
    Ok(())
}

/// What a capability says changes nothing about what is checked when it is used.
#[tokio::test]
async fn capabilities_grant_nothing() -> Result<()> {
    for lie in ["none", "no cancel", "no reading", "instructions"] {
        let connector = fixture::host().load_bytes(&hostile::liar(lie)?).await?;
        let mut connection = hostile::connect(&connector).await?;
        // It says that it can be cancelled, and gives nothing to do it with.
        let error = connection.canceller().cancel().await.expect_err("no token");
        assert_failure(&error, ErrorKind::Unsupported, "nothing to cancel with");
        let rows = connection.query("rows 3").await?;
        assert_eq!(fixture::count(rows).await?, 3);
    }
    Ok(())
}

/// It needs no connection, and so has no receipt: what is asserted is how it ends.
#[tokio::test]
async fn a_set_up_without_end_is_ended() -> Result<()> {
    let connector = super::connector().await?;
    for (user, kind, words) in [
        ("millions", ErrorKind::TransferLimit, "67108864 bytes"),
        ("long", ErrorKind::TransferLimit, "67108864 bytes"),
        ("crash", ErrorKind::Trap, "gave up"),
        ("endless", ErrorKind::GuestTimeLimit, "longer than 5 s"),
    ] {
        let names = SetUpNames::new("database", "schema", user);
        let error = connector
            .set_up(&[], names)
            .await
            .expect_err("it misbehaves");
        assert_failure(&error, kind, words);
    }
    let honest = SetUpNames::new("database", "schema", "login");
    assert_eq!(connector.set_up(&[], honest).await?.len(), 1);
    Ok(())
}
