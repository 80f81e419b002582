//! A drop-in for `docker.service`.
//!
//! The values may change with the next lease, so the drop-in does not hold them: each start of Docker has
//! them written afresh from `subnet.env` and reads them from there (systemd reads an `EnvironmentFile` again
//! before `ExecStart`). Docker starts after the agent, which is ready once `subnet.env` is written; without
//! that file it does not start, rather than start in a wrong subnet. `Wants` and not `Requires`: a restart of
//! the agent must not restart Docker.

use super::DockerOptions;

/// dockerd's command line where the host's own unit is not known (Debian's).
pub const DEBIAN_EXEC_START: &str =
    "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS";

/// What the drop-in says.
#[derive(Debug, Clone)]
pub struct DropIn<'a> {
    /// The program that writes the options.
    pub flannelctl: &'a str,
    /// Where the agent writes its file.
    pub subnet_file: &'a str,
    /// Where the options are handed over.
    pub options_file: &'a str,
    /// Name of the variable.
    pub key: &'a str,
    /// Further words for `docker-config`.
    pub flags: &'a [&'a str],
    /// The `ExecStart` of the host's unit.
    pub exec_start: &'a str,
}

impl DropIn<'_> {
    /// The file's text; `now` is shown as the present state.
    pub fn render(&self, now: &DockerOptions) -> String {
        let Self {
            flannelctl,
            subnet_file,
            options_file,
            key,
            flags,
            exec_start,
        } = self;
        let flags: String = flags.iter().map(|flag| format!(" {flag}")).collect();
        let [flannelctl, subnet_file, options_file] =
            [flannelctl, subnet_file, options_file].map(|path| word(path));
        let exec = match uses(exec_start, key) {
            // The unit passes the variable already.
            true => String::new(),
            false => format!("ExecStart=\nExecStart={exec_start} ${key}\n"),
        };
        format!(
            "# Docker in the flannel network; made by `flannelctl docker-config --format systemd`.\n\
             # The options at that time:{}\n\
             [Unit]\n\
             Wants=flannelctl.service\n\
             After=flannelctl.service\n\
             \n\
             [Service]\n\
             ExecStartPre={flannelctl} docker-config --subnet-file {subnet_file} -k {key}{flags} --write {options_file}\n\
             EnvironmentFile=-{file}\n\
             {exec}",
            now.combined(),
            file = self.options_file.replace('%', "%%"),
        )
    }
}

/// The last `ExecStart` of a unit's text that holds a command, with continued lines joined.
pub fn exec_start(unit: &str) -> Option<String> {
    let joined = unit.replace("\\\n", " ");
    let mut command = None;
    for line in joined.lines() {
        if let Some(rest) = line.trim().strip_prefix("ExecStart=") {
            let words: Vec<_> = rest.split_whitespace().collect();
            // An empty assignment clears the list.
            command = (!words.is_empty()).then(|| words.join(" "));
        }
    }
    command
}

/// A path as one word of a unit file.
fn word(path: &str) -> String {
    let path = path.replace('%', "%%").replace('$', "$$");
    if path.contains([' ', '"', '\'', '\\']) {
        format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        path
    }
}

fn uses(exec_start: &str, key: &str) -> bool {
    exec_start
        .split_whitespace()
        .any(|word| word == format!("${key}") || word == format!("${{{key}}}"))
}
