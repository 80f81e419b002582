//! One program run: absolute path, deadline, bounded output, errors that say what was run.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// The longest that any firewall program may take. They wait up to 5 s for the xtables lock.
const DEADLINE: Duration = Duration::from_secs(15);
/// The largest listing read, bytes: some 500 000 rules.
const MOST_OUTPUT: u64 = 64 << 20;
/// What is kept of an error message, bytes.
const MOST_STDERR: u64 = 4 << 10;

/// A program that did not do what it was started for. Text of the program is escaped: it holds no
/// control character.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// It could not be started or talked to.
    #[error("{} {args}: {source}", program.display())]
    Start {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// Why.
        source: io::Error,
    },
    /// It ran longer than it may and was killed.
    #[error("{} {args}: killed after {} s without an answer", program.display(), after.as_secs())]
    Deadline {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// The time it had.
        after: Duration,
    },
    /// It ended with an error.
    #[error("{} {args}: {status}: {stderr}", program.display())]
    Failed {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// `exit status: N` or the signal.
        status: std::process::ExitStatus,
        /// What it said, trimmed and escaped.
        stderr: String,
    },
    /// It wrote more than a firewall listing can be.
    #[error("{} {args}: wrote more than {limit} bytes", program.display())]
    TooMuch {
        /// Absolute path.
        program: PathBuf,
        /// Its arguments, separated by spaces.
        args: String,
        /// The limit, bytes.
        limit: u64,
    },
}

/// Runs a program to its end and returns what it printed.
pub(super) async fn run(program: &Path, args: &[&str], input: &str) -> Result<String, ExecError> {
    run_within(program, args, input, DEADLINE).await
}

async fn run_within(
    program: &Path,
    args: &[&str],
    input: &str,
    deadline: Duration,
) -> Result<String, ExecError> {
    let joined = || args.join(" ");
    let start = |source| ExecError::Start {
        program: program.to_owned(),
        args: joined(),
        source,
    };
    let mut child = Command::new(program)
        .args(args)
        // Messages are read by us, too.
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let stdin = child.stdin.take();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();

    let talk = async {
        let feed = async move {
            if let Some(mut stdin) = stdin {
                // A program that has seen enough closes its end; its status tells whether that is an error.
                match stdin.write_all(input.as_bytes()).await {
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        };
        let (fed, out, err) = tokio::join!(
            feed,
            read_all(stdout, MOST_OUTPUT),
            read_all(stderr, MOST_STDERR)
        );
        fed?;
        let (out, err) = (out?, err?);
        if out.len() as u64 > MOST_OUTPUT {
            return Ok((out, err, None));
        }
        let status = child.wait().await?;
        Ok((out, err, Some(status)))
    };
    let (out, err, status) = match tokio::time::timeout(deadline, talk).await {
        // Dropping the child kills it.
        Err(_) => {
            return Err(ExecError::Deadline {
                program: program.to_owned(),
                args: joined(),
                after: deadline,
            });
        }
        Ok(talked) => talked.map_err(start)?,
    };
    match status {
        Some(status) if status.success() => Ok(String::from_utf8_lossy(&out).into_owned()),
        Some(status) => Err(ExecError::Failed {
            program: program.to_owned(),
            args: joined(),
            status,
            stderr: escape(&err),
        }),
        None => Err(ExecError::TooMuch {
            program: program.to_owned(),
            args: joined(),
            limit: MOST_OUTPUT,
        }),
    }
}

/// Reads to the end, and keeps one byte more than `limit` of it. The rest of an error message is read
/// and dropped, so that its writer does not wait; a listing that is too long is left.
async fn read_all(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        (&mut pipe).take(limit + 1).read_to_end(&mut kept).await?;
        if limit < MOST_OUTPUT {
            tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
        }
    }
    Ok(kept)
}

/// Lines joined by `; `, control characters escaped.
fn escape(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut out = String::new();
    for c in lines.join("; ").chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, input: &str) -> Result<String, ExecError> {
        let deadline = Duration::from_millis(1500);
        run_within(Path::new("/bin/sh"), &["-c", script], input, deadline).await
    }

    #[tokio::test]
    async fn input_larger_than_a_pipe_goes_through() {
        let input = "x".repeat(1 << 20);
        assert_eq!(shell("cat", &input).await.ok(), Some(input));
    }

    #[tokio::test]
    async fn an_error_names_all_and_holds_no_control_character() {
        let script = "printf '\\033[31mbad\\007\\n\\n line 2\\n' >&2; exit 3";
        let error = shell(script, "never read").await.err();
        let text = error.map(|e| e.to_string()).unwrap_or_default();
        assert!(text.starts_with("/bin/sh -c "), "{text}");
        assert!(
            text.ends_with("exit status: 3: \\u{1b}[31mbad\\u{7}; line 2"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn who_hangs_is_killed() {
        let script = "echo $$; exec sleep 1000";
        let error = shell(script, "").await;
        assert!(
            matches!(error, Err(ExecError::Deadline { .. })),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn who_never_stops_writing_is_stopped() {
        let program = Path::new("/bin/sh");
        let args = ["-c", "exec cat /dev/zero"];
        let error = run_within(program, &args, "", Duration::from_secs(30)).await;
        assert!(matches!(error, Err(ExecError::TooMuch { .. })));
    }

    #[tokio::test]
    async fn who_is_not_there_is_named() {
        let error = run(Path::new("/nonexistent/iptables"), &["-S"], "").await;
        let text = error.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(
            text.starts_with("/nonexistent/iptables -S: No such file"),
            "{text}"
        );
    }
}
