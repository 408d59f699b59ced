//! Lists without end, and crashes, where the host asks for something else than rows.

use anyhow::Result;
use dagflux_host::ErrorKind::{GuestTimeLimit, OutcomeUnknown, TransferLimit, Trap};
use dagflux_host::TableName;
use dagflux_host::operation::{Mode, Node, PromptOptions};

use super::Call::{Check, Columns, Notices, Prompt, Schemas, Tables, Write};
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
        name: "a prompt of 70 MiB",
        call: Prompt("long"),
        end: TOO_MUCH,
        cost: LIST,
    },
    Case {
        name: "a million tables of a prompt",
        call: Prompt("millions"),
        end: Told("101 tables"),
        cost: LIST,
    },
    Case {
        name: "a prompt of more tables than were chosen",
        call: Prompt("thousands"),
        end: Told("101 tables"),
        cost: Cost::LITTLE,
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

/// What a connector says for a model is bounded, and nothing in it looks like something else.
#[tokio::test]
async fn a_prompt_is_cut_and_cleaned() -> Result<()> {
    let mut scene = crate::hostile::Scene::with(super::connector().await?).await?;
    let options = PromptOptions::new("made", Node::Transform, Mode::NewTable)
        .with_table(TableName::new("t"))
        .with_most_bytes(2_000);
    let prompt = scene.attacker.prompt(&options).await?;
    assert_eq!(
        prompt.instructions,
        "a\\u{1b}[2J\\u{d}\n\\u{9}b\\u{e0041}\\u{202e}c"
    );
    assert_eq!(prompt.text().len(), 2_000);
    let [table] = &prompt.in_full[..] else {
        panic!("{:?}", prompt.in_full);
    };
    assert_eq!(table.name, "t\\u{1b}[2J");
    let [long, escaped, cut] = &prompt.left_out[..] else {
        panic!("{} sentences", prompt.left_out.len());
    };
    assert!(long.len() < 5_000 && long.ends_with('…'), "{}", long.len());
    assert_eq!(escaped, "\\u{1b}[2J");
    assert!(cut.contains("which was cut"), "{cut}");
    scene.others_go_on().await
}
