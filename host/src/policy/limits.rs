//! How much a connector may use. Every limit is on by default.
//!
//! The table of them is written once, in `limits!` below: the fields, their defaults, how each is
//! set by its name, and what is shown of it, all come from there.

use std::fmt;
use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const TIB: u64 = 1024 * 1024 * MIB;

/// What a limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Of one connection: it can be set for each.
    Connection,
    /// Of a whole host, and of loading connectors into it.
    Host,
}

/// How much: what a limit is counted in, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Written as `64KiB`, `256MiB`, or a plain number of bytes.
    Bytes(u64),
    /// Written as a whole number.
    Count(usize),
    /// Written as `500ms`, `30s`, `5m` or `1h`.
    Time(Duration),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bytes(bytes) => {
                let units = [
                    ("TiB", TIB),
                    ("GiB", 1024 * MIB),
                    ("MiB", MIB),
                    ("KiB", KIB),
                ];
                let whole = |(_, unit): &(&str, u64)| bytes >= *unit && bytes % *unit == 0;
                match units.iter().find(|unit| whole(unit)) {
                    Some((name, unit)) => write!(f, "{} {name}", bytes / unit),
                    None => write!(f, "{bytes} B"),
                }
            }
            Self::Count(count) => write!(f, "{count}"),
            Self::Time(time) => match (time.as_secs(), time.subsec_millis()) {
                (seconds, 0) if seconds > 0 && seconds % 3_600 == 0 => {
                    write!(f, "{} h", seconds / 3_600)
                }
                (seconds, 0) if seconds > 0 => write!(f, "{seconds} s"),
                _ => write!(f, "{} ms", time.as_millis()),
            },
        }
    }
}

/// The kind of a field: how it is read from text, and shown.
trait Kind: Copy {
    const WRITTEN: &'static str;
    fn read(text: &str) -> Option<Self>;
    fn amount(self) -> Amount;
}

/// A number and its unit, with or without a space between them.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

impl Kind for u64 {
    const WRITTEN: &'static str = "a number of bytes, such as 64KiB, 512MiB or 2GiB";

    fn read(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let unit = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kib" | "k" => KIB,
            "mib" | "m" => MIB,
            "gib" | "g" => 1024 * MIB,
            "tib" | "t" => TIB,
            _ => return None,
        };
        number.checked_mul(unit).filter(|bytes| *bytes > 0)
    }

    fn amount(self) -> Amount {
        Amount::Bytes(self)
    }
}

impl Kind for usize {
    const WRITTEN: &'static str = "a whole number above 0";

    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|count| *count > 0)
    }

    fn amount(self) -> Amount {
        Amount::Count(self)
    }
}

impl Kind for Duration {
    const WRITTEN: &'static str = "a time above 0, such as 500ms, 30s, 5m or 1h";

    fn read(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        let time = number.checked_mul(milliseconds).map(Duration::from_millis);
        time.filter(|time| !time.is_zero())
    }

    fn amount(self) -> Amount {
        Amount::Time(self)
    }
}

/// One limit, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: &'static str,
    /// What it is of.
    pub scope: Scope,
    /// Its value.
    pub amount: Amount,
    /// What it bounds, in a few words.
    pub bounds: &'static str,
}

/// Why a limit was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSet {
    /// There is no limit of that name.
    NoSuchLimit,
    /// The value is none for it; what is.
    NoSuchValue(&'static str),
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident, $setter:ident: $type:ty = $default:expr, $scope:ident, $bounds:literal;)*) => {
        /// What one connection's instance may use, what a component may be, and what a host keeps open.
        ///
        /// Each is on by default. `Limits::default().all()` is the table of them, and `dagflux limits`
        /// prints it.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            $(
                #[doc = concat!("Sets [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                pub fn $setter(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )*

            /// Every limit, with its value.
            pub fn all(&self) -> Vec<Limit> {
                vec![$(Limit {
                    name: stringify!($name),
                    scope: Scope::$scope,
                    amount: Kind::amount(self.$name),
                    bounds: $bounds,
                },)*]
            }

            /// Sets the limit called `name` to what `text` says.
            ///
            /// # Errors
            ///
            /// [`NotSet`] says why not.
            pub fn set(&mut self, name: &str, text: &str) -> Result<(), NotSet> {
                match name {
                    $(stringify!($name) => {
                        self.$name = <$type as Kind>::read(text)
                            .ok_or(NotSet::NoSuchValue(<$type as Kind>::WRITTEN))?;
                    })*
                    _ => return Err(NotSet::NoSuchLimit),
                }
                Ok(())
            }
        }
    };
}

