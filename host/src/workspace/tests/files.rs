//! Files, several users of one, and stopping.

use std::time::{Duration, Instant};

use super::*;
use crate::error::ErrorKind;
use crate::workspace::Interrupt;

const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
/// The same, without a row ever.
const SILENT: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";

#[test]
fn a_file_keeps_its_tables() {
    let folder = Folder::new();
    let file = folder.file("work space.db");
    {
        let workspace = Workspace::open(&file).unwrap();
        workspace
            .create_as(
                "CREATE TABLE t (a INTEGER)",
                "SELECT 1 AS a",
                "t",
                &options(),
            )
            .unwrap();
        assert_eq!(workspace.path(), Some(&file));
    }
    // Nobody has it open: it is one file, with everything in it.
    let names: Vec<_> = std::fs::read_dir(&folder.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["work space.db"]);
    let workspace = Workspace::open(&file).unwrap();
    assert_eq!(tables(&workspace), ["t"]);
    let other = rusqlite::Connection::open(&file).unwrap();
    let mode: String = other
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn what_is_no_workspace() {
    let folder = Folder::new();
    let text = folder.file("notes.txt");
    std::fs::write(
        &text,
        "not a database at all, but long enough to be looked at ".repeat(50),
    )
    .unwrap();
    let error = Workspace::open(&text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(
        error
            .to_string()
            .ends_with("notes.txt is not a SQLite database"),
        "{error}"
    );
    hinted(&error);
    let said = std::fs::read_to_string(&text).unwrap();
    assert!(said.starts_with("not a database"));

    for path in [folder.file("none/w.db"), folder.0.clone()] {
        let error = Workspace::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        hinted(&error);
    }
}

/// SQLite takes a path that begins with `file:` for a URI, which has other parameters.
#[cfg(unix)]
#[test]
fn a_path_is_no_uri() {
    let name = format!("file:dagflux-workspace-{}?mode=memory", std::process::id());
    let workspace = Workspace::open(&name).unwrap();
    let here = std::env::current_dir().unwrap().join(&name);
    assert_eq!(workspace.path(), Some(&here));
    std::fs::remove_file(here).unwrap();
}

#[test]
fn a_locked_file() {
    let folder = Folder::new();
    let file = folder.file("w.db");
    let other = rusqlite::Connection::open(&file).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t (a)")
        .unwrap();
    let wait = Duration::from_millis(1);
    let error = super::super::open::Location::file(&file, wait).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.is_retryable() && error.to_string().ends_with("w.db is locked"));
    hinted(&error);
}

#[test]
fn a_read_sees_the_state_in_which_it_began() {
    let folder = Folder::new();
    let workspace = Workspace::open(folder.file("w.db")).unwrap();
    let numbers = "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 5000) SELECT a FROM n";
    workspace
        .create_as("CREATE TABLE t (a INTEGER)", numbers, "t", &options())
        .unwrap();
    let small = options().with_batch(crate::BatchSize::default().with_rows(1000));
    let mut reader = workspace.read("t", &small).unwrap();
    assert_eq!(reader.next_batch().unwrap().unwrap().num_rows(), 1000);
    // A write does not wait for it, nor does it see the write.
    workspace.drop_table("t").unwrap();
    assert_eq!(
        reader
            .by_ref()
            .map(|batch| batch.unwrap().num_rows())
            .sum::<usize>(),
        4000
    );
    assert_eq!(tables(&workspace), Vec::<String>::new());
}

#[test]
fn one_writes_at_a_time() {
    let folder = Folder::new();
    let workspace = Workspace::open(folder.file("w.db")).unwrap();
    let rows = batch(vec![(
        "a",
        Arc::new(arrow_array::Int64Array::from(vec![1])),
    )]);
    let mut writer = workspace
        .write("CREATE TABLE t (a INTEGER)", "t", rows.schema(), &options())
        .unwrap();
    writer.write(&rows).unwrap();
    // Nothing of it is seen before it is whole.
    assert_eq!(tables(&workspace), Vec::<String>::new());
    let impatient = workspace.clone().with_wait(Duration::from_millis(1));
    let other = |workspace: &Workspace, options: &Options| {
        workspace.create_as("CREATE TABLE u (a INTEGER)", "SELECT 1 AS a", "u", options)
    };
    let error = other(&impatient, &options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
    hinted(&error);
    // Who waits can be called back, too.
    let interrupt = Interrupt::new();
    let (patient, waiting) = (
        workspace.clone(),
        options().with_interrupt(interrupt.clone()),
    );
    let waiter = std::thread::spawn(move || other(&patient, &waiting).unwrap_err());
    std::thread::sleep(Duration::from_millis(30));
    let begun = Instant::now();
    interrupt.interrupt();
    assert_eq!(waiter.join().unwrap().kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(5));
    // And one who waits long enough writes.
    let patient = workspace.clone();
    let waiter = std::thread::spawn(move || other(&patient, &Options::new()).unwrap());
    std::thread::sleep(Duration::from_millis(30));
    writer.finish().unwrap();
    assert_eq!(waiter.join().unwrap().rows, 1);
    assert_eq!(tables(&workspace), ["t", "u"]);
}

#[test]
fn interrupted_queries_end() {
    let workspace = shop();
    for sql in [ENDLESS, SILENT] {
        let interrupt = Interrupt::new();
        let options = options().with_interrupt(interrupt.clone());
        let reader = workspace.clone();
        let reading = std::thread::spawn(move || -> Result<()> {
            reader
                .query(sql, &options)?
                .try_for_each(|batch| batch.map(drop))
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!reading.is_finished());
        interrupt.interrupt();
        let error = reading.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{sql}: {error}");
        hinted(&error);
    }
}

#[test]
fn interrupted_writes_leave_nothing() {
    let workspace = shop();
    for select in [ENDLESS, SILENT] {
        let interrupt = Interrupt::new();
        let options = options().with_interrupt(interrupt.clone());
        let writer = workspace.clone();
        let create = "CREATE TABLE t (i INTEGER)";
        let writing = std::thread::spawn(move || writer.create_as(create, select, "t", &options));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!writing.is_finished());
        interrupt.interrupt();
        let error = writing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{select}: {error}");
        assert_eq!(tables(&workspace), ["lines", "orders"]);
    }
}

/// A reader that is dropped stops its query, and is no lock any more.
#[test]
fn dropped_readers_end() {
    let workspace = shop().with_wait(Duration::from_secs(1));
    let mut reader = workspace.query(ENDLESS, &options()).unwrap();
    reader.next_batch().unwrap().unwrap();
    drop(reader);
    let reader = workspace.query("SELECT * FROM orders", &options()).unwrap();
    drop(reader);
    // In memory, a write needs all readers gone.
    workspace.drop_table("orders").unwrap();
}
