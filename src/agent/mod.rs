//! (being written)
pub mod guard;
pub mod pump;
pub mod reconcile;
mod voice;

use crate::exit::{Code, Failure};
use crate::registry::Registry;
use crate::settings::AgentSettings;

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// What kept it from running.
pub async fn run(_settings: AgentSettings, _registry: Registry) -> Result<Code, Failure> {
    Err(Failure::could_not_run("the agent is being written"))
}
