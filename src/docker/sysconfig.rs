//! `/etc/sysconfig/docker-network`: one variable of ours in a file that is the administrator's.

use super::DockerOptions;

/// The line that sets `key`, with its line break.
pub fn line(options: &DockerOptions, key: &str) -> String {
    format!("{key}=\"{}\"\n", options.combined())
}

/// `existing` with the variable set to the new line: every other line stays as it is, and earlier lines that
/// set the variable give way. Also returns those lines where they said something else.
pub fn merge(existing: &str, key: &str, line: &str) -> (String, Vec<String>) {
    let mut out = String::with_capacity(existing.len() + line.len());
    let mut replaced = Vec::new();
    let mut written = false;
    for old in existing.lines() {
        let name = old.trim_start().strip_prefix("export ").unwrap_or(old);
        let ours = name
            .trim_start()
            .strip_prefix(key)
            .is_some_and(|rest| rest.starts_with('='));
        if ours {
            if old != line.trim_end() {
                replaced.push(old.to_owned());
            }
            if !written {
                out.push_str(line);
                written = true;
            }
        } else {
            out.push_str(old);
            out.push('\n');
        }
    }
    if !written {
        out.push_str(line);
    }
    (out, replaced)
}
