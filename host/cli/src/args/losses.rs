//! `--on-loss`: what becomes of values that Arrow cannot hold.

use clap::Args;
use dagflux_host::{LossPolicy, OnLoss};

/// What becomes of values that the Arrow type of their column cannot hold.
#[derive(Clone, Debug, Default, Args)]
pub struct LossArgs {
    /// What becomes of values that Arrow cannot hold: fail, null or text [default: fail]
    ///
    /// Such as NaN in numeric(10,2), an infinite date, or an array whose dimensions are not those of its
    /// column. `fail` stops at the first; `null` puts NULL in its place; `text` reads the whole column as
    /// the server writes it. A word is for all columns, COLUMN=word for one; separated by commas, or given
    /// several times. What was changed is counted in a table behind the result.
    #[arg(
        long,
        value_name = "[COLUMN=]CHOICE",
        value_delimiter = ',',
        value_parser = choice
    )]
    pub on_loss: Vec<(Option<String>, OnLoss)>,
}

impl LossArgs {
    /// The policy that they come to; of several words the last counts.
    pub fn policy(&self) -> LossPolicy {
        let words = self.on_loss.iter().filter(|(column, _)| column.is_none());
        let default = words.map(|(_, choice)| *choice).next_back();
        let columns = self.on_loss.iter().filter_map(|(column, choice)| {
            let column = column.as_ref()?;
            Some((column, *choice))
        });
        columns.fold(
            LossPolicy::new(default.unwrap_or_default()),
            |policy, (column, choice)| policy.with_column(column, choice),
        )
    }
}

/// The word for a choice.
pub fn word(choice: OnLoss) -> &'static str {
    match choice {
        OnLoss::Null => "null",
        OnLoss::Text => "text",
        _ => "fail",
    }
}

fn choice(text: &str) -> Result<(Option<String>, OnLoss), String> {
    let (column, word) = match text.rsplit_once('=') {
        Some((column, word)) => (Some(column), word),
        None => (None, text),
    };
    let choice = match word {
        "fail" => OnLoss::Fail,
        "null" => OnLoss::Null,
        "text" => OnLoss::Text,
        _ => {
            return Err(
                "write fail, null or text, or a column and one of them: amount=null".into(),
            );
        }
    };
    match column {
        Some("") => Err("the name of the column is missing before =".into()),
        column => Ok((column.map(str::to_owned), choice)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_columns() {
        assert_eq!(choice("null"), Ok((None, OnLoss::Null)));
        assert_eq!(choice("a=b=text"), Ok((Some("a=b".into()), OnLoss::Text)));
        for text in ["", "NULL", "amount", "=null", "amount="] {
            assert!(choice(text).is_err(), "{text}");
        }
        let arguments = LossArgs {
            on_loss: ["text", "amount=fail", "null"]
                .map(|text| choice(text).unwrap())
                .into(),
        };
        let expected = LossPolicy::new(OnLoss::Null).with_column("amount", OnLoss::Fail);
        assert_eq!(arguments.policy(), expected);
        assert_eq!(LossArgs::default().policy(), LossPolicy::default());
    }
}
