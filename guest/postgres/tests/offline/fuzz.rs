//! The inputs of the fuzzers that are kept, without a fuzzer: those that failed once, and
//! those that reach what others do not.

use std::fs;
use std::path::Path;

// What is not used here the other tests use, or the fuzzers.
#[allow(dead_code)]
#[path = "../../../../fuzz/src/lib.rs"]
mod targets;

use targets::session::OPERATIONS;

/// Gives `run` every input of a target that is kept.
fn each_input(target: &str, mut run: impl FnMut(&[u8])) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut inputs = 0;
    for folder in ["corpus", "regressions"] {
        let folder = kept.join(folder).join(target);
        for entry in fs::read_dir(&folder).expect("a folder of inputs") {
            let path = entry.expect("an input").path();
            eprintln!("{}", path.display());
            run(&fs::read(&path).expect("an input"));
            inputs += 1;
        }
    }
    assert!(inputs > 50, "{inputs} inputs");
}

#[test]
fn parsers_take_every_input_that_is_kept() {
    each_input("codec", targets::codec::run);
}

#[test]
fn sessions_take_every_input_that_is_kept_and_every_operation_succeeds_in_one() {
    let mut done = Vec::new();
    each_input("session", |input| done.extend(targets::session::run(input)));
    for operation in OPERATIONS {
        assert!(done.contains(&operation), "{operation:?} always fails");
    }
}
