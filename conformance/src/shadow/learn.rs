//! Learning: both backends must agree to a tolerance.

use recsim_core::backend::{Backend, Learn, RoundSnapshot};
use recsim_core::model::rng::Key;
use recsim_core::td3::{AgentSpec, AgentState, UpdateKeys};

use super::{Shadow, ShadowError};
use crate::compare::compare_actions;

/// An agent on both backends, and its state when they were last equal.
pub struct ShadowAgent<A: Backend, B: Backend> {
    pub(super) spec: AgentSpec,
    pub(super) first: A::Agent,
    pub(super) second: B::Agent,
    pub(super) start: AgentState,
}

impl<A: Backend, B: Backend> Learn for Shadow<A, B> {
    fn load_agent(&mut self, spec: &AgentSpec, state: &AgentState) -> Result<Self::Agent, Self::Error> {
        Ok(ShadowAgent {
            spec: spec.clone(),
            first: self.first.load_agent(spec, state).map_err(ShadowError::First)?,
            second: self.second.load_agent(spec, state).map_err(ShadowError::Second)?,
            start: state.clone(),
        })
    }

    fn act(
        &mut self,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
        exploration: Option<Key>,
    ) -> Result<(), Self::Error> {
        self.first.act(&agent.first, &mut batch.first, exploration).map_err(ShadowError::First)?;
        self.second.act(&agent.second, &mut batch.second, exploration).map_err(ShadowError::Second)?;
        let first = self.first.snapshot(&batch.first).map_err(ShadowError::First)?;
        let second = self.second.snapshot(&batch.second).map_err(ShadowError::Second)?;
        compare_actions("act", (self.tolerance.action * agent.spec.max_action) as f32, &first, &second)?;
        let aligned = RoundSnapshot { action: first.action, ..second };
        self.second.restore(&mut batch.second, &aligned).map_err(ShadowError::Second)
    }

    fn rerank(
        &mut self,
        world: &Self::World,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        self.first.rerank(&world.first, &agent.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.rerank(&world.second, &agent.second, &mut batch.second).map_err(ShadowError::Second)?;
        let first = self.first.snapshot(&batch.first).map_err(ShadowError::First)?;
        let second = self.second.snapshot(&batch.second).map_err(ShadowError::Second)?;
        let dimensions = agent.spec.action_dim();
        let rows = first.action.chunks_exact(dimensions).zip(second.action.chunks_exact(dimensions));
        let max_different = (self.tolerance.reranked * first.users.len() as f64).max(1.0);
        if rows.filter(|(a, b)| a != b).count() as f64 > max_different {
            compare_actions("rerank", 0.0, &first, &second)?;
        }
        let aligned = RoundSnapshot { action: first.action, ..second };
        self.second.restore(&mut batch.second, &aligned).map_err(ShadowError::Second)
    }

    fn update(
        &mut self,
        world: &Self::World,
        replay: &Self::Replay,
        agent: &mut Self::Agent,
        keys: &UpdateKeys,
        with_policy: bool,
    ) -> Result<(), Self::Error> {
        self.first
            .update(&world.first, &replay.first, &mut agent.first, keys, with_policy)
            .map_err(ShadowError::First)?;
        self.second
            .update(&world.second, &replay.second, &mut agent.second, keys, with_policy)
            .map_err(ShadowError::Second)
    }
}
