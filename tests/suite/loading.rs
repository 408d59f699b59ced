//! What is loaded and what is not, and the cache of compiled connectors.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dagflux_host::{Error, ErrorKind, Host, Registry};
use dagflux_test_support::{connector_path, test_guest_path};

use crate::fixture;
use crate::hostile::{self, assert_failure};
use crate::memory::Memories;

async fn refused(component: &[u8]) -> Error {
    match fixture::host().load_bytes(component).await {
        Ok(connector) => panic!("{connector:?} was loaded"),
        Err(error) => error,
    }
}

async fn refused_text(component: &str) -> Result<Error> {
    Ok(refused(&wat::parse_str(component)?).await)
}

#[tokio::test]
async fn a_connector_that_reads_files_is_refused_by_name() -> Result<()> {
    let component = fs::read(test_guest_path("filesystem")?)?;
    let error = refused(&component).await;
    assert_failure(&error, ErrorKind::ForbiddenImport, "wasi:filesystem/types@");
    assert!(error.to_string().contains("wasi:filesystem/preopens@"));
    // The same sources without that are loaded: it is the import that decides.
    hostile::connector().await?;
    Ok(())
}

#[tokio::test]
async fn imports_outside_the_contract_are_refused_by_name() -> Result<()> {
    for import in [
        "wasi:http/outgoing-handler@0.2.0",
        "wasi:sockets/udp@0.2.12",
        "wasi:sockets/udp-create-socket@0.2.12",
        "wasi:filesystem/types@0.2.12",
        "wasi:random/insecure@0.2.12",
        "evil:connector/credentials@0.1.0",
    ] {
        let error = refused_text(&format!("(component (import \"{import}\" (instance)))")).await?;
        assert_failure(&error, ErrorKind::ForbiddenImport, import);
    }
    let error = refused_text("(component (import \"run\" (func)))").await?;
    assert_failure(&error, ErrorKind::ForbiddenImport, "run");
    Ok(())
}

#[tokio::test]
async fn what_is_no_connector_is_refused() -> Result<()> {
    let error = refused_text("(component)").await?;
    assert_failure(&error, ErrorKind::NotAConnector, "not a connector");
    let error = refused_text(
        "(component (instance $i) (export \"dagflux:connector/descriptor@0.1.0\" (instance $i)))",
    )
    .await?;
    assert_failure(&error, ErrorKind::NotAConnector, "not a connector");
    let error = refused_text(
        "(component (import \"wasi:io/poll@0.2.12\" (instance (export \"extra\" (func)))))",
    )
    .await?;
    assert_failure(&error, ErrorKind::NotAConnector, "not a connector");
    let error = refused_text("(module)").await?;
    assert_failure(&error, ErrorKind::InvalidComponent, "a WebAssembly module");
    Ok(())
}

#[tokio::test]
async fn what_is_no_webassembly_is_refused() -> Result<()> {
    for bytes in [
        b"".as_slice(),
        b"\x7fELF",
        b"(component)",
        b"\0as",
        &[0; 4096],
    ] {
        let error = refused(bytes).await;
        assert_failure(&error, ErrorKind::InvalidComponent, "not WebAssembly");
    }
    let error = fixture::host()
        .load("no/such/connector.wasm")
        .await
        .expect_err("it does not exist");
    assert_failure(&error, ErrorKind::Io, "connector.wasm cannot be read");
    Ok(())
}

#[tokio::test]
async fn a_connector_that_was_cut_short_is_refused() -> Result<()> {
    let component = fs::read(connector_path("postgres")?)?;
    for part in 1..16 {
        let cut = component.len() * part / 16;
        let error = refused(component.get(..cut).context("cut")?).await;
        assert_failure(&error, ErrorKind::InvalidComponent, "damaged or cut short");
    }
    let mut damaged = component.clone();
    let middle = damaged.len() / 2;
    damaged
        .get_mut(middle..middle + 4096)
        .context("damage")?
        .fill(0xff);
    let error = refused(&damaged).await;
    assert_failure(&error, ErrorKind::InvalidComponent, "damaged or cut short");
    Ok(())
}

#[tokio::test]
async fn a_descriptor_that_lies_is_refused() -> Result<()> {
    for (lie, fault) in [
        ("open secret", "`password` holds a secret but is not marked"),
        ("open host", "`host` has to be marked sensitive"),
        ("text secret", "`password` has to be of the type secret"),
        ("two hosts", "2 fields have the role"),
        ("no port", "no field has the role"),
        ("two names", "two fields `database`"),
        ("odd name", "\"Hostile Takeover\""),
        ("category", "\"telepathic\""),
    ] {
        let error = refused(&hostile::liar(lie)?).await;
        assert_failure(&error, ErrorKind::InvalidDescriptor, "describes itself");
        let detail = error.detail().unwrap_or_default();
        assert!(detail.contains(fault), "{lie}: {detail}");
    }
    fixture::host().load_bytes(&hostile::liar("none")?).await?;
    Ok(())
}