limits! {
    /// Bytes of linear memory and tables, summed over the instance, plus what
    /// the host buffers for it. A connector that streams needs some 30 MiB.
    memory, with_memory: u64 = 256 * MIB, Connection,
        "memory, summed over an instance and the host's buffers for it";
    /// Table elements, summed over the instance. A connector's table holds its
    /// function pointers: some thousands.
    table_elements, with_table_elements: usize = 20_000, Connection,
        "table elements, summed over an instance";
    /// Core instances, memories and tables, each.
    parts, with_parts: usize = 16, Connection,
        "core instances, memories and tables, each";
    /// Host resources (sockets, streams, pollables, exchanges) held at once.
    handles, with_handles: usize = 256, Connection,
        "handles held at once";
    /// Time spent working within one call, by the guest or by the host on its
    /// behalf. Waiting for the server does not count: a query that sleeps for
    /// an hour costs nothing, a loop is stopped. A batch takes milliseconds.
    guest_time, with_guest_time: Duration = Duration::from_secs(5), Connection,
        "processor time of one call, the host's work for it included";
    /// Time from the beginning of one call to its end, waiting included. It
    /// ends a connection whose server never answers; to bound a statement, use
    /// its own time limit, which the server enforces and reports.
    wall_time, with_wall_time: Duration = Duration::from_secs(3_600), Connection,
        "time of one call, waiting included";
    /// Time to open a connection, login included, unless the connection says
    /// otherwise.
    connect_time, with_connect_time: Duration = Duration::from_secs(15), Connection,
        "time to connect and log in, unless the connection says otherwise (`connect_timeout`)";
    /// Bytes that one call may carry across the boundary. Several times the
    /// size of a batch, so that one large row still fits.
    transfer, with_transfer: u64 = 64 * MIB, Connection,
        "bytes that one call carries across the boundary";
    /// Rows of one batch. Columns without buffers could otherwise claim any number.
    batch_rows, with_batch_rows: usize = 1 << 24, Connection,
        "rows of one batch";
    /// Bytes that a connection may receive from its server, in all: more than anyone
    /// means to read through one connection, and an end to a server that never stops.
    received, with_received: u64 = TIB, Connection,
        "bytes received by one connection, in all";
    /// Bytes that a connection may send to its server, in all.
    sent, with_sent: u64 = TIB, Connection,
        "bytes sent by one connection, in all";
    /// Bytes a connector may log within one call; the rest is dropped, and the
    /// log says so.
    log_bytes, with_log_bytes: u64 = 64 * KIB, Connection,
        "bytes logged within one call";
    /// Bytes a connector may log over the life of one connection; the rest is dropped, and
    /// the log says so.
    log_total, with_log_total: u64 = 16 * MIB, Connection,
        "bytes logged by one connection, in all";
    /// Connections open at once.
    connections, with_connections: usize = 1_024, Host,
        "connections open at once";
    /// Bytes of a component file.
    component_size, with_component_size: u64 = 16 * MIB, Host,
        "size of a component";
    /// Time that compiling a component may take. An honest one takes about a second.
    compile_time, with_compile_time: Duration = Duration::from_secs(30), Host,
        "time to compile a component";
    /// Memory that compiling a component may take, where a process of its own does it
    /// ([`HostBuilder::compiler`](crate::HostBuilder::compiler)). An honest one takes some 200 MiB.
    compile_memory, with_compile_memory: u64 = 1024 * MIB, Host,
        "memory to compile a component, in a process of its own";
}

/// A limit that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::table_elements`].
    TableElements,
    /// [`Limits::guest_time`].
    GuestTime,
}

impl std::fmt::Display for Exceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory limit exceeded",
            Self::TableElements => "table limit exceeded",
            Self::GuestTime => "time limit exceeded",
        })
    }
}

impl std::error::Error for Exceeded {}

/// A limit on what a connection moves that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MovedAll {
    /// [`Limits::received`].
    Received,
    /// [`Limits::sent`].
    Sent,
}

/// The part of an instance's memory that is in use, and whether more fits.
#[derive(Debug, Default)]
pub struct MemoryAccount {
    used: u64,
    elements: usize,
}

impl MemoryAccount {
    /// Bytes for one table element: a pointer-sized slot.
    const ELEMENT_BYTES: u64 = 8;

    /// Grants `more` bytes, or refuses.
    pub fn grow(&mut self, more: u64, limits: &Limits) -> Result<(), Exceeded> {
        let used = self
            .used
            .checked_add(more)
            .filter(|used| *used <= limits.memory)
            .ok_or(Exceeded::Memory)?;
        self.used = used;
        Ok(())
    }

    /// Takes `less` bytes back.
    pub fn shrink(&mut self, less: u64) {
        self.used = self.used.saturating_sub(less);
    }

