//! `actor`: what an agent has learned.

use super::{Policy, PolicyContext};
use crate::backend::round::choose_actions;
use crate::backend::{Backend, BackendTypes};

/// An agent that explores nothing. States and scores are those of the world on the device: it must see beliefs, and search
/// items, as the one did that the agent learned in.
pub struct Actor<B: BackendTypes> {
    /// The agent, on the device.
    pub agent: B::Agent,
}

impl<B: Backend> Policy<B> for Actor<B> {
    fn fill_slates(&mut self, backend: &mut B, serving: PolicyContext<'_, B>) -> Result<(), B::Error> {
        let PolicyContext { world, batch, .. } = serving;
        choose_actions(backend, world, &self.agent, batch, None)?;
        backend.recommend(world, batch)
    }
}
