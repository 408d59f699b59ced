//! Arrow that is none, is too much, or is other than it says.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::{Int32Array, RecordBatch};
use dagflux_host::ErrorKind::{InvalidData, TransferLimit};

use super::Call::Query;
use super::End::{Ended, Fails, Told};
use super::{Case, Cost, MIB, hold};
use crate::footprint;
use crate::hostile;

/// One row of one column.
pub fn one_number() -> RecordBatch {
    let values = Arc::new(Int32Array::from(vec![1]));
    RecordBatch::try_from_iter([("value", values as _)]).expect("one column")
}

const LARGE: Cost = Cost::TIME.memory(256);

pub const CASES: &[Case] = &[
    Case {
        name: "a struct within a struct, 64 times",
        call: Query("deep-schema 64"),
        end: Fails(InvalidData, "cannot be read"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a struct within a struct, 1,000 times",
        call: Query("deep-schema 1000"),
        end: Fails(InvalidData, "cannot be read"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a struct within a struct, 100,000 times",
        call: Query("deep-schema 100000"),
        end: Fails(InvalidData, "cannot be read"),
        cost: Cost::TIME.memory(64),
    },
    Case {
        name: "half a million columns",
        call: Query("wide-schema 500000"),
        end: Fails(InvalidData, "cannot be read"),
        cost: LARGE,
    },
    Case {
        name: "one column, shown 16,384 times",
        call: Query("shared-schema 16384"),
        end: Fails(InvalidData, "cannot be read"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a column's name of 40 MiB",
        call: Query("long-column 41943040"),
        end: Fails(InvalidData, "cannot be read"),
        cost: LARGE,
    },
    Case {
        name: "two million buffers",
        call: Query("many-buffers 2000000"),
        end: Fails(InvalidData, "cannot be read"),
        cost: LARGE,
    },
    Case {
        name: "a hundred columns in one place",
        call: Query("overlap"),
        end: Fails(InvalidData, "buffers that overlap"),
        cost: Cost::LITTLE.memory(24),
    },
    Case {
        name: "views",
        call: Query("views"),
        end: Fails(InvalidData, "a view in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "views of bytes",
        call: Query("byte-views"),
        end: Fails(InvalidData, "a view in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "views of lists",
        call: Query("list-views"),
        end: Fails(InvalidData, "a view in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "views within a struct",
        call: Query("nested-views"),
        end: Fails(InvalidData, "a view in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "runs",
        call: Query("runs"),
        end: Fails(InvalidData, "a run in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a union",
        call: Query("union"),
        end: Fails(InvalidData, "a union in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a decimal of 200 digits",
        call: Query("decimal"),
        end: Fails(InvalidData, "an absurd decimal in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "values of a negative size",
        call: Query("negative-size"),
        end: Fails(InvalidData, "a negative size in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a dictionary",
        call: Query("dictionary"),
        end: Fails(InvalidData, "a dictionary in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a name that steers a terminal",
        call: Query("named-dictionary \u{1b}[2J"),
        end: Fails(InvalidData, "column `\\u{1b}[2J`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "compressed batches",
        call: Query("compressed"),
        end: Fails(InvalidData, "compressed"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a batch that is cut short",
        call: Query("truncated"),
        end: Fails(InvalidData, "wrong length"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a batch that goes on after its end",
        call: Query("trailing"),
        end: Fails(InvalidData, "wrong length"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "bytes that are no batch",
        call: Query("garbage"),
        end: Fails(InvalidData, "not an Arrow message"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a batch of another schema",
        call: Query("other-schema"),
        end: Fails(InvalidData, "not of its schema"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a batch without the columns of its schema",
        call: Query("no-columns"),
        end: Fails(InvalidData, "not of its schema"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a batch of more rows than there may be",
        call: Query("too-many-nulls"),
        end: Fails(InvalidData, "absurd number of rows"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a list of two billion nothings",
        call: Query("list-of-nulls"),
        end: Fails(InvalidData, "a list of nothing in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a list of values without bytes",
        call: Query("list-of-no-bytes"),
        end: Fails(InvalidData, "a list of nothing in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a list of values without parts",
        call: Query("list-of-no-parts"),
        end: Fails(InvalidData, "a list of nothing in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a list of lists without items",
        call: Query("list-of-no-items"),
        end: Fails(InvalidData, "a list of nothing in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a fixed list of nothings that must not be null",
        call: Query("fixed-list-of-nulls"),
        end: Fails(InvalidData, "a list of nothing in the column `value`"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a fixed list that is longer than its bytes",
        call: Query("long-fixed-list"),
        end: Fails(InvalidData, "an absurd number of values"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a list of more values than its bytes have bits",
        call: Query("long-list"),
        end: Fails(InvalidData, "an absurd number of values"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a part of a struct that is longer than the struct",
        call: Query("long-struct"),
        end: Fails(InvalidData, "not of its schema"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a column of fewer values than there are rows",
        call: Query("short-struct"),
        end: Fails(InvalidData, "not of its schema"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "more nulls than values",
        call: Query("more-nulls-than-values"),
        end: Fails(InvalidData, "an absurd number of values"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a thousand columns of nothing, of as many rows as there may be",
        call: Query("null-columns 16777216"),
        end: Fails(InvalidData, "absurd number of rows"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a thousand columns of nothing, of a few rows",
        call: Query("null-columns 16777"),
        end: Told("16777 rows"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a batch of 70 MiB",
        call: Query("large 73400320"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "100,000 losses",
        call: Query("losses 100000"),
        end: Told("0 rows"),
        cost: LARGE,
    },
    Case {
        name: "two million losses",
        call: Query("losses 2000000"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a crash after a batch",
        call: Query("late-panic"),
        end: Ended(dagflux_host::ErrorKind::Trap, "gave up"),
        cost: Cost::LITTLE,
    },
];

#[tokio::test]
async fn arrow_that_is_none() -> Result<()> {
    hold(CASES).await
}

/// The most memory that this process has had at once, from when it was last forgotten.
fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.context("no peak")?.trim().parse::<u64>()? * 1024)
}

/// What the host itself takes for what a guest hands over is in no receipt.
#[test]
fn what_the_host_takes_is_bounded() -> Result<()> {
    footprint::alone("guests::rows::what_the_host_takes_is_bounded", async {
        let connector = super::connector().await?;
        super::make(&mut hostile::connect(&connector).await?, Query("rows 3")).await?;
        for case in CASES {
            // Forgets the peak.
            std::fs::write("/proc/self/clear_refs", "5")?;
            let before = peak()?;
            let mut connection = hostile::connect(&connector).await?;
            let _ = super::make(&mut connection, case.call).await;
            let more = peak()?.saturating_sub(before);
            println!("{}: {} MiB", case.name, more / MIB);
            // The guest's own memory, and what it handed over as often as it is held in between.
            let most = case.cost.memory + 160 * MIB;
            ensure!(more <= most, "{} takes {} MiB", case.name, more / MIB);
        }
        Ok(())
    })
}
