//! What keeps an operation from doing anything else than was meant.

use super::Mutant;
use super::Program::Suite;

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "reviewed-first",
        defence: "statements with errors are not run",
        file: "host/src/operation/run/mod.rs",
        after: "",
        find: "!review.passes()",
        replace: "false",
        program: Suite,
        cases: &[
            "operations::transform::what_fails_leaves_nothing_behind",
            "operations::in_place::what_is_not_done_changes_nothing",
        ],
    },
    Mutant {
        name: "drift-stops",
        defence: "columns that have changed stop a run",
        file: "host/src/operation/run/mod.rs",
        after: "",
        find: "!drift.is_empty()",
        replace: "false",
        program: Suite,
        cases: &["operations::transform::a_run_stops_when_columns_have_changed"],
    },
    Mutant {
        name: "as-rehearsed",
        defence: "what is done changes as many rows as its rehearsal",
        file: "host/src/operation/run/venue.rs",
        after: "",
        find: "rehearsed.rows != effect.rows",
        replace: "false",
        program: Suite,
        cases: &["operations::in_place::a_table_that_changed_since_the_rehearsal_is_left_alone"],
    },
    Mutant {
        name: "every-row",
        defence: "a change of every row is asked about again",
        file: "host/src/operation/run/record.rs",
        after: "",
        find: "change.every_row",
        replace: "false",
        program: Suite,
        cases: &["operations::in_place::every_row_is_asked_about_twice"],
    },
];
