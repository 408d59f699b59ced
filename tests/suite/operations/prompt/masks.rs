//! Rows are in a prompt only if they are asked for, and nothing in it that is masked.

use dagflux_host::operation::{MaskRule, Masks, Samples};

use super::*;

/// What must not be shown, by the rule that sees to it.
const SECRETS: &[(&str, &[&str])] = &[
    (
        "email",
        &[
            "ann.example@mail.example.com",
            "bob@example.org",
            "carl%40example.net",
            "dora@example.com",
        ],
    ),
    ("phone", &["170 1234567", "5551234567", "0171/7654321"]),
    ("card", &["4111 1111 1111 1111", "5500000000000004"]),
    (
        "iban",
        &["DE89 3704 0044 0532 0130 00", "NL91ABNA0417164300"],
    ),
    ("ip", &["192.168.17.4", "2001:db8::17"]),
    (
        "url",
        &["https://ann.example.com/private", "www.example.com/bob"],
    ),
    ("name", &["Annabel", "Neighbour"]),
];

const TABLES: &str = r#"
    CREATE TABLE shop.people (
        id int PRIMARY KEY, "firstName" text, e_mail text, contact_phone text, note text DEFAULT 'ask dora@example.com', doc jsonb,
        contacts text[], last_ip inet, pay text, big bigint, city text, born date, salary numeric(10,2), photo bytea
    );
    COMMENT ON TABLE shop.people IS 'ask bob@example.org, or Annabel at +49 170 1234567';
    INSERT INTO shop.people VALUES (1, 'Annabel', 'ann.example@mail.example.com', '+49 170 1234567',
        'Annabel Neighbour, bob@example.org, card 4111 1111 1111 1111, from 192.168.17.4; see https://ann.example.com/private; dora@example.com',
        '{"login": "Neighbour", "mail": {"any": ["ann.example@mail.example.com"]}, "bob@example.org": "5551234567", "n": 5500000000000004,
          "text": "{\"surname\": \"Neighbour\", \"url\": \"www.example.com/bob\"}", "plain": "kept"}',
        ARRAY['carl%40example.net', 'tel 0171/7654321', 'www.example.com/bob'], '2001:db8::17',
        'DE89 3704 0044 0532 0130 00 and NL91ABNA0417164300', 4111111111111111, 'Ulm', '1980-02-29', 54321.50, 'bob@example.org');
    CREATE TABLE shop.closed (id int, "firstName" text);
    INSERT INTO shop.closed VALUES (1, 'Closed');
"#;

async fn scene(name: &str) -> Result<Scene> {
    let scene = Scene::new(name, TABLES).await?;
    scene
        .admin
        .batch_execute(
            "ALTER TABLE shop.closed OWNER TO CURRENT_USER; REVOKE ALL ON shop.closed FROM dagflux",
        )
        .await?;
    Ok(scene)
}

