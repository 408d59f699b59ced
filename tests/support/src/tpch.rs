//! The tables of the TPC-H benchmark, generated and loaded.
//!
//! The data is that of the benchmark's own generator: the same on every run and
//! every machine.

use std::fmt::{Display, Write};
use std::pin::pin;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::mpsc::{self, Sender};
use tpchgen::csv::{
    CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv,
};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

use crate::Database;

/// A table of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// 5 rows.
    Region,
    /// 25 rows.
    Nation,
    /// 10,000 rows per unit of scale.
    Supplier,
    /// 150,000 rows per unit of scale.
    Customer,
    /// 200,000 rows per unit of scale.
    Part,
    /// 800,000 rows per unit of scale; a key of two columns.
    PartSupp,
    /// 1,500,000 rows per unit of scale.
    Orders,
    /// About 6,000,000 rows per unit of scale; 16 columns; a key of two columns.
    LineItem,
}

/// All tables, smallest first.
pub const ALL: [Table; 8] = [
    Table::Region,
    Table::Nation,
    Table::Supplier,
    Table::Customer,
    Table::Part,
    Table::PartSupp,
    Table::Orders,
    Table::LineItem,
];

/// Rows of text go to the server in pieces of about this many bytes.
const PIECE: usize = 256 * 1024;

/// How many pieces may wait for the server.
const PIECES_AHEAD: usize = 8;

impl Table {
    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Nation => "nation",
            Self::Supplier => "supplier",
            Self::Customer => "customer",
            Self::Part => "part",
            Self::PartSupp => "partsupp",
            Self::Orders => "orders",
            Self::LineItem => "lineitem",
        }
    }

    /// Its columns, as the benchmark's specification (section 1.4) defines them. None
    /// can be null.
    #[must_use]
    pub fn columns(self) -> &'static str {
        match self {
            Self::Region => "r_regionkey integer, r_name char(25), r_comment varchar(152)",
            Self::Nation => {
                "n_nationkey integer, n_name char(25), n_regionkey integer, n_comment varchar(152)"
            }
            Self::Supplier => {
                "s_suppkey bigint, s_name char(25), s_address varchar(40), s_nationkey integer, \
                 s_phone char(15), s_acctbal decimal(15,2), s_comment varchar(101)"
            }
            Self::Customer => {
                "c_custkey bigint, c_name varchar(25), c_address varchar(40), c_nationkey integer, \
                 c_phone char(15), c_acctbal decimal(15,2), c_mktsegment char(10), \
                 c_comment varchar(117)"
            }
            Self::Part => {
                "p_partkey bigint, p_name varchar(55), p_mfgr char(25), p_brand char(10), \
                 p_type varchar(25), p_size integer, p_container char(10), \
                 p_retailprice decimal(15,2), p_comment varchar(23)"
            }
            Self::PartSupp => {
                "ps_partkey bigint, ps_suppkey bigint, ps_availqty integer, \
                 ps_supplycost decimal(15,2), ps_comment varchar(199)"
            }
            Self::Orders => {
                "o_orderkey bigint, o_custkey bigint, o_orderstatus char(1), \
                 o_totalprice decimal(15,2), o_orderdate date, o_orderpriority char(15), \
                 o_clerk char(15), o_shippriority integer, o_comment varchar(79)"
            }
            Self::LineItem => {
                "l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber integer, \
                 l_quantity decimal(15,2), l_extendedprice decimal(15,2), \
                 l_discount decimal(15,2), l_tax decimal(15,2), l_returnflag char(1), \
                 l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date, \
                 l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44)"
            }
        }
    }

    /// The columns of its primary key.
    #[must_use]
    pub fn primary_key(self) -> &'static str {
        match self {
            Self::Region => "r_regionkey",
            Self::Nation => "n_nationkey",
            Self::Supplier => "s_suppkey",
            Self::Customer => "c_custkey",
            Self::Part => "p_partkey",
            Self::PartSupp => "ps_partkey, ps_suppkey",
            Self::Orders => "o_orderkey",
            Self::LineItem => "l_orderkey, l_linenumber",
        }
    }

    /// Sends the rows as CSV, in pieces.
    fn generate(self, scale: f64, pieces: &Sender<Bytes>) {
        match self {
            Self::Region => send(RegionGenerator::new(scale, 1, 1), RegionCsv::new, pieces),
            Self::Nation => send(NationGenerator::new(scale, 1, 1), NationCsv::new, pieces),
            Self::Supplier => send(
                SupplierGenerator::new(scale, 1, 1),
                SupplierCsv::new,
                pieces,
            ),
            Self::Customer => send(
                CustomerGenerator::new(scale, 1, 1),
                CustomerCsv::new,
                pieces,
            ),
            Self::Part => send(PartGenerator::new(scale, 1, 1), PartCsv::new, pieces),
            Self::PartSupp => send(
                PartSuppGenerator::new(scale, 1, 1),
                PartSuppCsv::new,
                pieces,
            ),
            Self::Orders => send(OrderGenerator::new(scale, 1, 1), OrderCsv::new, pieces),
            Self::LineItem => send(
                LineItemGenerator::new(scale, 1, 1),
                LineItemCsv::new,
                pieces,
            ),
        }
    }
}

/// Creates `tables` in the schema `public` of `database` and fills them at
/// `scale`: 1.0 is about 1 GB for all of them. Each has its primary key and is
/// analysed. Returns the number of rows of each.
///
/// # Errors
///
/// When a table exists already or the server fails.
pub async fn load(database: &Database<'_>, scale: f64, tables: &[Table]) -> Result<Vec<u64>> {
    let mut client = database.sql().await?;
    let mut rows = Vec::with_capacity(tables.len());
    for &table in tables {
        // Within one transaction the server can store the rows as frozen, and
        // need not log them.
        let transaction = client.transaction().await?;
        let name = table.name();
        let columns: Vec<String> = table
            .columns()
            .split(", ")
            .map(|column| format!("{column} NOT NULL"))
            .collect();
        let columns = columns.join(", ");
        transaction
            .batch_execute(&format!("CREATE TABLE {name} ({columns})"))
            .await
            .with_context(|| format!("table {name} could not be created"))?;
        let copy = format!("COPY {name} FROM STDIN (FORMAT csv, FREEZE)");
        let mut sink = pin!(transaction.copy_in::<_, Bytes>(&copy).await?);
        let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
        let generator = tokio::task::spawn_blocking(move || table.generate(scale, &sender));
        while let Some(piece) = pieces.recv().await {
            sink.send(piece).await?;
        }
        generator.await?;
        rows.push(sink.as_mut().finish().await?);
        let key = table.primary_key();
        transaction
            .batch_execute(&format!("ALTER TABLE {name} ADD PRIMARY KEY ({key})"))
            .await?;
        transaction.commit().await?;
        client.batch_execute(&format!("ANALYZE {name}")).await?;
    }
    Ok(rows)
}

fn send<R, T: Display>(
    rows: impl IntoIterator<Item = R>,
    csv: impl Fn(R) -> T,
    pieces: &Sender<Bytes>,
) {
    let mut text = String::with_capacity(PIECE * 2);
    for row in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", csv(row));
        if text.len() >= PIECE {
            let piece = std::mem::replace(&mut text, String::with_capacity(PIECE * 2));
            if pieces.blocking_send(piece.into()).is_err() {
                // The load has failed; it reports why.
                return;
            }
        }
    }
    let _ = pieces.blocking_send(text.into());
}
