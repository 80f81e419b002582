//! Untrusted text made fit for a terminal and a log line. Pure; knows nothing of etcd.

/// Longer texts are cut: a message is one line for a person.
const MAX_CHARS: usize = 400;

/// `text` with control characters and those that turn the writing direction escaped, cut at
/// [`MAX_CHARS`].
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_CHARS));
    for (count, c) in text.chars().enumerate() {
        if count == MAX_CHARS {
            out.push('…');
            break;
        }
        if c.is_control() || turns_direction(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(
            plain("a\u{1b}[31mé\nb\u{202e}"),
            "a\\u{1b}[31mé\\u{a}b\\u{202e}"
        );
        assert_eq!(plain(&"x".repeat(1000)).chars().count(), 401);
    }
}
