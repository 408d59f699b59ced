use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;

fn new_table() -> Value {
    json!({
        "version": 1,
        "id": "revenue",
        "node": "transform",
        "mode": "new-table",
        "sources": [{
            "connection": "shop",
            "table": "sales.orders",
            "columns": [{ "name": "total", "type": "numeric", "nullable": true }],
        }],
        "target": { "table": "sales.revenue" },
        "statements": { "create": "CREATE TABLE …", "insert": "INSERT …", "preview": "SELECT …" },
    })
}

fn local() -> Value {
    with(
        new_table(),
        json!({
            "storage": "local",
            "target": { "table": "revenue" },
            "statements": { "create": "CREATE TABLE …", "select": "SELECT …", "insert": null },
        }),
    )
}

fn in_place() -> Value {
    with(
        new_table(),
        json!({
            "mode": "in-place",
            "target": null,
            "statements": { "changes": ["ALTER …", "UPDATE …"], "create": null, "insert": null },
        }),
    )
}

fn join() -> Value {
    json!({
        "version": 1,
        "id": "everything",
        "node": "join",
        "mode": "new-table",
        "sources": [
            { "connection": "shop", "table": "sales.orders" },
            { "workspace": "targets" },
            { "file": "weather.parquet" },
        ],
        "target": { "connection": "warehouse", "table": "reports.everything" },
        "statements": { "select": "SELECT …" },
    })
}

fn merge() -> Value {
    with(
        join(),
        json!({ "mode": "merge", "keys": ["day", "region"] }),
    )
}

/// `document` with what `patch` says in place of what was there (RFC 7396, "JSON Merge Patch").
fn with(mut document: Value, patch: Value) -> Value {
    match (&mut document, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (name, value) in patch {
                match value {
                    Value::Null => drop(fields.remove(&name)),
                    value => {
                        let old = fields.remove(&name).unwrap_or_default();
                        fields.insert(name, with(old, value));
                    }
                }
            }
            document
        }
        (_, patch) => patch,
    }
}

fn read(document: Value) -> Result<Operation, Vec<Broken>> {
    let document = Document::parse(&document.to_string()).unwrap();
    // What is saved is what was read.
    let saved = serde_json::to_string(&document).unwrap();
    assert_eq!(Document::parse(&saved).unwrap(), document);
    document.operation()
}

#[test]
fn every_legal_combination_is_an_operation_of_its_own() {
    let Operation::Transform(transform) = read(new_table()).unwrap() else {
        panic!("a transformation");
    };
    assert_eq!(transform.columns[0].name, "total");
    assert!(matches!(transform.work, Transformation::NewTable { .. }));
    for document in [
        with(new_table(), json!({ "storage": "database" })),
        with(new_table(), json!({ "target": { "connection": "shop" } })),
        // Equal names of tables in different schemas are different tables.
        with(
            new_table(),
            json!({ "target": { "table": "archive.orders" } }),
        ),
    ] {
        read(document).unwrap();
    }
    for source in [
        json!([{ "connection": "shop", "table": "sales.orders" }]),
        json!([{ "workspace": "orders" }]),
    ] {
        let Operation::Transform(transform) =
            read(with(local(), json!({ "sources": source }))).unwrap()
        else {
            panic!("a transformation");
        };
        assert!(
            matches!(transform.work, Transformation::Local { target, .. } if target == "revenue")
        );
    }
    let Operation::Transform(transform) = read(in_place()).unwrap() else {
        panic!("a transformation");
    };
    assert!(
        matches!(transform.work, Transformation::InPlace { changes, .. } if changes.len() == 2)
    );
    let Operation::Join(joined) = read(join()).unwrap() else {
        panic!("a join");
    };
    assert_eq!(
        (joined.sources.len(), joined.merging),
        (3, Merging::NewTable)
    );
    let Operation::Join(merged) = read(merge()).unwrap() else {
        panic!("a join");
    };
    assert_eq!(
        merged.merging,
        Merging::ByKey(vec!["day".to_owned(), "region".to_owned()])
    );
    // A table can be joined with itself, and merged into one of those that were read.
    let itself = json!({ "connection": "warehouse", "table": "reports.everything" });
    let itself = with(merge(), json!({ "sources": [itself, itself] }));
    read(itself).unwrap();
}

