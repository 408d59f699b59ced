//! What a language model is told: each combination for itself, within its bound, and nothing that
//! must not be shown.

mod bounds;
mod data;
mod lessons;
mod masks;

use anyhow::{Context as _, Result};
use dagflux_host::operation::{Column, Mode, Node, Prompt, PromptOptions, Storage};
use dagflux_host::{Connection, ErrorKind, TableName};
use dagflux_test_support::tokio_postgres::Client;
use dagflux_test_support::{Database, Server};

use crate::assertions::{failure, still_works};
use crate::fixture;

/// A database with the login's own schema `shop`.
struct Scene {
    database: Database<'static>,
    admin: Client,
    connection: Connection,
}

impl Scene {
    /// With these tables, which the login owns.
    async fn new(name: &str, tables: &str) -> Result<Self> {
        Self::on(Server::shared().await?, name, tables).await
    }

    /// On another server than the one that tests share.
    async fn on(server: &'static Server, name: &str, tables: &str) -> Result<Self> {
        let database = server.database(name).await?;
        let admin = database.sql().await?;
        admin
            .batch_execute("CREATE SCHEMA shop AUTHORIZATION dagflux; SET ROLE dagflux")
            .await?;
        admin.batch_execute(tables).await?;
        admin.batch_execute("RESET ROLE").await?;
        let connection = fixture::connect(&database).await?;
        Ok(Self {
            database,
            admin,
            connection,
        })
    }
}

fn shop(table: &str) -> TableName {
    TableName::in_schema("shop", table)
}

fn transform(tables: &[&str]) -> PromptOptions {
    let options = PromptOptions::new("made", Node::Transform, Mode::NewTable);
    tables
        .iter()
        .fold(options, |options, table| options.with_table(shop(table)))
}

/// The blocks of a Markdown text that are marked with a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        open = match (open, line.strip_prefix("```")) {
            (None, Some(marked)) => Some((marked == language, String::new())),
            (None, None) => None,
            (Some((wanted, block)), Some("")) => {
                if wanted {
                    blocks.push(block);
                }
                None
            }
            (Some((wanted, block)), _) => Some((wanted, block + line + "\n")),
        };
    }
    assert!(open.is_none(), "a block without an end");
    blocks
}

/// Every combination of node, mode and storage.
fn combinations() -> impl Iterator<Item = (Node, Mode, Option<Storage>)> {
    let modes = [Mode::NewTable, Mode::InPlace, Mode::Merge];
    let storages = [None, Some(Storage::Database), Some(Storage::Local)];
    [Node::Transform, Node::Join]
        .into_iter()
        .flat_map(move |node| {
            let of_mode = move |mode| storages.map(move |storage| (node, mode, storage));
            modes.into_iter().flat_map(of_mode)
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_legal_combination_has_its_own_prompt_and_no_other_has_any() -> Result<()> {
    let tables = "CREATE TABLE shop.a (id int); CREATE TABLE shop.b (id int PRIMARY KEY)";
    let mut scene = Scene::new("prompt_legal", tables).await?;
    let mut told: Vec<String> = Vec::new();
    for (node, mode, storage) in combinations() {
        let mut options = PromptOptions::new("made", node, mode).with_table(shop("a"));
        options.storage = storage;
        if node == Node::Join {
            options = options.with_table(shop("b"));
        }
        if mode == Mode::Merge {
            options = options.with_target(shop("b"));
        }
        let is_legal = matches!(
            (node, mode, storage),
            (Node::Transform, Mode::NewTable, _)
                | (Node::Transform, Mode::InPlace, None)
                | (Node::Join, Mode::NewTable | Mode::Merge, None)
        );
        let prompt = scene.connection.prompt(&options).await;
        match is_legal {
            true => {
                let prompt = prompt?;
                assert!(
                    !prompt.text().contains("{{"),
                    "a place that was not filled in"
                );
                told.push(prompt.instructions);
            }
            false => {
                failure(prompt, ErrorKind::Unsupported);
            }
        }
    }
    told.sort();
    told.dedup();
    // A new table in the database is what a transformation makes by default.
    assert_eq!(told.len(), 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_together_is_told() -> Result<()> {
    let tables = "CREATE TABLE shop.a (id int); CREATE TABLE shop.b (id int)";
    let mut scene = Scene::new("prompt_wrong", tables).await?;
    let join = || PromptOptions::new("made", Node::Join, Mode::NewTable).with_table(shop("a"));
    let merge = || {
        PromptOptions::new("made", Node::Join, Mode::Merge)
            .with_table(shop("a"))
            .with_table(shop("b"))
    };
    let in_place = || PromptOptions::new("made", Node::Transform, Mode::InPlace);
    let elsewhere: [Column; 0] = [];
    let mut odd = transform(&["a"]);
    odd.id = "Made; DROP".to_owned();
    for (options, kind) in [
        (join(), ErrorKind::Unsupported),
        (merge(), ErrorKind::Unsupported),
        (in_place(), ErrorKind::Unsupported),
        (
            in_place().with_table(shop("a")).with_target(shop("b")),
            ErrorKind::Unsupported,
        ),
        (
            transform(&["a"]).with_elsewhere("goals.csv", elsewhere),
            ErrorKind::Unsupported,
        ),
        (odd, ErrorKind::Unsupported),
        (
            transform(&["a"]).with_most_bytes(100),
            ErrorKind::Unsupported,
        ),
        (transform(&["a", "lacking"]), ErrorKind::TableNotFound),
        (transform(&[&"x".repeat(64)]), ErrorKind::TableNotFound),
        (
            merge().with_target(shop("lacking")),
            ErrorKind::TableNotFound,
        ),
    ] {
        failure(scene.connection.prompt(&options).await, kind);
        still_works(&mut scene.connection).await;
    }
    // It is part of a transaction, and leaves it as it was.
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction
        .execute("CREATE TABLE shop.uncommitted (id int)")
        .await?;
    let prompt = transaction.prompt(&transform(&["uncommitted"])).await?;
    assert!(
        prompt
            .tables
            .contains("The source:\nshop.uncommitted\n  id integer\n"),
        "{}",
        prompt.tables
    );
    failure(
        transaction.prompt(&transform(&["lacking"])).await,
        ErrorKind::TableNotFound,
    );
    transaction
        .execute("INSERT INTO shop.uncommitted VALUES (1)")
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// The one line of what is said of the tables that holds this.
fn line<'p>(prompt: &'p Prompt, holding: &str) -> Result<&'p str> {
    let mut lines = prompt.tables.lines().filter(|line| line.contains(holding));
    let line = lines
        .next()
        .with_context(|| format!("nothing of {holding} in {}", prompt.tables))?;
    assert_eq!(lines.next(), None, "{holding}");
    Ok(line)
}
