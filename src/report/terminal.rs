//! What may reach a terminal. Text from etcd is written by other hosts: control characters, escape
//! sequences and characters that reorder or hide text are made visible instead.

use std::borrow::Cow;
use std::fmt::Write;

/// True for a character that could steer a terminal or disguise the text around it: control characters
/// (C0, DEL, C1), bidirectional controls, invisible and line-breaking format characters, tags.
pub fn is_hazardous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The text with every hazardous character shown as `\u{1b}`. Never contains a line break.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hazardous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hazardous(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// As [`clean`], and cut after `max` characters: one record must not fill the screen.
pub fn clean_short(text: &str, max: usize) -> String {
    let cleaned = clean(text);
    match cleaned.char_indices().nth(max) {
        None => cleaned.into_owned(),
        Some((end, _)) => {
            let mut out = cleaned[..end].to_owned();
            out.push('…');
            out
        }
    }
}

/// As [`clean`], line by line: keeps line breaks, for text that is meant to have several lines.
pub fn clean_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        // Writing to a String cannot fail.
        let _infallible = write!(out, "{}", clean(line));
    }
    out
}

/// Whether to use colours: only on a terminal that knows them, and not against `NO_COLOR`.
pub fn wants_colour(is_terminal: bool, no_color: Option<&str>, term: Option<&str>) -> bool {
    is_terminal && no_color.is_none_or(str::is_empty) && term != Some("dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        let table = [
            ("10.5.1.0-24", "10.5.1.0-24"),
            ("vxlan\x1b[2J", "vxlan\\u{1b}[2J"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}42-0", "\\u{202e}42-0"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("Grüße, 世界", "Grüße, 世界"),
        ];
        for (input, expected) in table {
            assert_eq!(clean(input), expected);
        }
        assert_eq!(clean_short("abcdef", 3), "abc…");
        assert_eq!(clean_short("äöü", 3), "äöü");
        assert_eq!(clean_lines("a\n\x1bb\n"), "a\n\\u{1b}b");
    }

    #[test]
    fn colour_needs_a_willing_terminal() {
        assert!(wants_colour(true, None, Some("xterm")));
        assert!(wants_colour(true, Some(""), None));
        assert!(!wants_colour(true, Some("1"), None));
        assert!(!wants_colour(true, None, Some("dumb")));
        assert!(!wants_colour(false, None, None));
    }

    proptest::proptest! {
        #[test]
        fn clean_text_holds_no_hazard(text in "\\PC*|.*") {
            proptest::prop_assert!(!clean(&text).chars().any(is_hazardous));
        }
    }
}
