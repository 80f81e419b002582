//! A page as `mandoc -T lint` wants it: what clap_mangen writes, with short lines, one preamble and no empty
//! breaks.

/// Longest line of running text, in bytes.
const WIDTH: usize = 78;
/// What roff's writer puts before every section.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";
/// Two breaks around an empty line, which is what `.sp` is for.
const EMPTY_BREAKS: &str = ".br\n\n.br\n";

/// The page's text, tidied.
pub(super) fn tidy(page: &str) -> String {
    let body = page.replace(PREAMBLE, "").replace(EMPTY_BREAKS, ".sp\n");
    let mut out = String::from(PREAMBLE);
    let mut literal = false;
    for line in body.lines() {
        match line {
            ".nf" => literal = true,
            ".fi" => literal = false,
            _ => {}
        }
        // An empty line just before the end of a literal block is a gap of its own.
        if line == ".fi" && out.ends_with("\n\n") {
            out.pop();
        }
        if literal || line.starts_with(['.', '\'']) {
            out.push_str(line);
            out.push('\n');
        } else {
            wrap(line, &mut out);
        }
    }
    out
}

/// Breaks running text at spaces.
fn wrap(line: &str, out: &mut String) {
    let mut used = 0;
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let length: usize = word.chars().map(width).sum();
        if used > 0 && used + 1 + length > WIDTH {
            out.push('\n');
            used = 0;
        }
        if used > 0 {
            out.push(' ');
            used += 1;
        } else if word.starts_with(['.', '\'']) {
            // At the head of a line these begin a request.
            out.push_str("\\&");
        }
        out.push_str(word);
        used += length;
    }
    out.push('\n');
}

/// mandoc reads what is not ASCII as `\[uXXXX]`, and counts that.
fn width(letter: char) -> usize {
    if letter.is_ascii() { 1 } else { 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_text_is_wrapped_and_never_becomes_a_request() {
        let long = format!("{} .dot and 'quote", "x".repeat(WIDTH - 2));
        let text = tidy(&format!(".SH A\n{long}\n.nf\n{long}\n\n.fi\n"));
        let first = "x".repeat(WIDTH - 2);
        let wrapped = format!("{first}\n\\&.dot and 'quote\n");
        assert_eq!(
            text,
            format!("{PREAMBLE}.SH A\n{wrapped}.nf\n{long}\n.fi\n")
        );
    }

    #[test]
    fn one_preamble_and_no_empty_breaks() {
        let text = tidy(&format!(
            "{PREAMBLE}.SH A\nx\n{EMPTY_BREAKS}{PREAMBLE}.SH B\n"
        ));
        assert_eq!(text, format!("{PREAMBLE}.SH A\nx\n.sp\n.SH B\n"));
    }
}
