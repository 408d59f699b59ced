//! A component is the one that was meant: pinned, signed, and asking for no more than was granted.

use std::io::Cursor;
use std::path::Path;

use anyhow::Result;
use dagflux_host::{Digest, Error, ErrorKind, Permissions, Registry, SigningKey, Trust};
use dagflux_test_support::test_guest_path;
use minisign::KeyPair;

use crate::assembly::padded;
use crate::fixture;
use crate::hostile::{self, Scene, assert_failure};

/// The signature of `component` by `keys`, as the content of a `.minisig` file.
pub fn signature(keys: &KeyPair, component: &[u8]) -> Result<String> {
    let signed = minisign::sign(None, &keys.sk, Cursor::new(component), Some("a test"), None)?;
    Ok(signed.into_string())
}

fn trusting(keys: &KeyPair) -> Result<Trust> {
    let key: SigningKey = keys.pk.to_base64().parse()?;
    Ok(Trust::new().with_key(key))
}

async fn refused(path: &Path, trust: &Trust) -> Error {
    match fixture::host().load_trusted(path, trust).await {
        Ok(connector) => panic!("{connector:?} was loaded"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn another_component_than_the_pinned_is_not_loaded() -> Result<()> {
    let path = test_guest_path("hostile")?;
    let pinned = Trust::new().with_digest(Digest::of(&hostile::component()?));
    let connector = fixture::host().load_trusted(&path, &pinned).await?;
    Scene::with(connector).await?.goes_on().await?;
    // It is the same in all but a few bytes that nothing reads.
    let component = hostile::component()?;
    let other = padded(&component, component.len() + 100)?;
    let folder = tempfile::tempdir()?;
    let replaced = folder.path().join("hostile.wasm");
    std::fs::write(&replaced, &other)?;
    let error = refused(&replaced, &pinned).await;
    let found = Digest::of(&other).to_string();
    assert_failure(&error, ErrorKind::Untrusted, &found);
    // Also where that very component is in use, and so need not be compiled.
    let _in_use = fixture::host().load(&replaced).await?;
    let error = refused(&replaced, &pinned).await;
    assert_failure(&error, ErrorKind::Untrusted, "not the pinned one");
    Ok(())
}

#[tokio::test]
async fn what_is_not_signed_is_not_loaded() -> Result<()> {
    let keys = KeyPair::generate_unencrypted_keypair()?;
    let other_keys = KeyPair::generate_unencrypted_keypair()?;
    let trust = trusting(&keys)?;
    let component = hostile::component()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hostile.wasm");
    let beside = folder.path().join("hostile.wasm.minisig");
    std::fs::write(&path, &component)?;
    let error = refused(&path, &trust).await;
    assert_failure(&error, ErrorKind::Untrusted, "no signature lies beside it");
    for (text, words) in [
        (String::new(), "not a minisign signature"),
        ("nonsense\n".repeat(1_000), "not a minisign signature"),
        (
            signature(&other_keys, &component)?,
            "not signed with the key",
        ),
        (
            signature(&keys, b"something else")?,
            "not signed with the key",
        ),
        // Only the trusted comment was changed, in which people write versions.
        (
            signature(&keys, &component)?.replace("a test", "a tess"),
            "not signed with the key",
        ),
    ] {
        std::fs::write(&beside, text)?;
        let error = refused(&path, &trust).await;
        assert_failure(&error, ErrorKind::Untrusted, words);
    }
    std::fs::write(&beside, [0xff, 0xfe, 0])?;
    let error = refused(&path, &trust).await;
    assert_failure(&error, ErrorKind::Untrusted, "not a minisign signature");

    std::fs::write(&beside, signature(&keys, &component)?)?;
    let connector = fixture::host().load_trusted(&path, &trust).await?;
    Scene::with(connector).await?.goes_on().await?;
    // Signed or not, a changed component is another one.
    std::fs::write(&path, padded(&component, component.len() + 100)?)?;
    let error = refused(&path, &trust).await;
    assert_failure(&error, ErrorKind::Untrusted, "not signed with the key");
    Ok(())
}

/// A connector that is replaced while the host runs is held to the same.
#[tokio::test]
async fn a_registered_connector_gives_way_to_the_trusted_only() -> Result<()> {
    let registry = Registry::new(fixture::host().clone());
    let path = test_guest_path("hostile")?;
    let honest = Trust::new().with_digest(Digest::of(&hostile::component()?));
    assert!(registry.load_trusted("db", &path, &honest).await?.is_none());
    let other = Trust::new().with_digest(Digest::of(b"another"));
    let error = registry.load_trusted("db", &path, &other).await;
    let error = error.expect_err("it is registered");
    assert_failure(&error, ErrorKind::Untrusted, "not the pinned one");
    assert!(registry.connector("db").is_some());
    Ok(())
}

/// What is refused was not run: this component never finishes starting.
#[tokio::test]
async fn nothing_of_a_mistrusted_component_is_run() -> Result<()> {
    let endless = hostile::liar("loop")?;
    let trust = Trust::new().with_digest(Digest::of(b"another"));
    let error = fixture::host()
        .load_trusted_bytes(&endless, None, &trust)
        .await
        .expect_err("it is loaded");
    assert_failure(&error, ErrorKind::Untrusted, "not the pinned one");
    Ok(())
}

#[tokio::test]
async fn a_connector_has_what_it_was_granted() -> Result<()> {
    let connector = hostile::connector().await?;
    let granted = connector.permissions();
    assert!(granted.imports.contains("wasi:sockets/tcp"), "{granted:?}");
    assert_eq!(granted.told.iter().collect::<Vec<_>>(), ["username"]);
    assert_eq!(
        granted.withheld.iter().collect::<Vec<_>>(),
        ["host", "password"]
    );
    let load = |granted: Permissions| async {
        let path = test_guest_path("hostile")?;
        let trust = Trust::new().with_granted(granted);
        anyhow::Ok(fixture::host().load_trusted(path, &trust).await)
    };
    load(granted.clone()).await??;
    let without = |import: &str, told: &[&str], withheld: &[&str]| {
        let texts = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let imports = granted
            .imports
            .iter()
            .filter(|name| *name != import)
            .cloned();
        Permissions::recorded(imports, texts(told), texts(withheld))
    };
    for (granted, words) in [
        (
            without("wasi:random/random", &["username"], &[]),
            "newly imports wasi:random/random",
        ),
        (
            without("", &[], &[]),
            "newly is told the value of `username`",
        ),
        (
            without("", &["username"], &["host", "password", "database"]),
            "no longer has the value of `database` kept from it",
        ),
        (
            Permissions::default(),
            "newly imports dagflux:connector/credentials",
        ),
    ] {
        let error = load(granted).await?.expect_err("it is loaded");
        assert_failure(&error, ErrorKind::NotGranted, words);
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_loaded_can_be_looked_at() -> Result<()> {
    let host = fixture::host();
    let inspection = host.inspect(test_guest_path("filesystem")?).await?;
    let refusal = inspection.connector.as_ref().expect_err("it reads files");
    assert_eq!(refusal.kind(), ErrorKind::ForbiddenImport);
    let honest = hostile::connector().await?;
    let beyond = inspection.permissions.beyond(&honest.permissions());
    let shown: Vec<_> = beyond.iter().map(ToString::to_string).collect();
    assert!(
        shown.contains(&"newly imports wasi:filesystem/types".to_owned()),
        "{shown:?}"
    );

    let inspection = host.inspect(test_guest_path("hostile")?).await?;
    assert_eq!(inspection.digest.to_string(), honest.component().digest);
    assert_eq!(inspection.permissions, honest.permissions());
    assert_eq!(inspection.imports, honest.component().imports);
    Ok(())
}
