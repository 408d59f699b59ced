//! Aligned tables for people.

use std::io::{self, Write};

use console::{Alignment, StyledObject, Term, measure_text_width, pad_str, style, truncate_str};

use super::printable;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub title: String,
    /// Whether its values stand at the right edge, as numbers do.
    pub right: bool,
}

impl Column {
    /// A column of text.
    pub fn left(title: impl Into<String>) -> Self {
        Column {
            title: title.into(),
            right: false,
        }
    }

    /// A column of numbers.
    pub fn right(title: impl Into<String>) -> Self {
        Column {
            title: title.into(),
            right: true,
        }
    }
}

/// A value in a table; none is NULL.
pub type Cell = Option<String>;

/// The narrowest a column becomes when a table is wider than the terminal.
const LEAST_WIDTH: usize = 6;

/// The gap between columns.
const GAP: &str = "  ";

/// What stands for NULL: dimmed on a terminal. `--json` tells it from a text
/// of the same letters.
const NULL: &str = "NULL";

/// Writes a table row by row, with the widths that the first rows need.
pub struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    /// Values beyond their column's width are cut. Without a terminal nothing
    /// is: the reader is a file or a pager.
    cut: bool,
    /// Which of the two decides whether there are styles.
    for_stderr: bool,
}

impl Table {
    /// A table whose widths fit `sample`, and the terminal if there is one.
    pub fn new(columns: Vec<Column>, sample: &[Vec<Cell>]) -> Self {
        let terminal = Term::stdout()
            .size_checked()
            .map(|(_, columns)| usize::from(columns));
        Self::fitted(columns, sample, terminal)
    }

    /// As [`Table::new`], for standard error.
    pub fn for_stderr(columns: Vec<Column>, sample: &[Vec<Cell>]) -> Self {
        let terminal = Term::stderr()
            .size_checked()
            .map(|(_, columns)| usize::from(columns));
        Self {
            for_stderr: true,
            ..Self::fitted(columns, sample, terminal)
        }
    }

    fn fitted(columns: Vec<Column>, sample: &[Vec<Cell>], terminal: Option<usize>) -> Self {
        let columns: Vec<Column> = columns
            .into_iter()
            .map(|column| Column {
                title: printable(&column.title),
                ..column
            })
            .collect();
        let mut widths: Vec<usize> = columns
            .iter()
            .map(|column| measure_text_width(&column.title))
            .collect();
        for row in sample {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell_width(cell));
            }
        }
        if let Some(terminal) = terminal {
            let gaps = GAP.len().saturating_mul(widths.len().saturating_sub(1));
            shrink(&mut widths, terminal.saturating_sub(gaps));
        }
        Table {
            columns,
            widths,
            cut: terminal.is_some(),
            for_stderr: false,
        }
    }

    /// Writes the headings.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn header(&self, out: &mut impl Write) -> io::Result<()> {
        let titles = self.columns.iter().map(|column| column.title.clone());
        let titles: Vec<String> = self.aligned(titles, |text| self.styled(text).bold().to_string());
        writeln!(out, "{}", titles.join(GAP).trim_end())?;
        let rules: Vec<String> = self.widths.iter().map(|width| "-".repeat(*width)).collect();
        writeln!(out, "{}", rules.join(GAP))
    }

    /// Writes a row.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn row(&self, out: &mut impl Write, cells: &[Cell]) -> io::Result<()> {
        let texts = cells
            .iter()
            .map(|cell| cell.as_deref().map_or_else(|| NULL.to_owned(), printable));
        let mut texts = self.aligned(texts, |text| text);
        for (text, cell) in texts.iter_mut().zip(cells) {
            if cell.is_none() {
                *text = self.styled(text.clone()).dim().to_string();
            }
        }
        writeln!(out, "{}", texts.join(GAP).trim_end())
    }

    fn styled(&self, text: String) -> StyledObject<String> {
        match self.for_stderr {
            true => style(text).for_stderr(),
            false => style(text),
        }
    }

    fn aligned(
        &self,
        texts: impl Iterator<Item = String>,
        styled: impl Fn(String) -> String,
    ) -> Vec<String> {
        texts
            .zip(self.columns.iter().zip(&self.widths))
            .map(|(text, (column, width))| {
                let text = if self.cut {
                    truncate_str(&text, *width, "…").into_owned()
                } else {
                    text
                };
                let side = if column.right {
                    Alignment::Right
                } else {
                    Alignment::Left
                };
                styled(pad_str(&text, *width, side, None).into_owned())
            })
            .collect()
    }
}

/// Prints a table that is at hand as a whole.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(columns: Vec<Column>, rows: &[Vec<Cell>]) -> io::Result<()> {
    let table = Table::new(columns, rows);
    let mut out = super::stdout();
    table.header(&mut out)?;
    for row in rows {
        table.row(&mut out, row)?;
    }
    out.flush()
}

fn cell_width(cell: &Cell) -> usize {
    cell.as_deref()
        .map_or(NULL.len(), |text| measure_text_width(&printable(text)))
}

/// Takes width from the widest columns until the sum fits, as far as it can.
fn shrink(widths: &mut [usize], room: usize) {
    // The widest that a column may be: raised to what the narrow ones leave.
    let mut most = LEAST_WIDTH;
    while widths
        .iter()
        .map(|width| (*width).min(most + 1))
        .sum::<usize>()
        <= room
        && widths.iter().any(|width| *width > most)
    {
        most += 1;
    }
    for width in widths {
        *width = (*width).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(terminal: Option<usize>) -> String {
        console::set_colors_enabled(false);
        let rows = vec![
            vec![
                Some("1".into()),
                Some("größe".into()),
                Some("a rather long text\nin two lines".into()),
            ],
            vec![Some("-12.50".into()), None, Some("x".into())],
        ];
        let columns = vec![
            Column::right("n"),
            Column::left("name"),
            Column::left("note"),
        ];
        let table = Table::fitted(columns, &rows, terminal);
        let mut out = Vec::new();
        table.header(&mut out).unwrap();
        for row in &rows {
            table.row(&mut out, row).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn aligned_in_full() {
        let expected = "     \
     n  name   note
------  -----  --------------------------------
     1  größe  a rather long text\\nin two lines
-12.50  NULL   x
";
        assert_eq!(render(None), expected);
    }

    #[test]
    fn cut_to_the_terminal() {
        let expected = "     \
     n  name   note
------  -----  ---------------
     1  größe  a rather long …
-12.50  NULL   x
";
        assert_eq!(render(Some(30)), expected);
    }

    #[test]
    fn narrow_columns_keep_their_width() {
        let mut widths = [3, 50, 20, 6];
        shrink(&mut widths, 40);
        assert_eq!(widths, [3, 15, 15, 6]);
        shrink(&mut widths, 5);
        assert_eq!(widths, [3, 6, 6, 6]);
    }
}
