//! Lists without end, and crashes, where the host asks for something else than rows.

use anyhow::Result;
use dagflux_host::ErrorKind::{GuestTimeLimit, OutcomeUnknown, TransferLimit, Trap};

use super::Call::{Check, Columns, Notices, Schemas, Tables, Write};
use super::End::{Ended, Told};
use super::{Case, Cost, hold};

/// A list that is built and handed over.
const LIST: Cost = Cost::TIME.memory(256);

const TOO_MUCH: super::End = Ended(TransferLimit, "67108864 bytes");

pub const CASES: &[Case] = &[
    Case {
        name: "a million tables",
        call: Tables("millions"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "a million columns",
        call: Columns("millions"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "a million findings",
        call: Check("millions"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "a million notices",
        call: Notices("millions"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "more notices than are kept",
        call: Notices("thousands"),
        end: Told("100 notices"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a schema's name of 70 MiB",
        call: Schemas("long"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "a table's name of 70 MiB",
        call: Tables("long"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "a column's name of 70 MiB",
        call: Columns("long"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "a finding of 70 MiB",
        call: Check("long"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "notices without end",
        call: Notices("endless"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME,
    },
    Case {
        name: "a crash when asked for a list",
        call: Tables("crash"),
        end: Ended(Trap, "gave up"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a crash in the middle of a write",
        call: Write("crash"),
        end: Ended(Trap, "gave up"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a write without end",
        call: Write("endless"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME,
    },
];

#[tokio::test]
async fn lists_and_writes() -> Result<()> {
    hold(CASES).await
}

/// What may have been committed is not said to have failed.
#[tokio::test]
async fn a_crash_at_the_end_of_a_write_leaves_it_open() -> Result<()> {
    for (table, source) in [("late-crash", "gave up"), ("long", "67108864 bytes")] {
        let mut scene = crate::hostile::Scene::with(super::connector().await?).await?;
        let error = super::make(&mut scene.attacker, Write(table))
            .await
            .expect_err("it crashes");
        crate::hostile::assert_failure(&error, OutcomeUnknown, "not known whether");
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert!(
            cause.as_deref().is_some_and(|cause| cause.contains(source)),
            "{cause:?}"
        );
        scene.others_go_on().await?;
    }
    Ok(())
}
