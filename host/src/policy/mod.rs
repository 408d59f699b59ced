//! What the sandbox permits. Everything in this folder decides; nothing in it
//! acts: no I/O, no clock, no state.
//!
//! | Promise | Where |
//! |---|---|
//! | a component is the one that was meant, and asks for no more than was granted | [`trust`] |
//! | it is not made to keep the compiler busy | [`component`] |
//! | a component imports only what the contract lists | [`imports`] |
//! | it cannot rename a password into something it may see | [`form`] |
//! | it reaches the configured endpoint, and nothing else | [`network`] |
//! | nothing of a login passes before the encryption that was asked for | [`tls`] |
//! | it uses the password without ever holding it | [`login`] |
//! | it spends no more memory, time and bytes than granted | [`limits`] |
//! | what it says of itself and of failures is short, and plain | [`text`] |
//! | what it says is free of sensitive values where others read it | [`redaction`] |

pub mod clouds;
pub mod component;
pub mod form;
pub mod imports;
pub mod limits;
pub mod login;
pub mod network;
pub mod redaction;
pub mod text;
pub mod tls;
pub mod trust;

pub use limits::Limits;
pub use login::LoginPolicy;
pub use network::NetworkPolicy;
pub use tls::TlsMode;
pub use trust::{Beyond, Digest, Permissions, SigningKey, Trust};

/// What an embedder permits to every connector of a [`Host`](crate::Host).
///
/// The default denies whatever is not needed to connect to an ordinary server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Which addresses an endpoint may resolve to.
    pub network: NetworkPolicy,
    /// Which ways of logging in are permitted.
    pub login: LoginPolicy,
}

impl Policy {
    /// The same as [`Policy::default`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the part about addresses.
    pub fn with_network(mut self, network: NetworkPolicy) -> Self {
        self.network = network;
        self
    }

    /// Replaces the part about logging in.
    pub fn with_login(mut self, login: LoginPolicy) -> Self {
        self.login = login;
        self
    }
}
