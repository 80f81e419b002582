//! Reads the project's own sources for `tests/layers.rs`: files, code without comments and strings, imports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One file.
pub struct Source {
    /// Below the project's folder.
    pub path: String,
    pub text: String,
    /// The text with comments and strings blanked.
    pub code: String,
}

impl Source {
    pub fn new(path: String, text: String) -> Self {
        let code = blanked(&text);
        Self { path, text, code }
    }

    /// All Rust files below a folder.
    pub fn below(folder: &str) -> Vec<Self> {
        let mut found = Vec::new();
        walk(&root().join(folder), &mut found);
        found.sort();
        assert!(!found.is_empty(), "no sources below {folder}");
        let read = |path: &PathBuf| {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            Self::new(name.to_owned(), std::fs::read_to_string(path).unwrap())
        };
        found.iter().map(read).collect()
    }

    /// Module path below the crate: `src/plan/diff.rs` → `plan`, `diff`.
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').filter(|part| *part != "mod").collect()
    }

    /// Top-level module; none for `lib.rs` and `main.rs`, which only tie things together.
    pub fn top(&self) -> Option<&str> {
        self.module()
            .first()
            .copied()
            .filter(|top| !["lib", "main"].contains(top))
    }

    /// A file that holds unit tests alone.
    pub fn is_test(&self) -> bool {
        self.module().contains(&"tests")
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The text with comments, strings and character literals blanked; lines stay where they are.
pub fn blanked(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = skipped(&letters, at);
        if end == at {
            code.push(letters[at]);
            at += 1;
            continue;
        }
        let blank = |letter: &char| if *letter == '\n' { '\n' } else { ' ' };
        code.extend(letters[at..end].iter().map(blank));
        at = end;
    }
    code
}

/// End of the comment or literal that starts at `at`; `at` where none does.
fn skipped(letters: &[char], at: usize) -> usize {
    let get = |index: usize| letters.get(index).copied().unwrap_or('\0');
    let until = |start: usize, found: &dyn Fn(usize) -> bool| {
        (start..letters.len())
            .find(|index| found(*index))
            .unwrap_or(letters.len())
    };
    let inside_word = at > 0 && (get(at - 1).is_alphanumeric() || get(at - 1) == '_');
    match (get(at), get(at + 1)) {
        ('/', '/') => until(at, &|index| get(index) == '\n'),
        ('/', '*') => (until(at + 2, &|index| get(index) == '*' && get(index + 1) == '/') + 2)
            .min(letters.len()),
        ('r', '#' | '"') if !inside_word || get(at - 1) == 'b' => {
            let hashes = until(at + 1, &|index| get(index) != '#') - (at + 1);
            if get(at + 1 + hashes) != '"' {
                return at;
            }
            let closes = |index: usize| {
                get(index) == '"' && (1..=hashes).all(|offset| get(index + offset) == '#')
            };
            (until(at + 2 + hashes, &closes) + 1 + hashes).min(letters.len())
        }
        ('"', _) => quoted(letters, at, '"'),
        ('\'', '\\') => quoted(letters, at, '\''),
        ('\'', _) if get(at + 2) == '\'' => at + 3,
        _ => at,
    }
}

fn quoted(letters: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < letters.len() && letters[at] != quote {
        at += if letters[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(letters.len())
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// True when `name` stands in the code as a word of its own.
pub fn names(code: &str, name: &str) -> bool {
    places(code, name).next().is_some()
}

/// Where `name` ends as a word of its own.
fn places<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(name).filter_map(move |(at, found)| {
        let end = at + found.len();
        let before = code[..at].chars().next_back().is_some_and(is_word);
        let after = code[end..].chars().next().is_some_and(is_word);
        (!before && !after).then_some(end)
    })
}

/// The names that follow `head::`, also in braces: `std::{fs, io::Read}` → `fs`, `io`.
pub fn paths(code: &str, head: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for end in places(code, head) {
        if let Some(rest) = code[end..].strip_prefix("::") {
            found.extend(first_names(rest));
        }
    }
    found
}

fn first_names(rest: &str) -> Vec<String> {
    let word = |text: &str| {
        text.chars()
            .take_while(|letter| is_word(*letter))
            .collect::<String>()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for letter in group.chars() {
        match letter {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                parts.last_mut().unwrap().push(letter);
            }
        }
    }
    parts.iter().map(|part| word(part.trim())).collect()
}

/// The top-level modules that a file imports, by `crate::` or by enough `super::`.
pub fn imports(source: &Source, tops: &BTreeSet<&str>) -> BTreeSet<String> {
    let mut found = paths(&source.code, "crate");
    for end in places(&source.code, "super") {
        let mut rest = &source.code[end..];
        let mut climbed = 1;
        while let Some(next) = rest.strip_prefix("::super") {
            climbed += 1;
            rest = next;
        }
        if climbed >= source.module().len()
            && let Some(rest) = rest.strip_prefix("::")
        {
            found.extend(first_names(rest));
        }
    }
    found.retain(|name| tops.contains(name.as_str()));
    found
}

/// Error variants that hold nothing but text and say nothing else.
pub fn errors_that_are_only_text(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, attribute) in text.match_indices("#[error(\"") {
        let rest = &text[at + attribute.len()..];
        let Some((message, rest)) = rest.split_once("\")]") else {
            continue;
        };
        let variant = rest.trim_start();
        let name: String = variant
            .chars()
            .take_while(|letter| is_word(*letter))
            .collect();
        let body = variant[name.len()..].trim_start();
        let fields = match body.chars().next() {
            Some('(') => body[1..].split_once("),").map(|(fields, _)| fields),
            Some('{') => body[1..].split_once('}').map(|(fields, _)| fields),
            _ => None,
        };
        let Some(fields) = fields else { continue };
        let mut types = fields
            .lines()
            .filter(|line| !line.trim_start().starts_with("///"))
            .flat_map(|line| line.split(','))
            .map(|field| field.rsplit(": ").next().unwrap_or_default().trim())
            .filter(|field| !field.is_empty());
        if types.all(|field| field == "String") && !says_something(message) {
            found.push(format!("{name}: {message:?}"));
        }
    }
    found
}

/// Letters outside of the placeholders.
fn says_something(message: &str) -> bool {
    let mut depth = 0;
    message.chars().any(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        depth == 0 && letter.is_alphabetic()
    })
}
