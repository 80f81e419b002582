//! The fenced blocks of the README.

/// One fenced block.
#[derive(Debug, Clone)]
pub struct Block {
    /// The heading that it stands below.
    pub section: String,
    pub text: String,
}

/// All blocks in this language, in order.
pub fn blocks(language: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut found = Vec::new();
    let mut section = String::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(of)) => open = Some((of == language, String::new())),
            (Some(_), Some(_)) => {
                if let Some((true, text)) = open.take() {
                    let section = section.clone();
                    found.push(Block { section, text });
                }
                open = None;
            }
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {
                if let Some(title) = line.strip_prefix('#') {
                    section = title.trim_start_matches('#').trim().to_owned();
                }
            }
        }
    }
    found
}
