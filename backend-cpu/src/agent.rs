//! The agent on the CPU.

use recsim_core::metrics::Losses;
use recsim_core::td3::AgentState;

/// Networks, targets, optimizer.
#[derive(Debug)]
pub struct Agent {
    pub(crate) state: AgentState,
}

impl Agent {
    pub(crate) fn losses(&mut self) -> Losses {
        Losses::default()
    }

    pub(crate) fn export(&self) -> AgentState {
        self.state.clone()
    }
}
