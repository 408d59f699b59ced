//! Ten thousand tables take as many statements as ten.

use anyhow::Result;
use dagflux_host::{CheckOptions, Purpose, Severity};
use dagflux_test_support::{Server, ServerOptions};

use super::{finding, statements};
use crate::fixture;

/// The most statements that one check may send.
const MOST: usize = 12;

/// What the product has sent, by the server's log.
fn sent(server: &Server) -> usize {
    let log = server.log();
    let is_statement = |line: &&str| {
        line.starts_with("dagflux|LOG:")
            && (line.contains("LOG:  statement:") || line.contains("LOG:  execute"))
    };
    log.lines().filter(is_statement).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tables_in_two_hundred_schemas() -> Result<()> {
    let options = ServerOptions::new()
        .with_setting("log_statement", "all")
        .with_setting("log_line_prefix", "%a|");
    let server = Server::start(&options).await?;
    let mut counts = Vec::new();
    for (schemas, tables) in [(2, 5), (200, 50)] {
        let database = server.database(&format!("schemas_{schemas}")).await?;
        let client = database.sql().await?;
        for schema in 1..=schemas {
            client
                .batch_execute(&format!(
                    "CREATE SCHEMA s{schema}; GRANT USAGE ON SCHEMA s{schema} TO dagflux;
                     DO $$ BEGIN FOR n IN 1..{tables} LOOP
                         EXECUTE format('CREATE TABLE s{schema}.t%s (id int)', n);
                     END LOOP; END $$;
                     GRANT SELECT ON ALL TABLES IN SCHEMA s{schema} TO dagflux"
                ))
                .await?;
        }
        // Something of every kind, so that every question is asked.
        client
            .batch_execute(
                "REVOKE SELECT ON s1.t1, s1.t2 FROM dagflux; GRANT SELECT (id) ON s1.t1 TO dagflux;
                 ALTER TABLE s2.t1 ENABLE ROW LEVEL SECURITY; CREATE SEQUENCE s2.s",
            )
            .await?;
        // Others who create in every schema, and views of theirs over what is closed to them.
        let (owners, views) = (schemas / 10 + 1, schemas * 5);
        client
            .batch_execute(&format!(
                "CREATE SCHEMA v; GRANT USAGE ON SCHEMA v TO dagflux;
                 DO $$ DECLARE owner text; BEGIN FOR n IN 1..{owners} LOOP
                     owner := format('scale_{schemas}_%s', n); EXECUTE 'CREATE ROLE ' || owner || ' LOGIN';
                     FOR s IN 1..{schemas} LOOP
                         EXECUTE format('GRANT CREATE ON SCHEMA s%s TO %I', s, owner);
                         EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA s%s GRANT SELECT ON TABLES TO dagflux', owner, s);
                     END LOOP;
                 END LOOP;
                 FOR n IN 1..{views} LOOP
                     EXECUTE format('CREATE VIEW v.v%s AS SELECT id FROM s%s.t3', n, 1 + n % {schemas});
                     EXECUTE format('ALTER VIEW v.v%s OWNER TO scale_{schemas}_%s', n, 1 + n % {owners});
                 END LOOP; END $$;
                 GRANT SELECT ON ALL TABLES IN SCHEMA v TO dagflux"
            ))
            .await?;
        let mut connection = fixture::connect(&database).await?;
        let all = CheckOptions::new()
            .with_purposes(Purpose::ALL)
            .with_all_schemas(true);
        let before = sent(&server);
        let report = connection.check(all).await?;
        let count = sent(&server) - before;
        connection.close().await?;
        // Were the log not what it is taken for, it would be 0.
        assert!((5..=MOST).contains(&count), "{count}");
        counts.push(count);

        let total = schemas * tables;
        let reading = finding(&report, "reading")?;
        // A grant on every column is as good as one on the table.
        let relations = total + views;
        let message = format!("SELECT is missing on 1 of {relations} tables: s1.t2");
        assert_eq!(
            (reading.severity, reading.message.as_str()),
            (Severity::Failed, message.as_str())
        );
        assert_eq!(
            statements(reading),
            ["GRANT SELECT ON TABLE s1.t2 TO dagflux;"]
        );
        let beneath = finding(&report, "views")?;
        assert_eq!(beneath.severity, Severity::Failed, "{beneath:?}");
        let writing = finding(&report, "writing")?;
        assert!(
            writing
                .message
                .ends_with(&format!("missing on all {total} tables")),
            "{writing:?}"
        );
        let sql = statements(writing);
        assert_eq!(sql.len(), 1, "{sql:?}");
        assert!(
            sql.concat()
                .starts_with("GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA s1, ")
        );
        client.batch_execute(&sql.concat()).await?;
    }
    assert_eq!(counts[0], counts[1]);
    Ok(())
}