/// Each of these breaks one rule, and is told nothing else.
#[test]
fn every_rule_is_kept() {
    use Rule::*;
    let workspace = json!([{ "workspace": "orders" }]);
    let one = json!([{ "connection": "shop", "table": "t" }]);
    let twice = json!([
        { "connection": "shop", "table": "t", "columns": [
            { "name": "a", "type": "text", "nullable": true },
            { "name": "a", "type": "text", "nullable": true },
        ] },
    ]);
    let cases = [
        (new_table(), json!({ "version": 2 }), Version, "version"),
        (new_table(), json!({ "id": "" }), Id, "id"),
        (new_table(), json!({ "id": "1st" }), Id, "id"),
        (new_table(), json!({ "id": "Revenue" }), Id, "id"),
        (new_table(), json!({ "id": "a\"; DROP" }), Id, "id"),
        (new_table(), json!({ "id": "a".repeat(41) }), Id, "id"),
        (
            new_table(),
            json!({ "mode": "merge" }),
            TransformMode,
            "mode",
        ),
        (join(), json!({ "mode": "in-place" }), JoinMode, "mode"),
        (
            local(),
            json!({ "sources": [{ "connection": "shop", "table": "t" }, { "workspace": "u" }] }),
            Beside,
            "sources[1]",
        ),
        (
            new_table(),
            json!({ "sources": [{ "connection": "shop", "table": "t" }, { "connection": "other", "table": "u" }] }),
            Beside,
            "sources[1]",
        ),
        (local(), json!({ "sources": [] }), OneSource, "sources"),
        (join(), json!({ "sources": one }), TwoSources, "sources"),
        (
            join(),
            json!({ "sources": [{ "file": "a.csv" }, { "file": "a.csv" }] }),
            FileOnce,
            "sources[1].file",
        ),
        (
            new_table(),
            json!({ "sources": [{ "table": "t" }] }),
            OnePlace,
            "sources[0]",
        ),
        (
            new_table(),
            json!({ "sources": [{ "connection": "shop" }] }),
            OnePlace,
            "sources[0]",
        ),
        (
            new_table(),
            json!({ "sources": [{ "connection": "", "table": "t" }] }),
            OnePlace,
            "sources[0]",
        ),
        (
            local(),
            json!({ "sources": [{ "workspace": "t", "file": "t" }] }),
            OnePlace,
            "sources[0]",
        ),
        (
            local(),
            json!({ "sources": [{ "workspace": "t", "table": "t" }] }),
            OnePlace,
            "sources[0]",
        ),
        (
            new_table(),
            json!({ "sources": [{ "connection": "shop", "table": "a.b.c" }] }),
            TableName,
            "sources[0].table",
        ),
        (
            new_table(),
            json!({ "target": { "table": "" } }),
            TableName,
            "target.table",
        ),
        (
            local(),
            json!({ "target": { "table": "a.b" } }),
            TableName,
            "target.table",
        ),
        (
            local(),
            json!({ "sources": [{ "file": "t.csv" }] }),
            FilesAreJoined,
            "sources[0].file",
        ),
        (
            in_place(),
            json!({ "storage": "local" }),
            InPlaceStorage,
            "storage",
        ),
        (
            in_place(),
            json!({ "storage": "database" }),
            InPlaceStorage,
            "storage",
        ),
        (
            in_place(),
            json!({ "target": { "table": "t" } }),
            InPlaceTarget,
            "target",
        ),
        (
            in_place(),
            json!({ "sources": workspace }),
            InPlaceWorkspace,
            "mode",
        ),
        (
            new_table(),
            json!({ "sources": workspace }),
            LocalStaysLocal,
            "storage",
        ),
        (
            join(),
            json!({ "storage": "local" }),
            JoinStorage,
            "storage",
        ),
        (
            new_table(),
            json!({ "target": null }),
            TargetMissing,
            "target",
        ),
        (local(), json!({ "target": null }), TargetMissing, "target"),
        (join(), json!({ "target": null }), TargetMissing, "target"),
        (
            new_table(),
            json!({ "target": { "connection": "other" } }),
            TargetConnection,
            "target.connection",
        ),
        (
            local(),
            json!({ "target": { "connection": "shop" } }),
            TargetConnection,
            "target.connection",
        ),
        (
            join(),
            json!({ "target": { "connection": null } }),
            TargetConnection,
            "target.connection",
        ),
        (
            new_table(),
            json!({ "target": { "table": "sales.orders" } }),
            TargetIsSource,
            "target.table",
        ),
        (
            local(),
            json!({ "sources": [{ "workspace": "revenue" }] }),
            TargetIsSource,
            "target.table",
        ),
        (
            join(),
            json!({ "target": { "connection": "shop", "table": "sales.orders" } }),
            TargetIsSource,
            "target.table",
        ),
        (merge(), json!({ "keys": [] }), KeysMissing, "keys"),
        (join(), json!({ "keys": ["day"] }), KeysUnused, "keys"),
        (in_place(), json!({ "keys": ["day"] }), KeysUnused, "keys"),
        (merge(), json!({ "keys": ["day", "day"] }), Once, "keys[1]"),
        (
            new_table(),
            json!({ "sources": twice }),
            Once,
            "sources[0].columns[1]",
        ),
        (
            new_table(),
            json!({ "statements": { "create": null } }),
            StatementMissing,
            "statements.create",
        ),
        (
            new_table(),
            json!({ "statements": { "insert": " \n" } }),
            StatementMissing,
            "statements.insert",
        ),
        (
            local(),
            json!({ "statements": { "select": null } }),
            StatementMissing,
            "statements.select",
        ),
        (
            in_place(),
            json!({ "statements": { "changes": [] } }),
            StatementMissing,
            "statements.changes",
        ),
        (
            in_place(),
            json!({ "statements": { "changes": ["ALTER …", ""] } }),
            StatementMissing,
            "statements.changes[1]",
        ),
        (
            join(),
            json!({ "statements": { "select": null } }),
            StatementMissing,
            "statements.select",
        ),
        (
            new_table(),
            json!({ "statements": { "select": "SELECT …" } }),
            StatementUnused,
            "statements.select",
        ),
        (
            new_table(),
            json!({ "statements": { "changes": ["DROP …"] } }),
            StatementUnused,
            "statements.changes",
        ),
        (
            join(),
            json!({ "statements": { "create": "CREATE …" } }),
            StatementUnused,
            "statements.create",
        ),
    ];
    let mut seen = HashSet::new();
    for (document, patch, rule, at) in cases {
        let broken = read(with(document, patch.clone())).expect_err(&patch.to_string());
        let told: Vec<_> = broken
            .iter()
            .map(|broken| (broken.rule, &*broken.at))
            .collect();
        assert_eq!(told, [(rule, at)], "{patch}");
        seen.insert(rule);
    }
    let unseen = Rule::ALL.iter().filter(|rule| !seen.contains(rule));
    assert_eq!(unseen.collect::<Vec<_>>(), [] as [&Rule; 0]);
}

#[test]
fn all_faults_are_told_at_once() {
    let patch = json!({ "id": "!", "storage": "local", "target": { "table": "t" }, "keys": ["a"] });
    let broken = read(with(in_place(), patch)).unwrap_err();
    let rules: Vec<_> = broken.iter().map(|broken| broken.rule).collect();
    use Rule::*;
    assert_eq!(rules, [Id, KeysUnused, InPlaceStorage, InPlaceTarget]);
}

#[test]
fn names_are_those_serde_writes() {
    for rule in Rule::ALL {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
    }
}

#[test]
fn what_is_no_document_is_told_with_its_place() {
    for (text, words) in [
        ("", "line 1, column 0: EOF"),
        (
            "{\n  \"version\": 1,\n  \"node\": \"merge\"\n}",
            "line 3, column 17: unknown variant `merge`",
        ),
        ("{\"version\": 1, \"colour\": 2}", "unknown field `colour`"),
    ] {
        let error = Document::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
