//! Questions on the terminal. Without one, nothing is asked: the flag to use is named instead.

use std::io::{IsTerminal, stderr, stdin};

use console::Term;
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Input, Select};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use crate::exit::{Code, Failure};

/// What the prompt proposes.
const NETWORK: &str = "10.5.0.0/16";

/// The network config's two main choices.
pub(super) async fn network() -> Result<Value, Failure> {
    if !has_terminal() {
        return Err(
            Failure::usage("--network is missing, and there is no terminal to ask on")
                .with_remedy("for example: flannelctl init --network 10.5.0.0/16 --backend vxlan"),
        );
    }
    prompt(|| {
        let theme = ColorfulTheme::default();
        let network: Ipv4Net = Input::with_theme(&theme)
            .with_prompt("Network of all containers (may not be in use elsewhere)")
            .default(NETWORK.to_owned())
            .validate_with(|text: &String| match text.trim().parse::<Ipv4Net>() {
                Ok(_) => Ok(()),
                Err(_) => Err("use an IPv4 network such as 10.5.0.0/16"),
            })
            .interact_text()
            // Validated just above: the default is never taken for another text.
            .map(|text| text.trim().parse().unwrap_or_default())?;
        let kinds = [
            ("vxlan", "vxlan: the kernel's VXLAN"),
            (
                "host-gw",
                "host-gw: plain routes; all hosts must be on one link",
            ),
            (
                "udp",
                "udp: packets forwarded by the agent; works everywhere",
            ),
        ];
        let chosen = Select::with_theme(&theme)
            .with_prompt("Backend")
            .items(kinds.map(|(_, text)| text))
            .default(0)
            .interact()?;
        let kind = kinds.get(chosen).map_or("vxlan", |(kind, _)| kind);
        Ok(json!({"Network": network.to_string(), "Backend": {"Type": kind}}))
    })
    .await
}

/// Yes or no; no is the default.
pub(super) async fn confirm(question: String) -> Result<bool, Failure> {
    if !has_terminal() {
        return Err(
            Failure::usage("there is no terminal to ask on: nothing is written")
                .with_remedy("give --yes to replace the config without being asked"),
        );
    }
    prompt(move || {
        Confirm::with_theme(&ColorfulTheme::default())
            .with_prompt(question)
            .default(false)
            .interact()
    })
    .await
}

/// Prompts read from stdin and draw on stderr.
fn has_terminal() -> bool {
    stdin().is_terminal() && stderr().is_terminal()
}

async fn prompt<T: Send + 'static>(
    ask: impl FnOnce() -> dialoguer::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let answer = tokio::task::spawn_blocking(ask).await;
    if !matches!(answer, Ok(Ok(_))) {
        // The prompt hid the cursor and stands on an unfinished line. A terminal that takes neither is gone.
        drop(
            Term::stderr()
                .show_cursor()
                .and_then(|()| Term::stderr().write_line("")),
        );
    }
    match answer {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(dialoguer::Error::IO(error))) if error.kind() == std::io::ErrorKind::Interrupted => {
            Err(Failure::new(Code::Interrupted, "interrupted"))
        }
        Ok(Err(error)) => Err(Failure::could_not_run(format!("cannot ask: {error}"))),
        Err(error) => Err(Failure::could_not_run(format!("cannot ask: {error}"))),
    }
}
