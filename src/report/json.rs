//! JSON that is safe to show: characters that could steer a terminal are written as `\uXXXX`, which a
//! JSON reader turns back into the very same text.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::terminal::is_hazardous;

/// Indented by two blanks, with a line break at the end.
///
/// # Errors
/// A value that JSON cannot hold.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    indented(value, "  ")
}

/// Indented by `indent`, with a line break at the end.
///
/// # Errors
/// A value that JSON cannot hold.
pub fn indented(value: &impl Serialize, indent: &str) -> serde_json::Result<String> {
    render(
        value,
        Escaping(PrettyFormatter::with_indent(indent.as_bytes())),
    )
}

/// On one line, with a line break at the end (JSON Lines).
///
/// # Errors
/// A value that JSON cannot hold.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    render(value, Escaping(CompactFormatter))
}

fn render(value: &impl Serialize, formatter: impl Formatter) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    bytes.push(b'\n');
    // serde_json writes UTF-8 only.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A formatter that also escapes what JSON itself would let through.
struct Escaping<F>(F);

macro_rules! delegate {
    ($($name:ident ( $($arg:ident : $type:ty),* );)*) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $arg: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        })*
    };
}

impl<F: Formatter> Formatter for Escaping<F> {
    delegate! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hazardous(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn escapes_more_than_json_asks_for() {
        let value =
            json!({"a\u{202e}": ["x\u{9b}y\x7f\x1b", "\u{e0041}", "Grüße"], "e": {}, "n": []});
        let text = pretty(&value).unwrap();
        assert!(text.contains("a\\u202e") && text.contains("x\\u009by\\u007f\\u001b"));
        assert!(text.contains("\\udb40\\udc41") && text.contains("Grüße"));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert_eq!(line(&json!({"a": [1, 2]})).unwrap(), "{\"a\":[1,2]}\n");
        assert_eq!(
            indented(&json!({"a": 1}), "\t").unwrap(),
            "{\n\t\"a\": 1\n}\n"
        );
    }
}
