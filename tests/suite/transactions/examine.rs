//! Statements that are looked at and not carried out.

use dagflux_host::{Access, Examination};

use super::*;

fn touched(examination: &Examination) -> Vec<(String, Access)> {
    examination
        .tables
        .iter()
        .flatten()
        .map(|table| {
            let behind = if table.behind_view { " behind" } else { "" };
            let name = format!("{}.{}{behind}", table.schema, table.name);
            (name, table.access)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_statement_is() -> Result<()> {
    let mut scene = Scene::new("examine_what").await?;
    scene
        .admin
        .batch_execute(
            "CREATE TABLE s (id serial PRIMARY KEY, amount numeric(12,2), day date);
             INSERT INTO s (amount) SELECT g FROM generate_series(1, 1000) g; ANALYZE s, t;
             CREATE VIEW v AS SELECT id, name FROM t;
             CREATE VIEW sly AS SELECT pg_notify('a', 'b')::text AS sent;
             CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parts DEFAULT;
             CREATE FUNCTION mine(n int) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN n; END $$;
             CREATE FUNCTION pure(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN n; END $$;
             CREATE FUNCTION sends(a int, b int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('a', 'b'); RETURN a; END $$;
             CREATE OPERATOR ### (FUNCTION = sends, LEFTARG = int, RIGHTARG = int);
             CREATE TABLE guarded (id int); CREATE TABLE guards (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
             CREATE POLICY p ON guarded USING (id IN (SELECT id FROM guards));
             CREATE DOMAIN sent AS int CHECK (mine(VALUE) > 0); CREATE SCHEMA apart;
             CREATE FUNCTION apart.lower(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN n; END $$;
             CREATE AGGREGATE sending(int) (SFUNC = sends, STYPE = int);
             GRANT ALL ON ALL TABLES IN SCHEMA public TO dagflux; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO dagflux",
        )
        .await?;
    let connection = &mut scene.connection;
    let looked = connection
        .examine("SELECT s.amount AS total, s.day, count(*) FROM s JOIN v USING (id) GROUP BY 1, 2")
        .await?;
    let columns: Vec<_> = looked.columns.iter().flatten().collect();
    let columns: Vec<_> = columns
        .iter()
        .map(|column| (column.name.as_str(), column.data_type.as_str()))
        .collect();
    assert_eq!(
        columns,
        [
            ("total", "numeric(12,2)"),
            ("day", "date"),
            ("count", "bigint")
        ]
    );
    assert_eq!(
        touched(&looked),
        [
            ("public.s".into(), Access::Read),
            ("public.t behind".into(), Access::Read),
            ("public.v".into(), Access::Read)
        ]
    );
    assert_eq!(looked.effects, [""; 0]);
    let rows = connection.examine("SELECT * FROM s").await?.estimated_rows;
    assert_eq!(rows, Some(1000));
    for (sql, tables, effects, rows) in [
        (
            "UPDATE s SET amount = 0",
            vec![("public.s", Access::Update)],
            vec![],
            Some(1000),
        ),
        (
            "WITH gone AS (DELETE FROM t RETURNING id) INSERT INTO s (amount) SELECT id FROM gone",
            vec![("public.s", Access::Insert), ("public.t", Access::Delete)],
            vec![],
            None,
        ),
        (
            "SELECT * FROM t WHERE false",
            vec![("public.t", Access::Read)],
            vec![],
            Some(0),
        ),
        (
            "SELECT id FROM t FOR UPDATE",
            vec![("public.t", Access::Lock)],
            vec![],
            Some(3),
        ),
        (
            "UPDATE v SET name = 'x' WHERE id = 1",
            vec![
                ("public.v", Access::Update),
                ("public.t behind", Access::Update),
            ],
            vec![],
            Some(1),
        ),
        (
            "DELETE FROM parts USING t WHERE t.id = parts.id",
            vec![("public.parts", Access::Delete), ("public.t", Access::Read)],
            vec![],
            None,
        ),
        (
            "SELECT relname FROM pg_catalog.pg_class",
            vec![("pg_catalog.pg_class", Access::Read)],
            vec![],
            None,
        ),
        (
            "TABLE sly",
            vec![("public.sly", Access::Read)],
            vec!["pg_notify"],
            Some(1),
        ),
        (
            "SELECT pg_terminate_backend(1), \"nextval\"('s_id_seq'), random(), lower('pg_sleep(1)')",
            vec![],
            vec!["nextval", "pg_terminate_backend"],
            Some(1),
        ),
        ("SELECT * FROM pg_sleep(1)", vec![], vec!["pg_sleep"], None),
        (
            "SELECT mine(id), pure(id) FROM t",
            vec![("public.t", Access::Read)],
            vec!["mine"],
            Some(3),
        ),
        (
            "SELECT sending(id), max(id ### 1), max(id OPERATOR(public.###) 2) FROM t",
            vec![("public.t", Access::Read)],
            vec!["###", "sending"],
            Some(1),
        ),
        (
            "SELECT id FROM guarded",
            vec![
                ("public.guarded", Access::Read),
                ("public.guards behind", Access::Read),
            ],
            vec![],
            None,
        ),
        (
            "SELECT lower(name), id::sent, 'x::apart.sent' FROM t",
            vec![("public.t", Access::Read)],
            vec!["sent"],
            Some(3),
        ),
        (
            "SELECT table_to_xml('t', true, true, '')",
            vec![],
            vec!["table_to_xml"],
            Some(1),
        ),
        (
            "SELECT 1 WHERE EXISTS (SELECT FROM t WHERE id = (SELECT pg_sleep(1)::text::int))",
            vec![("public.t", Access::Read)],
            vec!["pg_sleep"],
            None,
        ),
    ] {
        let looked = connection.examine(sql).await?;
        let mut told = touched(&looked);
        told.sort_by_key(|(name, access)| (name.clone(), access.as_str()));
        let mut tables: Vec<_> = tables
            .iter()
            .map(|(name, access)| ((*name).to_owned(), *access))
            .collect();
        tables.sort_by_key(|(name, access)| (name.clone(), access.as_str()));
        assert_eq!(told, tables, "{sql}");
        assert_eq!(looked.effects, effects, "{sql}");
        if rows.is_some() {
            assert_eq!(looked.estimated_rows, rows, "{sql}");
        }
    }
    for sql in [
        "ALTER TABLE t ADD COLUMN x int",
        "CREATE TABLE u (id int)",
        "COMMIT",
        "TRUNCATE t",
    ] {
        let looked = connection.examine(sql).await?;
        assert_eq!((&looked.tables, &looked.columns), (&None, &None), "{sql}");
    }
    still_works(connection).await;
    let state = "SELECT (SELECT count(*) FROM t) || ' ' || (SELECT sum(amount) FROM s) || ' ' || (SELECT last_value FROM s_id_seq)";
    assert_eq!(value(&scene.admin, state).await?, "3 500500.00 1000");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_it() -> Result<()> {
    let mut scene = Scene::new("examine_wrong").await?;
    for (sql, kind) in [
        ("SELEC 1", ErrorKind::Syntax),
        ("SELECT 1; SELECT 2", ErrorKind::UnsupportedStatement),
        ("SELECT nam FROM t", ErrorKind::ColumnNotFound),
        ("SELECT * FROM tt", ErrorKind::TableNotFound),
        (
            "SELECT id || id FROM t WHERE name + 1",
            ErrorKind::Statement,
        ),
        ("SELECT $1::int", ErrorKind::UnsupportedStatement),
        ("SELECT 'x\0y'", ErrorKind::Syntax),
        ("ANALYZE DELETE FROM t", ErrorKind::Syntax),
        ("SELECT 1 / 0", ErrorKind::Statement),
    ] {
        println!("{sql}");
        failure(scene.connection.examine(sql).await, kind);
    }
    assert_eq!(count(&mut scene.connection).await?, 3);
    Ok(())
}

/// In a transaction it knows what was made there, and leaves the transaction as it was.
#[tokio::test(flavor = "multi_thread")]
async fn it_sees_what_the_transaction_made() -> Result<()> {
    let mut scene = Scene::new("examine_within").await?;
    let mut transaction = scene.connection.transaction(Default::default()).await?;
    transaction
        .execute("CREATE TABLE made (id int, name text)")
        .await?;
    let looked = transaction
        .examine("INSERT INTO made SELECT id, name FROM t")
        .await?;
    let mut told = touched(&looked);
    told.sort_by_key(|(name, access)| (name.clone(), access.as_str()));
    assert_eq!(
        told,
        [
            ("public.made".into(), Access::Insert),
            ("public.t".into(), Access::Read)
        ]
    );
    let locked = transaction.locks().await?;
    assert_eq!(
        locked
            .iter()
            .map(|lock| lock.name.as_str())
            .collect::<Vec<_>>(),
        ["made"]
    );
    transaction.roll_back().await?;
    failure(
        scene.connection.examine("SELECT * FROM made").await,
        ErrorKind::TableNotFound,
    );
    Ok(())
}
