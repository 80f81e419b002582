//! YAML for people and programs. Text that could steer a terminal is shown with visible escapes, since
//! YAML's plain scalars have none; programs that need the exact bytes use JSON.

use serde::Serialize;
use serde_json::Value;

use super::terminal::clean;

/// One YAML document.
///
/// # Errors
/// A value that YAML cannot hold.
pub fn document(value: &impl Serialize) -> Result<String, serde_yaml::Error> {
    let value = serde_yaml::to_value(value)?;
    serde_yaml::to_string(&cleaned(value))
}

fn cleaned(value: serde_yaml::Value) -> serde_yaml::Value {
    use serde_yaml::Value::{Mapping, Sequence, String};
    match value {
        String(text) => String(clean(&text).into_owned()),
        Sequence(items) => Sequence(items.into_iter().map(cleaned).collect()),
        Mapping(map) => Mapping(
            map.into_iter()
                .map(|(key, value)| (cleaned(key), cleaned(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Reads YAML (and JSON, which is YAML) as a JSON value.
///
/// # Errors
/// Names line and column.
pub fn read(text: &str) -> Result<Value, serde_yaml::Error> {
    serde_yaml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hazards_are_visible() {
        let text = document(&json!({"k\u{1b}": ["a\u{202e}b", 5, null, true]})).unwrap();
        assert_eq!(text, "k\\u{1b}:\n- a\\u{202e}b\n- 5\n- null\n- true\n");
    }
}
