//! The `actor` policy: a trained agent.

use super::{Policy, PolicyContext};
use crate::backend::round::choose_actions;
use crate::backend::{Backend, BackendTypes};

/// An agent without exploration: observe, act, re-rank if its plan has candidates, recommend.
///
/// States and item scores are those of the loaded world. Its [`EnvironmentSpec`](crate::model::EnvironmentSpec) must
/// have the same `normalize_beliefs` and `similarity` as in training.
pub struct Actor<B: BackendTypes> {
    /// The agent, loaded into the backend.
    pub agent: B::Agent,
}

impl<B: Backend> Policy<B> for Actor<B> {
    fn fill_slates(&mut self, backend: &mut B, context: PolicyContext<'_, B>) -> Result<(), B::Error> {
        let PolicyContext { world, batch, .. } = context;
        choose_actions(backend, world, &self.agent, batch, None)?;
        backend.recommend(world, batch)
    }
}
