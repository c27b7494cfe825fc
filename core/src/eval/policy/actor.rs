//! `actor`: what an agent has learned.

use super::{Policy, Serving};
use crate::backend::{Backend, Device};

/// An agent that explores nothing. States and scores are those of the world on the device: it must see beliefs, and search
/// items, as the one did that the agent learned in.
pub struct Actor<B: Backend> {
    /// The agent, on the device.
    pub agent: B::Agent,
}

impl<B: Device> Policy<B> for Actor<B> {
    fn serve(&mut self, backend: &mut B, serving: Serving<'_, B>) -> Result<(), B::Error> {
        let Serving { world, batch, .. } = serving;
        backend.observe(world, batch)?;
        backend.act(&self.agent, batch, None)?;
        backend.refine(world, &self.agent, batch)?;
        backend.recommend(world, batch)
    }
}
