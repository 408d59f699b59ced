//! What a node of a workflow does with tables, as data.
//!
//! A [`Document`] is what is saved, and what a person or a model may have written: anything can be
//! wrong with it. [`Document::operation`] holds it against the [`Rule`]s and gives an
//! [`Operation`], in which nothing can: a combination that is not permitted has no value of this
//! type.
//!
//! ```
//! # use dagflux_host::operation::{Document, Operation};
//! let document = Document::parse(r#"{
//!     "version": 1,
//!     "id": "revenue",
//!     "node": "transform",
//!     "mode": "new-table",
//!     "sources": [{ "connection": "shop", "table": "sales.orders" }],
//!     "target": { "table": "sales.revenue" },
//!     "statements": {
//!         "create": "CREATE TABLE sales.revenue (customer integer, total numeric)",
//!         "insert": "INSERT INTO sales.revenue SELECT customer, sum(total) FROM sales.orders GROUP BY 1"
//!     }
//! }"#)?;
//! let operation = document.operation().expect("it keeps to the rules");
//! assert!(matches!(operation, Operation::Transform(_)));
//! # Ok::<(), dagflux_host::operation::NotADocument>(())
//! ```

mod document;
mod drift;
mod plan;
mod prompt;
mod resources;
pub mod review;
mod rule;
mod rules;
mod run;
mod sql;
mod steps;

pub use document::{
    Column, Document, Mode, Node, NotADocument, Source, Statements, Storage, Target, VERSION,
};
pub use drift::{Change, Drift, changes};
pub use plan::{Lack, Plan, plan};
pub use prompt::{
    ColumnMask, MOST_BYTES, MaskRule, Masks, Prompt, PromptOptions, PromptTable, Samples,
};
pub use resources::{Batches, Needs, Resources, Rows};
pub use review::review;
pub use rules::{
    Broken, Join, Merging, Operation, Origin, Rule, TableOf, Transform, Transformation,
};
pub use run::{
    ChangeRehearsed, Done, Failure, Observer, Question, Record, Rehearsal, Sample, Settings, run,
};
pub use steps::{Action, Lock, Step};

use crate::error::{Error, ErrorKind, Result};

/// Runs what blocks, beside what does not.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ended()))
}

/// The failure of work that came to no end of its own.
fn ended() -> Error {
    Error::new(ErrorKind::Internal, "work in the background was ended")
        .with_hint("report it, with what was done")
}
