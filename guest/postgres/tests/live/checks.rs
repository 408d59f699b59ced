//! What the check takes for granted about servers.

use dagflux_guest::bindings::exports::dagflux::connector::relational::{
    CheckOptions, Purpose, Severity,
};
use dagflux_postgres::{check, keywords};

use crate::harness::{open, open_as, sql, with_database};

/// Names that the server says need quotes get them.
#[test]
fn words_that_cannot_stand_bare() {
    with_database("keywords", |runtime, database| {
        runtime.block_on(async {
            let client = database.sql().await?;
            let words = "SELECT word, quote_ident(word) FROM pg_get_keywords()";
            for row in client.query(words, &[]).await? {
                let (word, quoted): (String, String) = (row.get(0), row.get(1));
                // Later versions have more of them.
                if quoted != word {
                    assert_eq!(keywords::name(&word), quoted);
                }
            }
            Ok(())
        })
    });
}

/// What is asked of an old server finds the same, but for partitions within partitions.
#[test]
fn old_servers_are_asked_in_their_own_way() {
    with_database("check_old", |runtime, database| {
        sql(
            runtime,
            database,
            "CREATE TABLE t (id serial); REVOKE ALL ON t FROM dagflux; REVOKE ALL ON SEQUENCE t_id_seq FROM dagflux;
             CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9);
             REVOKE ALL ON p1 FROM dagflux",
        )?;
        let options = CheckOptions {
            purposes: vec![Purpose::Join],
            all_schemas: true,
        };
        let mut reports = Vec::new();
        for session in [open(database)?, open_as(database, b"10")?] {
            let report = check::check(&mut session.borrow_mut(), &options)?;
            let findings: Vec<_> = report
                .findings
                .into_iter()
                .skip(1)
                .map(|finding| (finding.subject, finding.severity, finding.message))
                .collect();
            reports.push(findings);
        }
        assert_eq!(reports[0], reports[1]);
        let failed: Vec<_> = reports[0]
            .iter()
            .filter(|(_, severity, _)| *severity == Severity::Failed)
            .map(|(subject, ..)| subject.as_str())
            .collect();
        assert_eq!(failed, ["reading", "writing", "sequences"]);
        Ok(())
    });
}