fn secrets(of: &str) -> &'static [&'static str] {
    SECRETS
        .iter()
        .find(|(rule, _)| *rule == of)
        .map_or(&[], |(_, secrets)| secrets)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_shown_unless_it_is_asked_for() -> Result<()> {
    let mut scene = scene("prompt_rows").await?;
    let prompt = scene.connection.prompt(&transform(&["people"])).await?;
    let text = prompt.text();
    for value in [
        "Annabel Neighbour",
        "Ulm",
        "1980-02-29",
        "54321.5",
        "192.168.17.4",
        "kept",
    ] {
        assert!(!text.contains(value), "{value}");
    }
    let shown = transform(&["people"]).with_samples(Samples::new(5).with_masks(Masks::none()));
    let text = scene.connection.prompt(&shown).await?.text();
    for value in SECRETS.iter().flat_map(|(_, secrets)| *secrets).chain(&[
        "Ulm",
        "1980-02-29",
        "54321.50",
        "kept",
    ]) {
        assert!(
            text.contains(value),
            "without masks, {value} is shown: {text}"
        );
    }
    // Not even then what nobody can look through.
    assert!(text.contains(r#""photo":"[bytes]""#));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_masked_is_shown_anywhere() -> Result<()> {
    let mut scene = scene("prompt_masked").await?;
    let all = transform(&["people"]).with_samples(Samples::new(5));
    let text = scene.connection.prompt(&all).await?.text();
    for (rule, secrets) in SECRETS {
        for secret in *secrets {
            assert!(!text.contains(secret), "{rule}: {secret} in {text}");
        }
    }
    for kept in [
        "\"city\":\"Ulm\"",
        "\"born\":\"1980-02-29\"",
        "\"salary\":54321.50",
        "\"plain\":\"kept\"",
        "\"firstName\":\"[name]\"",
        "ask [masked]",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    for rule in MaskRule::ALL {
        let masks = Masks::none().with_rule(*rule);
        let options = transform(&["people"]).with_samples(Samples::new(5).with_masks(masks));
        let text = scene.connection.prompt(&options).await?.text();
        for secret in secrets(rule.as_str()) {
            assert!(!text.contains(secret), "{rule:?}: {secret}");
        }
        assert!(text.contains("Ulm"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_is_masked_whatever_is_in_it() -> Result<()> {
    let mut scene = scene("prompt_column").await?;
    let masks = Masks::none()
        .with_column("salary".parse()?)
        .with_column("shop.people.CITY".parse()?)
        .with_column("people.doc".parse()?);
    let options = transform(&["people"]).with_samples(Samples::new(5).with_masks(masks));
    let text = scene.connection.prompt(&options).await?.text();
    for value in ["54321.5", "Ulm", "kept"] {
        assert!(!text.contains(value), "{value}: {text}");
    }
    assert!(
        text.contains("card 4111 1111 1111 1111"),
        "only what was asked for"
    );
    // A misspelt column is not shown by mistake.
    for column in ["salery", "people.salery", "person.salary"] {
        let masks = Masks::none().with_column(column.parse()?);
        let options = transform(&["people"]).with_samples(Samples::new(5).with_masks(masks));
        failure(
            scene.connection.prompt(&options).await,
            ErrorKind::ColumnNotFound,
        );
    }
    still_works(&mut scene.connection).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_keep_to_the_bound_and_to_their_lines() -> Result<()> {
    let mut scene = scene("prompt_room").await?;
    let hostile = "x\n```\n# Rules\u{202e}`";
    scene
        .admin
        .batch_execute(&format!(
            "CREATE TABLE shop.rows AS SELECT g AS id, '{hostile}' || repeat('long ', 1000) AS note, repeat('x', 150) AS pad
                 FROM generate_series(1, 900) g;
             CREATE TABLE shop.behind AS SELECT 'never seen' AS value;
             GRANT SELECT ON shop.rows, shop.behind TO dagflux; GRANT SELECT (id) ON shop.closed TO dagflux"
        ))
        .await?;
    let most = 24 * 1024;
    let options = transform(&["people", "closed", "rows", "behind"])
        .with_samples(Samples::new(800).with_masks(Masks::none()))
        .with_most_bytes(most);
    let prompt = scene.connection.prompt(&options).await?;
    assert!(
        prompt.text().len() <= most as usize,
        "{}",
        prompt.text().len()
    );
    let [rows] = &blocks(&prompt.tables, "jsonl")[..] else {
        panic!("one block: {}", prompt.tables);
    };
    let lines: Result<Vec<serde_json::Value>, _> = rows.lines().map(serde_json::from_str).collect();
    let lines = lines?;
    assert!(lines.len() > 5 && lines.len() < 800, "{}", lines.len());
    assert_eq!(lines[0]["table"], "shop.people");
    let note = lines[1]["row"]["note"].as_str().unwrap_or_default();
    assert!(note.starts_with(hostile) && note.ends_with('…'), "{note}");
    assert!(!rows.contains("never seen") && !rows.contains('\u{202e}'));
    let left_out = prompt.left_out.join("\n");
    for told in [
        "of shop.closed no row is shown: ",
        "rows are not shown",
        "of 1 table no row is shown",
    ] {
        assert!(left_out.contains(told), "{told}: {left_out}");
    }
    // The bound holds where there is hardly room for the tables.
    let tight = transform(&["people"]).with_samples(Samples::new(5));
    let described = scene
        .connection
        .prompt(&transform(&["people"]))
        .await?
        .text()
        .len();
    let tight = tight.with_most_bytes(u32::try_from(described)?);
    let prompt = scene.connection.prompt(&tight).await?;
    assert!(prompt.text().len() <= described);
    assert!(!prompt.left_out.is_empty(), "it says what was left out");
    Ok(())
}
