//! Tables for people: aligned, without borders, headers in upper case.

use comfy_table::{Cell, Color, Table, presets};

use super::terminal::clean;

/// How a cell is meant; shown as colour, and never as colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Something is fine.
    Good,
    /// Something asks for attention.
    Notable,
    /// Something is wrong.
    Bad,
}

/// One cell. Its text may come from outside.
#[derive(Debug, Clone, Default)]
pub struct Field {
    text: String,
    tone: Tone,
}

impl Field {
    /// A cell with a tone.
    pub fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

impl<T: Into<String>> From<T> for Field {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// The table's lines, with a line break at the end. Empty cells show as `-`.
pub fn render(headers: &[&str], rows: Vec<Vec<Field>>, colour: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    if colour {
        table.enforce_styling();
    }
    table.set_header(headers.iter().map(|h| Cell::new(h.to_uppercase())));
    for row in rows {
        table.add_row(row.into_iter().map(|field| {
            let text = match field.text.is_empty() {
                true => "-".into(),
                false => clean(&field.text).into_owned(),
            };
            match field.tone {
                Tone::Plain => Cell::new(text),
                Tone::Good => Cell::new(text).fg(Color::Green),
                Tone::Notable => Cell::new(text).fg(Color::Yellow),
                Tone::Bad => Cell::new(text).fg(Color::Red),
            }
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_without_borders() {
        let rows = || {
            vec![
                vec!["10.5.1.0/24".into(), Field::new("ok", Tone::Good)],
                vec!["".into(), Field::new("bad\x1b[1m", Tone::Bad)],
            ]
        };
        assert_eq!(
            render(&["subnet", "state"], rows(), false),
            "SUBNET       STATE\n10.5.1.0/24  ok\n-            bad\\u{1b}[1m\n"
        );
        assert_eq!(render(&["subnet"], vec![], false), "SUBNET\n");
        assert!(render(&["subnet", "state"], rows(), true).contains("\x1b["));
    }
}
