//! Every attack of the hostile guest as a case: how it ends, that everyone else goes on, and
//! what it cost.
//!
//! A case is a row of a table: `within`, `boundary`, `handles`, `rows`, `calls`, `login`. Those
//! that need a stage of their own are tests in `apart`, `descriptors` and in other modules.

mod apart;
mod boundary;
mod calls;
mod descriptors;
mod handles;
mod login;
mod nothing_stays;
mod rows;
mod within;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use dagflux_host::operation::{Mode, Node, PromptOptions};
use dagflux_host::{
    CheckOptions, Connection, Connector, Error, ErrorKind, Host, Limits, Receipt, TableName,
    WriteOptions,
};
use futures_util::StreamExt;
use tokio::sync::OnceCell;

use crate::hostile::{self, Scene, assert_failure};

const MIB: u64 = 1024 * 1024;

/// The time that a call may work for where that is what ends it: less than by default, so that it
/// ends sooner.
const SHORT: Duration = Duration::from_secs(1);

/// One attack.
pub struct Case {
    /// What it is called in reports.
    name: &'static str,
    /// How it is made.
    call: Call,
    /// What becomes of it.
    end: End,
    /// What it may cost.
    cost: Cost,
}

/// How an attack is made.
#[derive(Clone, Copy)]
pub enum Call {
    Execute(&'static str),
    Query(&'static str),
    /// A call that has no words for it: the guest is told before how to behave.
    Schemas(&'static str),
    Tables(&'static str),
    Columns(&'static str),
    Notices(&'static str),
    Check(&'static str),
    Prompt(&'static str),
    /// A write to a table of this name: one batch, and the end.
    Write(&'static str),
}

/// What becomes of an attack.
#[derive(Clone, Copy)]
pub enum End {
    /// The instance is ended, for this reason and in these words.
    Ended(ErrorKind, &'static str),
    /// The call fails, and the connection goes on.
    Fails(ErrorKind, &'static str),
    /// The guest is told this, and goes on.
    Told(&'static str),
}

/// The most that an attack may cost, and the least of what shows that it was made.
#[derive(Clone, Copy)]
pub struct Cost {
    milliseconds: u64,
    memory: u64,
    calls: (u64, u64),
    logged: u64,
}

impl Cost {
    /// Next to nothing: the work of one call on a machine that others use, too, and the
    /// memory that the guest begins with.
    const LITTLE: Self = Self {
        milliseconds: 1_000,
        memory: 8 * MIB,
        calls: (0, 500),
        logged: 2_048,
    };

    /// All the time that there is by default, and a tick of the clock.
    const TIME: Self = Self {
        milliseconds: 5_500,
        ..Self::LITTLE
    };

    const fn memory(self, mib: u64) -> Self {
        Self {
            memory: mib * MIB,
            ..self
        }
    }

    const fn calls(self, least: u64, most: u64) -> Self {
        Self {
            calls: (least, most),
            ..self
        }
    }

    const fn logged(self, bytes: u64) -> Self {
        Self {
            logged: bytes,
            ..self
        }
    }

    const fn milliseconds(self, milliseconds: u64) -> Self {
        Self {
            milliseconds,
            ..self
        }
    }

    fn permits(self, receipt: &Receipt, end: End) -> bool {
        let (least, most) = self.calls;
        // Who is ended for the time ends with it, but for a tick of the clock and a call into the
        // host that was under way.
        let milliseconds = match end {
            End::Ended(ErrorKind::GuestTimeLimit, _) => self.milliseconds.min(2_000),
            _ => self.milliseconds,
        };
        receipt.guest_time <= Duration::from_millis(milliseconds)
            && receipt.peak_memory <= self.memory
            && (least..=most).contains(&receipt.host_calls)
            && receipt.log_bytes <= self.logged
            // None of them has a server.
            && (receipt.bytes_in, receipt.bytes_out) == (0, 0)
    }
}

/// Every table of cases.
fn all() -> impl Iterator<Item = &'static Case> {
    [
        within::CASES,
        boundary::CASES,
        handles::CASES,
        rows::CASES,
        calls::CASES,
        login::CASES,
    ]
    .into_iter()
    .flatten()
}

/// The connector in a host where a call may work as long as by default.
async fn connector() -> Result<Connector> {
    hostile::connector().await
}

/// The connector in a host where a call may work for [`SHORT`].
async fn hurried() -> Result<Connector> {
    static CONNECTOR: OnceCell<Connector> = OnceCell::const_new();
    let load = || async {
        let limits = Limits::default().with_guest_time(SHORT);
        let host = Host::builder().limits(limits).build()?;
        hostile::connector_in(&host).await
    };
    CONNECTOR.get_or_try_init(load).await.cloned()
}

/// Makes the call, and gives what the guest was told.
async fn make(connection: &mut Connection, call: Call) -> dagflux_host::Result<String> {
    if let Call::Schemas(manner)
    | Call::Tables(manner)
    | Call::Columns(manner)
    | Call::Notices(manner)
    | Call::Check(manner)
    | Call::Prompt(manner) = call
    {
        connection.execute(&format!("behave {manner}")).await?;
    }
    match call {
        Call::Execute(attack) => Ok(connection.execute(attack).await?.command),
        Call::Query(attack) => {
            let mut rows = connection.query(attack).await?;
            let mut count = 0;
            while let Some(batch) = rows.next().await {
                count += batch?.num_rows();
            }
            Ok(format!("{count} rows"))
        }
        Call::Schemas(_) => Ok(format!("{} schemas", connection.schemas().await?.len())),
        Call::Tables(_) => Ok(format!("{} tables", connection.tables(None).await?.len())),
        Call::Columns(_) => {
            let columns = connection.columns(None, None).await?;
            Ok(format!("{} columns", columns.len()))
        }
        Call::Notices(_) => Ok(format!("{} notices", connection.notices().await?.len())),
        Call::Check(_) => {
            let report = connection.check(CheckOptions::new()).await?;
            Ok(format!("{} findings", report.findings.len()))
        }
        Call::Prompt(_) => {
            let options = PromptOptions::new("made", Node::Transform, Mode::NewTable);
            let options = options.with_table(TableName::new("t"));
            let prompt = connection.prompt(&options).await?;
            Ok(format!("{} tables", prompt.in_full.len()))
        }
        Call::Write(table) => {
            let batch = rows::one_number();
            let mut sink = connection
                .write(
                    &TableName::new(table),
                    batch.schema(),
                    WriteOptions::default(),
                )
                .await?;
            sink.write(&batch).await?;
            Ok(format!("{} inserted", sink.finish().await?.inserted))
        }
    }
}

/// Has every case of a table come to its end.
async fn hold(cases: &[Case]) -> Result<()> {
    let mut wrong = Vec::new();
    for case in cases {
        let connector = match case.end {
            End::Ended(ErrorKind::GuestTimeLimit, _) => hurried().await?,
            _ => connector().await?,
        };
        let mut scene = Scene::with(connector).await?;
        let outcome = make(&mut scene.attacker, case.call).await;
        let receipt = scene.attacker.last_receipt();
        println!("{}: {receipt:?}", case.name);
        if !case.cost.permits(&receipt, case.end) {
            wrong.push(format!("{} cost {receipt:?}", case.name));
        }
        match (case.end, outcome) {
            (End::Ended(kind, words), Err(error)) if is(&error, kind, words) => {
                scene.ended_by(&error, kind, words).await?;
            }
            (End::Fails(kind, words), Err(error)) if is(&error, kind, words) => {
                assert_failure(&error, kind, words);
                scene.goes_on().await?;
            }
            (End::Told(words), Ok(told)) if told == words => scene.goes_on().await?,
            (_, outcome) => {
                let told = outcome.map(|told| told.chars().take(300).collect::<String>());
                wrong.push(format!("{} ended with {told:?}", case.name));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn is(error: &Error, kind: ErrorKind, words: &str) -> bool {
    error.kind() == kind && error.to_string().contains(words)
}

#[test]
fn cases_have_names_of_their_own() {
    let names: BTreeSet<_> = all().map(|case| case.name).collect();
    assert_eq!(names.len(), all().count());
    println!("{} cases in tables", names.len());
    assert!(names.len() >= 80, "{}", names.len());
}

/// What the guest can do and no test has it do, is no test of anything.
#[test]
fn every_attack_is_some_case() {
    let guest = [
        include_str!("../../guests/hostile/src/attacks.rs"),
        include_str!("../../guests/hostile/src/boundary.rs"),
        include_str!("../../guests/hostile/src/descriptor.rs"),
        include_str!("../../guests/hostile/src/lists.rs"),
        include_str!("../../guests/hostile/src/rows.rs"),
    ];
    let tests = [
        include_str!("apart.rs"),
        include_str!("boundary.rs"),
        include_str!("calls.rs"),
        include_str!("descriptors.rs"),
        include_str!("handles.rs"),
        include_str!("login.rs"),
        include_str!("mod.rs"),
        include_str!("rows.rs"),
        include_str!("within.rs"),
        include_str!("../cancel.rs"),
        include_str!("../connecting/middle/connector.rs"),
        include_str!("../limits.rs"),
        include_str!("../loading.rs"),
        include_str!("../login_secrecy.rs"),
        include_str!("../sandbox.rs"),
    ];
    // The arms of the guest's matches: `"name" =>`, `"one" | "other" if so =>`.
    let attacks: BTreeSet<&str> = guest
        .iter()
        .flat_map(|source| source.lines())
        .map(str::trim_start)
        .filter(|line| line.starts_with('"') || line.starts_with("| \""))
        .filter_map(|line| line.split_once("=>"))
        .flat_map(|(arm, _)| arm.split('"').skip(1).step_by(2))
        .collect();
    assert!(attacks.len() > 100, "{attacks:?}");
    let is_made = |attack: &&&str| {
        let begins = [format!("\"{attack}\""), format!("\"{attack} ")];
        tests
            .iter()
            .any(|source| begins.iter().any(|begin| source.contains(begin)))
    };
    let unused: Vec<_> = attacks.iter().filter(|attack| !is_made(attack)).collect();
    assert!(unused.is_empty(), "no test makes {unused:?}");
}
