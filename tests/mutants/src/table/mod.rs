//! Each defence, and the tests that fail without it.

mod addresses;
mod boundary;
mod encryption;
mod limits;
mod loading;
mod login;
mod operations;
mod protocol;
mod workspace;

/// A defence that can be taken away.
pub struct Mutant {
    /// A short name.
    pub name: &'static str,
    /// What holds as long as it is there.
    pub defence: &'static str,
    /// The file it is in.
    pub file: &'static str,
    /// What stands before the expression, where the same stands elsewhere, too; or nothing.
    pub after: &'static str,
    /// The expression that defends.
    pub find: &'static str,
    /// What is evaluated instead.
    pub replace: &'static str,
    /// The program that the cases are in.
    pub program: Program,
    /// The tests that fail without it, all of them.
    pub cases: &'static [&'static str],
}

/// A program of tests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// The end-to-end tests.
    Suite,
    /// The PostgreSQL connector's own, which run natively: a component knows no variables.
    Offline,
    /// The host's own.
    HostLib,
}

impl Program {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Suite, Self::Offline, Self::HostLib];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Suite => "suite",
            Self::Offline => "offline",
            Self::HostLib => "host",
        }
    }

    /// The target that it is built from.
    pub fn target(self) -> &'static str {
        match self {
            Self::HostLib => "dagflux_host",
            other => other.name(),
        }
    }
}

/// Every defence.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    [
        addresses::MUTANTS,
        encryption::MUTANTS,
        login::MUTANTS,
        loading::MUTANTS,
        boundary::MUTANTS,
        limits::MUTANTS,
        protocol::MUTANTS,
        operations::MUTANTS,
        workspace::MUTANTS,
    ]
    .into_iter()
    .flatten()
}
