//! Texts of any length, in every place where a text crosses, and the log.

use anyhow::Result;
use dagflux_host::ErrorKind::{MemoryLimit, Other, TransferLimit, Trap};

use super::Call::Execute;
use super::End::{Ended, Fails, Told};
use super::{Case, Cost, hold};

/// A text of 60 MiB, which is built, handed over and looked at.
const LARGE: Cost = Cost::TIME.memory(192);

pub const CASES: &[Case] = &[
    Case {
        name: "a log message of 60 MiB",
        call: Execute("long-message 62914560"),
        end: Told("logged"),
        cost: LARGE.logged(8 * 1024),
    },
    Case {
        name: "a log message of 100 MiB",
        call: Execute("long-message 104857600"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a log context of 60 MiB",
        call: Execute("long-context 62914560"),
        end: Told("logged"),
        cost: LARGE,
    },
    Case {
        name: "a log context of 100 MiB",
        call: Execute("long-context 104857600"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a field name of 60 MiB",
        call: Execute("long-field 62914560"),
        end: Told("RefusalKind::NoSuchField"),
        cost: LARGE,
    },
    Case {
        name: "a field name of 100 MiB",
        call: Execute("long-field 104857600"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a host name of 60 MiB",
        call: Execute("long-name 62914560"),
        end: Told("access-denied"),
        cost: LARGE,
    },
    Case {
        name: "a host name of 100 MiB",
        call: Execute("long-name 104857600"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a configuration key of 60 MiB",
        call: Execute("long-key 62914560"),
        end: Told("nothing"),
        cost: LARGE,
    },
    Case {
        name: "a configuration key of 100 MiB",
        call: Execute("long-key 104857600"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a result of 70 MiB",
        call: Execute("long-command 73400320"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a million mechanisms",
        call: Execute("many-mechanisms 1000000"),
        end: Told("RefusalKind::UnexpectedChallenge"),
        cost: LARGE,
    },
    Case {
        name: "nothing to wait for",
        call: Execute("poll-none"),
        end: Ended(Trap, "empty poll list"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "one thing to wait for, a million times",
        call: Execute("poll-many 1000000"),
        end: Ended(MemoryLimit, "256 handles"),
        cost: LARGE,
    },
    Case {
        name: "ten million things to wait for",
        call: Execute("poll-many 10000000"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "an error of 60 MiB",
        call: Execute("error-message 62914560"),
        end: Fails(Other, "xxx…"),
        cost: LARGE,
    },
    Case {
        name: "a detail of 60 MiB",
        call: Execute("error-detail 62914560"),
        end: Fails(Other, "it went wrong"),
        cost: LARGE,
    },
    Case {
        name: "a hint of 60 MiB",
        call: Execute("error-hint 62914560"),
        end: Fails(Other, "it went wrong"),
        cost: LARGE,
    },
    Case {
        name: "an attribute of 60 MiB",
        call: Execute("error-attribute 62914560"),
        end: Fails(Other, "it went wrong"),
        cost: LARGE,
    },
    Case {
        name: "100,000 attributes",
        call: Execute("error-attributes 100000"),
        end: Fails(Other, "it went wrong"),
        cost: LARGE,
    },
    Case {
        name: "an error of 70 MiB",
        call: Execute("error-message 73400320"),
        end: Ended(TransferLimit, "67108864 bytes"),
        cost: LARGE,
    },
    Case {
        name: "a flood of log messages",
        call: Execute("log 20000"),
        end: Told("logged"),
        cost: Cost::TIME.calls(20_000, 21_000).logged(64 * 1024),
    },
    Case {
        name: "a flood of empty log messages",
        call: Execute("log-empty 20000"),
        end: Told("logged"),
        cost: Cost::TIME.calls(20_000, 21_000).logged(64 * 1024),
    },
    Case {
        name: "a flood of lines",
        call: Execute("print-many 20000"),
        end: Told("printed"),
        cost: Cost::TIME.calls(1, 200_000).logged(64 * 1024),
    },
    Case {
        name: "a line of 10 MB",
        call: Execute("print-long 10000000"),
        end: Told("printed"),
        cost: Cost::TIME.memory(64).calls(1, 10_000).logged(64 * 1024),
    },
];

#[tokio::test]
async fn texts_and_the_log() -> Result<()> {
    hold(CASES).await
}
