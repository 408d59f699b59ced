//! `dagflux operation`.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};

use super::Desk;

fn revenue() -> Value {
    json!({
        "version": 1,
        "id": "revenue",
        "node": "transform",
        "mode": "new-table",
        "sources": [{ "connection": "shop", "table": "sales.orders" }],
        "target": { "table": "sales.revenue" },
        "statements": {
            "create": "CREATE TABLE sales.revenue (customer integer, total numeric)",
            "insert": "INSERT INTO sales.revenue SELECT customer, sum(total) FROM sales.orders GROUP BY 1",
        },
    })
}

#[test]
fn an_operation_is_held_against_the_rules() -> Result<()> {
    let desk = Desk::with_file("")?;
    let path = desk.path("revenue.json");
    fs::write(&path, revenue().to_string())?;
    let told = desk.succeed(&["operation", "check", "revenue.json"])?;
    assert_eq!(
        told,
        "revenue makes sales.revenue of sales.orders on shop\n"
    );

    let mut local = revenue();
    local["mode"] = json!("in-place");
    local["storage"] = json!("local");
    fs::write(&path, local.to_string())?;
    let run = desk.run(&["operation", "check", "revenue.json"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    for words in [
        "in-place-storage",
        "What works in place has no storage: its source stays where it is.",
        "in-place-target",
        "statements.changes",
    ] {
        assert!(run.out.contains(words), "{}", run.out);
    }
    let run = desk.run(&["operation", "check", "revenue.json", "--json"])?;
    assert_eq!(run.code, Some(14), "{run:?}");
    let told: Value = serde_json::from_str(&run.out)?;
    assert_eq!(told["id"], "revenue");
    assert_eq!(told["broken"][0]["rule"], "in-place-storage");
    assert_eq!(told["broken"][0]["at"], "storage");
    Ok(())
}

#[test]
fn what_is_none_is_told_with_its_place() -> Result<()> {
    let desk = Desk::with_file("")?;
    fs::write(
        desk.path("odd.json"),
        "{\n  \"version\": 1,\n  \"mode\": \"sideways\"\n}",
    )?;
    let run = desk.run(&["operation", "check", "odd.json"])?;
    assert_eq!(run.code, Some(13), "{run:?}");
    assert!(
        run.err
            .contains("line 3, column 20: unknown variant `sideways`"),
        "{}",
        run.err
    );
    assert!(run.err.contains("dagflux operation schema"), "{}", run.err);
    let run = desk.run(&["operation", "check", "missing.json"])?;
    assert_eq!(run.code, Some(13), "{run:?}");
    assert!(
        run.err
            .contains("cannot read the operation from missing.json"),
        "{}",
        run.err
    );
    Ok(())
}

#[test]
fn the_schema_has_what_a_document_may_have() -> Result<()> {
    let desk = Desk::with_file("")?;
    let schema: Value = serde_json::from_str(&desk.succeed(&["operation", "schema"])?)?;
    for field in [
        "version",
        "id",
        "node",
        "mode",
        "storage",
        "sources",
        "target",
        "statements",
        "keys",
    ] {
        let said = schema["properties"][field].to_string();
        assert!(said.len() > 20, "{field}: {said}");
    }
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema["required"],
        json!(["version", "id", "node", "mode", "sources"])
    );
    Ok(())
}
