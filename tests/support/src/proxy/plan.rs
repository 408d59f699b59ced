//! What is to go wrong on a connection, and where.

use std::time::Duration;

/// Which way bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What happens to what travels one way. Offsets and lengths are in bytes of that way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Both sides are told that the other has closed (FIN).
    Cut,
    /// Both sides are reset (RST).
    Reset,
    /// The receiver is told that nothing more comes (FIN), and the other way stays as it is.
    /// What the sender still says is thrown away.
    HalfClose,
    /// Nothing more passes this way, and nobody is told.
    Stall,
    /// What follows has to wait for so long, once.
    Delay(Duration),
    /// What follows passes one byte at a time, with a pause after each.
    Drip(Duration),
    /// The byte that follows and those after it, so many, pass twice.
    Duplicate(usize),
    /// The byte that follows is combined with this mask by exclusive or.
    Corrupt(u8),
}

/// An action, and after how many bytes of its way it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) direction: Direction,
    pub(super) after: u64,
    pub(super) action: Action,
}

/// What goes wrong on one connection. The default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    faults: Vec<Fault>,
    pub(super) is_recorded: bool,
}

impl Plan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn clean() -> Self {
        Self::default()
    }

    /// Has `action` happen once `after` bytes have passed in this direction: with 0, before
    /// the first. Of several at the same place, the one given first comes first.
    #[must_use]
    pub fn with(mut self, direction: Direction, after: u64, action: Action) -> Self {
        self.faults.push(Fault {
            direction,
            after,
            action,
        });
        self
    }

    /// Keeps what passes, for [`Proxy::recording`](super::Proxy::recording).
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.is_recorded = true;
        self
    }

    /// The faults of one way, in the order in which they happen.
    pub(super) fn of(&self, direction: Direction) -> Vec<Fault> {
        let mut faults: Vec<_> = self
            .faults
            .iter()
            .copied()
            .filter(|fault| fault.direction == direction)
            .collect();
        faults.sort_by_key(|fault| fault.after);
        faults
    }
}