    /// Grants `more` table elements, or refuses.
    pub fn grow_table(&mut self, more: usize, limits: &Limits) -> Result<(), Exceeded> {
        let elements = self
            .elements
            .checked_add(more)
            .filter(|elements| *elements <= limits.table_elements)
            .ok_or(Exceeded::TableElements)?;
        self.grow((more as u64).saturating_mul(Self::ELEMENT_BYTES), limits)?;
        self.elements = elements;
        Ok(())
    }

    /// The bytes in use.
    pub fn used(&self) -> u64 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_stated() {
        let stated = [
            ("memory", "256 MiB"),
            ("table_elements", "20000"),
            ("parts", "16"),
            ("handles", "256"),
            ("guest_time", "5 s"),
            ("wall_time", "1 h"),
            ("connect_time", "15 s"),
            ("transfer", "64 MiB"),
            ("batch_rows", "16777216"),
            ("received", "1 TiB"),
            ("sent", "1 TiB"),
            ("log_bytes", "64 KiB"),
            ("log_total", "16 MiB"),
            ("connections", "1024"),
            ("component_size", "16 MiB"),
            ("compile_time", "30 s"),
            ("compile_memory", "1 GiB"),
        ];
        let limits = Limits::default().all();
        let shown: Vec<_> = limits
            .iter()
            .map(|limit| (limit.name, limit.amount.to_string()))
            .collect();
        let stated: Vec<_> = stated.map(|(name, value)| (name, value.to_owned())).into();
        assert_eq!(shown, stated);
    }

    /// What people read is what holds.
    #[test]
    fn the_table_in_the_readme_is_this_one() {
        let readme = include_str!("../../../README.md");
        for limit in Limits::default().all() {
            let row = format!("| `{}` | {} | {} |", limit.name, limit.bounds, limit.amount);
            assert!(readme.contains(&row), "README.md lacks the row {row}");
        }
    }

    #[test]
    fn limits_are_set_by_name() {
        let mut limits = Limits::default();
        for (name, text) in [
            ("memory", "1GiB"),
            ("guest_time", "500ms"),
            ("wall_time", "5m"),
            ("handles", "10"),
            ("transfer", "4096"),
            ("received", "10 GiB"),
        ] {
            assert_eq!(limits.set(name, text), Ok(()), "{name} {text}");
        }
        let expected = Limits::default()
            .with_memory(1024 * MIB)
            .with_guest_time(Duration::from_millis(500))
            .with_wall_time(Duration::from_secs(300))
            .with_handles(10)
            .with_transfer(4096)
            .with_received(10 * 1024 * MIB);
        assert_eq!(limits, expected);
        // What was shown can be set again.
        for limit in expected.all() {
            assert_eq!(limits.set(limit.name, &limit.amount.to_string()), Ok(()));
        }
        assert_eq!(limits, expected);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        let mut limits = Limits::default();
        for name in ["", "Memory", "memory ", "with_memory", "fuel"] {
            assert_eq!(limits.set(name, "1"), Err(NotSet::NoSuchLimit), "{name}");
        }
        for (name, text) in [
            ("memory", ""),
            ("memory", "0"),
            ("memory", "-1"),
            ("memory", "1 XB"),
            ("memory", "99999999999TiB"),
            ("guest_time", "5"),
            ("guest_time", "0s"),
            ("guest_time", "1.5s"),
            ("handles", "1k"),
            ("handles", "0"),
        ] {
            assert!(
                matches!(limits.set(name, text), Err(NotSet::NoSuchValue(_))),
                "{name} {text}"
            );
        }
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn memory_is_summed_over_its_users() {
        let limits = Limits::default().with_memory(1_000);
        let mut account = MemoryAccount::default();
        assert_eq!(account.grow(600, &limits), Ok(()));
        assert_eq!(account.grow(401, &limits), Err(Exceeded::Memory));
        assert_eq!(account.grow(u64::MAX, &limits), Err(Exceeded::Memory));
        assert_eq!(account.grow_table(50, &limits), Ok(()));
        assert_eq!(account.grow(1, &limits), Err(Exceeded::Memory));
        account.shrink(600);
        assert_eq!(account.grow(600, &limits), Ok(()));
        assert_eq!(account.used(), 1_000);
    }

    #[test]
    fn table_elements_are_summed_over_tables() {
        let limits = Limits::default();
        let mut account = MemoryAccount::default();
        assert_eq!(account.grow_table(15_000, &limits), Ok(()));
        assert_eq!(
            account.grow_table(5_001, &limits),
            Err(Exceeded::TableElements)
        );
        assert_eq!(account.grow_table(5_000, &limits), Ok(()));
    }
}
