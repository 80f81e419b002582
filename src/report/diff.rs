//! A line diff of two short texts, to show what a change of the network config changes.

use super::terminal::clean;

/// Above this many comparisons the texts are shown one after the other (a config has some ten lines).
const LIMIT: usize = 1_000_000;

/// All lines, each after `  `, `- ` or `+ `; text from outside is made safe. Empty when nothing differs.
pub fn lines(old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut out = String::new();
    let mut push = |mark: char, line: &str| {
        out.push(mark);
        out.push(' ');
        out.push_str(&clean(line));
        out.push('\n');
    };
    if old.len().saturating_mul(new.len()) > LIMIT {
        old.iter().for_each(|line| push('-', line));
        new.iter().for_each(|line| push('+', line));
        return out;
    }
    // common[i][j]: length of the longest common subsequence of old[i..] and new[j..].
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            push(' ', old[i]);
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            push('-', old[i]);
            i += 1;
        } else {
            push('+', new[j]);
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_changed() {
        assert_eq!(lines("a\nb\nc", "a\nB\nc\nd"), "  a\n- b\n+ B\n  c\n+ d\n");
        assert_eq!(lines("", "x\n"), "+ x\n");
        assert_eq!(lines("\x1b[2J", ""), "- \\u{1b}[2J\n");
        assert_eq!(lines("same", "same"), "");
    }

    proptest::proptest! {
        #[test]
        fn both_texts_can_be_read_back(old in "[ab\n]{0,30}", new in "[ab\n]{0,30}") {
            let diff = lines(&old, &new);
            let side = |mark: char| -> Vec<String> {
                diff.lines().filter(|l| l.starts_with([' ', mark])).map(|l| l[2..].to_owned()).collect()
            };
            if old != new {
                proptest::prop_assert_eq!(side('-'), old.lines().collect::<Vec<_>>());
                proptest::prop_assert_eq!(side('+'), new.lines().collect::<Vec<_>>());
            }
        }
    }
}
