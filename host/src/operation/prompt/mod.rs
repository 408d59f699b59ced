//! What to tell a language model that is to write the statements of an operation.
//!
//! The connector knows its dialect and describes the tables; see [`Connection::prompt`]. Rows of the
//! tables are fetched and masked here: the connector is not trusted with what must not be shown.

mod mask;
mod options;
mod samples;
mod value;

use futures_util::FutureExt;
use serde::Serialize;

use super::rules;
use crate::bindings::TableName as GuestTable;
use crate::bindings::exports::dagflux::connector::relational as wit;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::text;
use crate::types::TableName;

pub use mask::{ColumnMask, MaskRule, Masks};
pub use options::{MOST_BYTES, PromptOptions, PromptTable, Samples};

/// The most that samples keep of the room for themselves, in bytes, and which part of it they keep.
const KEPT: (u32, u32) = (16 * 1024, 4);

/// The most entries of a connector's list of tables beyond those that it was asked for.
const BEYOND: usize = 100;

/// The most sentences about what was left out.
const SENTENCES: usize = 100;

/// What to tell a language model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Prompt {
    /// What to do and how to answer, the dialect, and an example: the same for every table.
    pub instructions: String,
    /// What is known of the tables, and rows of them if they were asked for.
    pub tables: String,
    /// The tables that are described in full.
    pub in_full: Vec<TableName>,
    /// Those of which the names of the columns are told.
    pub in_short: Vec<TableName>,
    /// Those of which the name is told.
    pub by_name: Vec<TableName>,
    /// What was left out, in sentences.
    pub left_out: Vec<String>,
}

impl Prompt {
    /// All of it.
    pub fn text(&self) -> String {
        [self.instructions.as_str(), self.tables.as_str()].concat()
    }

    fn from_guest(from: wit::Prompt, options: &PromptOptions, most: usize) -> Self {
        let tables = |list: Vec<GuestTable>| -> Vec<TableName> {
            let most = options.tables.len().saturating_add(BEYOND);
            let shown = |text: String| text::shown(text::shortened(&text, text::PARAGRAPH));
            let list = list.into_iter().take(most).map(|table| TableName {
                schema: table.schema.map(shown),
                name: shown(table.name),
            });
            list.collect()
        };
        let mut left_out: Vec<String> = from
            .left_out
            .into_iter()
            .take(SENTENCES)
            .map(|sentence| text::shown(&text::cut(sentence, text::PARAGRAPH)))
            .collect();
        let mut prompt = Self {
            instructions: text::shown_lines(&from.instructions),
            tables: text::shown_lines(&from.tables),
            in_full: tables(from.in_full),
            in_short: tables(from.in_short),
            by_name: tables(from.by_name),
            left_out: Vec::new(),
        };
        let cut = |text: &mut String, most: usize| {
            let end = text::shortened(text, most).len();
            let is_longer = end < text.len();
            text.truncate(end);
            is_longer
        };
        let first = cut(&mut prompt.instructions, most);
        let rest = most.saturating_sub(prompt.instructions.len());
        if cut(&mut prompt.tables, rest) || first {
            left_out.push(
                "the connector said more than it was given bytes for, which was cut".to_owned(),
            );
        }
        prompt.left_out = left_out;
        prompt
    }
}

impl Connection {
    /// What to tell a language model that is to write the statements of an operation: the
    /// connector's dialect, what to answer, an example, and what is known of the tables. Rows of
    /// them are in it only if [`PromptOptions::samples`] asks for them.
    ///
    /// What comes from the database is marked as data; what a model makes of it is held against
    /// the rules by [`review`](super::review()).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for a combination that no operation has, and for a bound that has
    /// no room for the names of the tables; [`ErrorKind::TableNotFound`];
    /// [`ErrorKind::ColumnNotFound`] for a masked column that no table has; and what the server or the
    /// connection reports.
    pub async fn prompt(&mut self, options: &PromptOptions) -> Result<Prompt> {
        if !rules::is_id(&options.id) {
            let rule = rules::Rule::Id.sentence().trim_end_matches('.');
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{:?} is not the id of an operation", options.id),
            )
            .with_hint(rule));
        }
        let Some(sampled) = &options.samples else {
            return self.described(options, options.most_bytes).await;
        };
        let (most, part) = KEPT;
        let kept = options.most_bytes.div_euclid(part).min(most);
        let room = options.most_bytes.saturating_sub(kept);
        let mut prompt = match self.described(options, room).await {
            // It may be that there is room for the tables, and none for rows.
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.described(options, options.most_bytes).await?
            }
            other => other?,
        };
        samples::add(self, options, sampled, &mut prompt).await?;
        Ok(prompt)
    }

    async fn described(&mut self, options: &PromptOptions, most_bytes: u32) -> Result<Prompt> {
        let asked = options.to_wit(most_bytes);
        let told = self.request(move |session| {
            async move {
                let connection = session.connection;
                let (store, guest, watch) = session.instance.relational();
                let guest = guest.connection();
                watch
                    .call(guest.call_prompt(store, connection, &asked))
                    .await
            }
            .boxed()
        });
        let most = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        Ok(Prompt::from_guest(told.await?, options, most))
    }
}
