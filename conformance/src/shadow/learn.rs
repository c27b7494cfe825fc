//! The agent's side of both: alike to a tolerance.

use recsim_core::backend::{Device, Learn, Snapshot};
use recsim_core::model::rng::Key;
use recsim_core::td3::{AgentState, Learner, UpdateKeys};

use super::{Shadow, ShadowError};
use crate::compare::actions;

/// Two backends' agents, and what both were when they last agreed.
pub struct Agent<A: Device, B: Device> {
    pub(super) learner: Learner,
    pub(super) first: A::Agent,
    pub(super) second: B::Agent,
    pub(super) start: AgentState,
}

impl<A: Device, B: Device> Learn for Shadow<A, B> {
    fn agent(&mut self, learner: &Learner, state: &AgentState) -> Result<Self::Agent, Self::Error> {
        Ok(Agent {
            learner: learner.clone(),
            first: self.first.agent(learner, state).map_err(ShadowError::First)?,
            second: self.second.agent(learner, state).map_err(ShadowError::Second)?,
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
        actions("act", (self.tolerance.action * agent.learner.max_action) as f32, &first, &second)?;
        let aligned = Snapshot { action: first.action, ..second };
        self.second.restore(&mut batch.second, &aligned).map_err(ShadowError::Second)
    }

    fn refine(
        &mut self,
        world: &Self::World,
        agent: &Self::Agent,
        batch: &mut Self::Batch,
    ) -> Result<(), Self::Error> {
        self.first.refine(&world.first, &agent.first, &mut batch.first).map_err(ShadowError::First)?;
        self.second.refine(&world.second, &agent.second, &mut batch.second).map_err(ShadowError::Second)?;
        let first = self.first.snapshot(&batch.first).map_err(ShadowError::First)?;
        let second = self.second.snapshot(&batch.second).map_err(ShadowError::Second)?;
        let width = agent.learner.action();
        let rows = first.action.chunks_exact(width).zip(second.action.chunks_exact(width));
        let most = (self.tolerance.refined * first.users.len() as f64).max(1.0);
        if rows.filter(|(a, b)| a != b).count() as f64 > most {
            actions("refine", 0.0, &first, &second)?;
        }
        let aligned = Snapshot { action: first.action, ..second };
        self.second.restore(&mut batch.second, &aligned).map_err(ShadowError::Second)
    }

    fn improve_critics(
        &mut self,
        world: &Self::World,
        replay: &Self::Replay,
        agent: &mut Self::Agent,
        keys: &UpdateKeys,
    ) -> Result<(), Self::Error> {
        self.first
            .improve_critics(&world.first, &replay.first, &mut agent.first, keys)
            .map_err(ShadowError::First)?;
        self.second
            .improve_critics(&world.second, &replay.second, &mut agent.second, keys)
            .map_err(ShadowError::Second)
    }

    fn improve_policy(&mut self, agent: &mut Self::Agent, keys: &UpdateKeys) -> Result<(), Self::Error> {
        self.first.improve_policy(&mut agent.first, keys).map_err(ShadowError::First)?;
        self.second.improve_policy(&mut agent.second, keys).map_err(ShadowError::Second)
    }
}
