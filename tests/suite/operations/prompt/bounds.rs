//! However many tables, a prompt keeps to its bound, names all of them, and asks the server no more.

use std::collections::BTreeSet;

use dagflux_host::operation::MOST_BYTES;
use dagflux_test_support::ServerOptions;

use super::*;

const TABLES: usize = 300;

fn many(prefix: &str) -> String {
    format!(
        "CREATE TYPE shop.kind AS ENUM ('a', 'b');
         DO $$ BEGIN FOR n IN 1..{TABLES} LOOP
             EXECUTE format('CREATE TABLE shop.%1$s%2$s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind shop.kind NOT NULL DEFAULT ''a'',
                 customer_number integer NOT NULL CHECK (customer_number > 0), total numeric(12,2), placed_at timestamptz, note text)', '{prefix}', n);
             EXECUTE format('COMMENT ON TABLE shop.%1$s%2$s IS %3$L', '{prefix}', n, repeat('what this table is for ', 20));
         END LOOP; END $$;
         CREATE TABLE shop.tied (id int PRIMARY KEY, first bigint REFERENCES shop.{prefix}1);"
    )
}

fn names(prefix: &str) -> Vec<String> {
    (1..=TABLES)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

fn all(prefix: &str) -> PromptOptions {
    let names = names(prefix);
    transform(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// That it fits, and that what it says it tells is what it tells.
fn holds(prompt: &Prompt, most: u32, tables: &[String]) {
    let text = prompt.text();
    assert!(text.len() <= most as usize, "{} of {most}", text.len());
    let named: BTreeSet<String> = [&prompt.in_full, &prompt.in_short, &prompt.by_name]
        .into_iter()
        .flatten()
        .map(|table| table.name.clone())
        .collect();
    for table in tables {
        let called = format!("shop.{table}");
        let is_there = text.match_indices(&called).any(|(at, _)| {
            let behind = text[at + called.len()..].chars().next();
            !behind.is_some_and(|c| c.is_ascii_digit())
        });
        assert!(is_there && named.contains(table), "{table}");
    }
    let described = |list: &[TableName], what: &str| {
        for table in list {
            let begins = format!("\nshop.{}{what}", table.name);
            assert!(text.contains(&begins), "{begins}");
        }
    };
    described(&prompt.in_short, " (");
    described(&prompt.by_name, "\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_tables_fit() -> Result<()> {
    let mut scene = Scene::new("prompt_many", &many("table_with_a_name_")).await?;
    let tables = names("table_with_a_name_");
    let options = all("table_with_a_name_");
    assert_eq!(options.most_bytes, MOST_BYTES);
    let mut before = (0, 0);
    for most in [32 * 1024, MOST_BYTES, 128 * 1024, 4 * 1024 * 1024] {
        let options = options.clone().with_most_bytes(most);
        let prompt = scene.connection.prompt(&options).await?;
        holds(&prompt, most, &tables);
        // More room tells more, the first tables first.
        let told = (
            prompt.in_full.len(),
            prompt.in_full.len() + prompt.in_short.len(),
        );
        assert!(told > before, "{told:?} {before:?}");
        before = told;
        assert!(
            prompt.in_full.contains(&shop("table_with_a_name_1")),
            "{most}"
        );
        let left_out = !prompt.left_out.is_empty();
        assert_eq!(left_out, most < 1024 * 1024, "{:?}", prompt.left_out);
        if most == MOST_BYTES {
            assert!(
                prompt.text().len() > most as usize / 10 * 9,
                "room is left: {}",
                prompt.text().len()
            );
        }
        if most < MOST_BYTES {
            assert!(!prompt.in_short.is_empty() && !prompt.by_name.is_empty());
        }
    }
    // What is tied by a key is told once there is room, and once only.
    let all = scene
        .connection
        .prompt(&options.with_most_bytes(4 * 1024 * 1024))
        .await?;
    let tied = "Not to be read, tied to those above by foreign keys:\nshop.tied\n";
    assert_eq!(all.tables.matches(tied).count(), 1);
    assert_eq!(
        all.tables
            .matches("type shop.kind: enum of \"a\", \"b\"\n")
            .count(),
        1
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_without_room_for_the_names_says_what_it_takes() -> Result<()> {
    let mut scene = Scene::new("prompt_tight", &many("t")).await?;
    let tight = all("t").with_most_bytes(12 * 1024);
    let error = failure(
        scene.connection.prompt(&tight).await,
        ErrorKind::Unsupported,
    );
    let hint = error.hint().context("a hint")?.to_owned();
    let least = hint
        .split_whitespace()
        .find_map(|word| word.parse::<u32>().ok());
    let least = least.with_context(|| hint.clone())?;
    let prompt = scene
        .connection
        .prompt(&all("t").with_most_bytes(least))
        .await?;
    holds(&prompt, least, &names("t"));
    assert_eq!(prompt.by_name.len(), TABLES);
    failure(
        scene
            .connection
            .prompt(&all("t").with_most_bytes(least - 1))
            .await,
        ErrorKind::Unsupported,
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_tables_take_as_many_statements_as_one() -> Result<()> {
    let options = ServerOptions::new()
        .with_setting("log_statement", "all")
        .with_setting("log_line_prefix", "%a|");
    let server = Server::start(&options).await?;
    let database = server.database("prompt_constant").await?;
    let admin = database.sql().await?;
    admin
        .batch_execute("CREATE SCHEMA shop AUTHORIZATION dagflux")
        .await?;
    admin.batch_execute(&many("t")).await?;
    let mut connection = fixture::connect(&database).await?;
    let sent = || {
        let log = server.log();
        let ours = |line: &&str| {
            line.starts_with("dagflux|LOG:")
                && (line.contains("statement:") || line.contains("execute"))
        };
        log.lines().filter(ours).count()
    };
    let mut counts = Vec::new();
    for options in [transform(&["t1"]), all("t")] {
        let before = sent();
        connection.prompt(&options).await?;
        counts.push(sent() - before);
    }
    assert!(
        matches!(counts[..], [one, many] if one == many && one > 0 && one <= 8),
        "{counts:?}"
    );
    Ok(())
}