#[tokio::test]
async fn the_same_bytes_are_loaded_once() -> Result<()> {
    let host = Host::new()?;
    let first = hostile::connector_in(&host).await?;
    let again = host.load_bytes(&hostile::component()?).await?;
    assert_eq!(first.component(), again.component());
    assert!(first.component().digest.starts_with("sha256:"));
    Ok(())
}

/// Engine, compiled code and clock go with the last that uses them.
#[tokio::test]
async fn a_host_that_is_dropped_leaves_nothing_behind() -> Result<()> {
    let memories = Arc::new(Memories::default());
    let host = Host::builder().guest_memory(memories.clone()).build()?;
    let registry = Registry::new(host.clone());
    registry
        .load("hostile", test_guest_path("hostile")?)
        .await?;
    let connector = registry.connector("hostile").context("not registered")?;
    let connection = hostile::connect(&connector).await?;
    drop((host, registry, connector));
    assert!(
        Arc::strong_count(&memories) > 1,
        "a connection needs its host"
    );
    drop(connection);
    for _ in 0..200 {
        if Arc::strong_count(&memories) == 1 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("something holds on to the host")
}

/// A folder for a cache, and the one file in it.
struct Cached {
    folder: tempfile::TempDir,
}

impl Cached {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let this = Self { folder };
        assert!(!this.load().await?, "the cache was empty");
        Ok(this)
    }

    /// Whether a host that starts anew finds the compiled connector.
    async fn load(&self) -> Result<bool> {
        let host = Host::builder()
            .cache_dir(self.folder.path().join("cache"))
            .build()?;
        let connector = hostile::connector_in(&host).await?;
        let mut connection = hostile::connect(&connector).await?;
        assert_eq!(connection.execute("ping").await?.command, "pong");
        Ok(connector.component().from_cache)
    }

    fn file(&self) -> Result<PathBuf> {
        let mut files = fs::read_dir(self.folder.path().join("cache"))?;
        let file = files.next().context("nothing was kept")??;
        assert!(files.next().is_none(), "only the connector is kept");
        Ok(file.path())
    }
}

#[tokio::test]
async fn a_second_host_takes_the_compiled_connector() -> Result<()> {
    let cached = Cached::new().await?;
    assert!(cached.load().await?);
    Ok(())
}

#[tokio::test]
async fn a_damaged_cache_is_compiled_anew() -> Result<()> {
    let cached = Cached::new().await?;
    let file = cached.file()?;
    let whole = fs::read(&file)?;
    let mut flipped = whole.clone();
    let byte = flipped.get_mut(whole.len() / 2).context("empty")?;
    *byte = !*byte;
    let half = whole.get(..whole.len() / 2).context("empty")?.to_vec();
    for damaged in [flipped, half, Vec::new(), vec![0; 64]] {
        // Not in place: the old one may still be in use.
        let aside = cached.folder.path().join("damaged");
        fs::write(&aside, damaged)?;
        fs::rename(&aside, &file)?;
        assert!(!cached.load().await?, "a damaged file was used");
        assert!(cached.load().await?, "it was not replaced");
        assert_eq!(fs::read(&file)?.len(), whole.len());
    }
    Ok(())
}

/// None of them sees what another one has written by half.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_at_once_share_a_cache() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let starts = (0..8).map(|_| {
        let cache = folder.path().join("cache");
        tokio::spawn(async move {
            let host = Host::builder().cache_dir(cache).build()?;
            let connector = hostile::connector_in(&host).await?;
            let mut connection = hostile::connect(&connector).await?;
            anyhow::Ok(connection.execute("ping").await?.command)
        })
    });
    for started in futures_util::future::join_all(starts).await {
        assert_eq!(started??, "pong");
    }
    let cached = Cached { folder };
    assert!(cached.load().await?);
    cached.file()?;
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_cache_that_others_can_write_to_is_refused() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir()?;
    let open = || Host::builder().cache_dir(folder.path()).build();
    for mode in [0o770, 0o777, 0o702] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode))?;
        let Err(error) = open() else {
            panic!("a folder of the mode {mode:o} was accepted");
        };
        assert_failure(&error, ErrorKind::Io, "cannot be used");
        let source = std::error::Error::source(&error).context("no source")?;
        assert!(source.to_string().contains("chmod go-w"), "{source}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    open()?;
    // One that the host makes itself is for its owner alone.
    let own = folder.path().join("own/cache");
    Host::builder().cache_dir(&own).build()?;
    assert_eq!(fs::metadata(&own)?.permissions().mode() & 0o777, 0o700);
    Ok(())
}
