//! Aligned columns.
//!
//! Everything shown is ASCII or counted by `char`: names are DNS labels, the rest numbers,
//! addresses and fixed words.

use anstyle::Style;

use super::safe;
use super::theme::{Theme, paint};

/// What stands between two columns.
const GAP: &str = "  ";

/// One field.
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A field that stands out.
    pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: safe(text.as_ref()), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// Which side a column leans to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A table that is being filled.
pub(crate) struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these column heads. A head that starts with `>` makes its column lean right, as
    /// quantities do.
    pub(crate) fn new(theme: Theme, heads: &[&str]) -> Self {
        let side = |head: &&str| match head.starts_with('>') {
            true => Side::Right,
            false => Side::Left,
        };
        let head = |head: &&str| Cell::styled(head.trim_start_matches('>'), theme.head_style());
        Self {
            sides: heads.iter().map(side).collect(),
            rows: vec![heads.iter().map(head).collect()],
        }
    }

    /// Two columns without heads: what it is, and how it is.
    pub(crate) fn facts() -> Self {
        Self { sides: vec![Side::Left; 2], rows: Vec::new() }
    }

    /// Adds a row; it has as many fields as the table has columns.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.sides.len());
        self.rows.push(cells.into());
    }

    /// Adds a row of [`Table::facts`].
    pub(crate) fn fact(&mut self, theme: Theme, label: &str, value: impl Into<Cell>) {
        self.row([Cell::styled(label, theme.head_style()), value.into()]);
    }

    /// The table as lines, each after `indent`, without blanks at their ends.
    pub(crate) fn lines(&self, indent: &str) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(Cell::width).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (column, cell) in row.iter().enumerate() {
                let blanks = " ".repeat(widths[column].saturating_sub(cell.width()));
                let painted = paint(cell.style, &cell.text);
                let gap = if column == 0 { "" } else { GAP };
                line += &match self.sides[column] {
                    Side::Left => format!("{gap}{painted}{blanks}"),
                    Side::Right => format!("{gap}{blanks}{painted}"),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_without_blanks() {
        let mut table = Table::new(Theme::new(false), &["NAME", ">RX", "X"]);
        table.row(["long-name".into(), "1 B".into(), "y".into()]);
        table.row(["n".into(), "10 KiB".into(), "".into()]);
        assert_eq!(
            table.lines(""),
            "NAME           RX  X\nlong-name     1 B  y\nn          10 KiB\n"
        );
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let theme = Theme::new(true);
        let mut table = Table::facts();
        table.row([Cell::styled("ab", theme.good_style()), "1".into()]);
        table.row(["abcd".into(), "2".into()]);
        assert_eq!(table.lines(""), "\u{1b}[32mab\u{1b}[0m    1\nabcd  2\n");
    }
}
