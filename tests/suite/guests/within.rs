//! Work, memory and crashes within the guest.

use anyhow::Result;
use dagflux_host::ErrorKind::{GuestTimeLimit, MemoryLimit, Trap};

use super::{Call::Execute, Call::Query, Case, Cost, End::Ended, End::Told, hold};

pub const CASES: &[Case] = &[
    Case {
        name: "a loop without end",
        call: Execute("loop"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME,
    },
    Case {
        name: "host calls without end",
        call: Execute("host-loop"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME.calls(10_000, u64::MAX),
    },
    Case {
        name: "a loop in a result",
        call: Query("loop"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME,
    },
    Case {
        name: "a loop after a batch",
        call: Query("late-loop"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME,
    },
    Case {
        name: "memory that grows by nothing",
        call: Execute("grow-by-nothing"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME.calls(10_000, u64::MAX),
    },
    Case {
        name: "memory that grows",
        call: Execute("grow"),
        end: Ended(MemoryLimit, "256 MiB"),
        cost: Cost::TIME.memory(256),
    },
    Case {
        name: "memory in small pieces",
        call: Execute("allocate"),
        end: Ended(MemoryLimit, "256 MiB"),
        cost: Cost::TIME.memory(256).calls(0, 5_000),
    },
    Case {
        name: "a call stack without end",
        call: Execute("overflow"),
        end: Ended(Trap, "call stack exhausted"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "frames without end",
        call: Execute("overflow-memory"),
        end: Ended(Trap, "out of bounds"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a panic",
        call: Execute("panic on purpose"),
        end: Ended(Trap, "gave up"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a panic of 10 MB",
        call: Execute("long-panic 10000000"),
        end: Ended(Trap, "gave up"),
        cost: Cost::LITTLE
            .milliseconds(5_000)
            .memory(64)
            .calls(1, 10_000)
            .logged(64 * 1024),
    },
    Case {
        name: "an unreachable instruction",
        call: Execute("unreachable"),
        end: Ended(Trap, "gave up"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "an exit with a status",
        call: Execute("exit"),
        end: Ended(Trap, "ended itself with the exit status 1"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "an exit as if all were well",
        call: Execute("exit-as-if-well"),
        end: Ended(Trap, "ended itself with the exit status 0"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "an allocator that points astray",
        call: Execute("reallocate astray"),
        end: Ended(Trap, "beyond end of memory"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "an allocator that gives what is in use",
        call: Execute("reallocate in-use"),
        end: Ended(Trap, "crashed"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "an allocator without end",
        call: Execute("reallocate endless"),
        end: Ended(GuestTimeLimit, "longer than 1 s"),
        cost: Cost::TIME,
    },
    Case {
        name: "an allocator that calls the host it is called by",
        call: Execute("reallocate inward"),
        end: Ended(Trap, "cannot leave component instance"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "an allocator that gives up",
        call: Execute("reallocate trap"),
        end: Ended(Trap, "gave up"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "more random bytes than a nonce has",
        call: Execute("random 65537"),
        end: Ended(Trap, "65536"),
        cost: Cost::LITTLE,
    },
    Case {
        name: "a look at the machine",
        call: Execute("fingerprint"),
        end: Told(
            "0 arguments, 0 variables, 0 bytes of input, 0 terminals, folder Some(\"/\"), 0 processors; \
             host=endpoint.internal port=1 use_ssl=false",
        ),
        cost: Cost::LITTLE,
    },
];

#[tokio::test]
async fn work_memory_and_crashes() -> Result<()> {
    hold(CASES).await
}
