//! The trained agent of a run, read from the run's folder.

use std::path::Path;

use recsim_core::model::EnvironmentSpec;
use recsim_core::session::checkpoint::restore_model;
use recsim_core::session::config::{Auto, Plan};
use recsim_core::td3::net::{MlpLayout, Weights};
use recsim_core::td3::{AgentSpec, AgentState};
use recsim_core::world::World;

use crate::config::{Overrides, Settings};
use crate::error::BadInput;
use crate::files::{models, names, read_json, tensors};
use crate::output::note;
use crate::source::Provenance;
use crate::train::RunRecord;

/// A trained agent, and how it sees the environment.
pub(crate) struct TrainedAgent {
    pub(crate) spec: AgentSpec,
    pub(crate) agent: AgentState,
    /// The environment in which the agent acts, with the states and scores that the agent was trained with.
    pub(crate) environment: EnvironmentSpec,
}

impl TrainedAgent {
    /// Reads the settings and the actor of the run in the folder `run`, and the first critic if the run re-ranks
    /// candidates. The agent will act in `world`, whose origin is `here`, with the environment of `plan`. Notes
    /// differences from the run's own environment and world on standard error, unless `quiet`.
    ///
    /// # Errors
    /// If the folder is not a run's, its settings do not fit the world, or a model file is missing or damaged.
    pub(crate) fn read(
        run: &Path,
        world: &World<'_>,
        here: &Provenance,
        plan: &Plan,
        quiet: bool,
    ) -> Result<Self, BadInput> {
        let refuse = |problem: String, remedy: &str| BadInput::new(run.display(), problem, remedy);
        let file = run.join(names::CONFIG);
        if !file.is_file() {
            let problem = format!("this is not a run's folder: it contains no {}", names::CONFIG);
            return Err(refuse(problem, "give the folder that `recsim train` named when it finished"));
        }
        let mut config = Settings::load(&Overrides { file: Some(file), ..Overrides::default() })?.config;
        let shape = world.shape();
        let dimensions = config.environment.action_dim.unwrap_or(shape.dimensions as u32) as usize;
        let clusters =
            (config.environment.state_dim.unwrap_or(shape.state_dim() as u32) as usize).saturating_sub(dimensions);
        if (dimensions, clusters) != (shape.dimensions, shape.clusters) {
            let problem = format!(
                "its agent expects {dimensions} dimensions and {clusters} clusters, \
                 and this world has {} and {}",
                shape.dimensions, shape.clusters
            );
            return Err(refuse(problem, "give the run's own world with --world, or another run"));
        }
        // The number of users and the sizes of the slate do not affect the agent.
        config.training.users_per_round = Auto::Auto;
        (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (1, 1);
        let own = config.plan(world).map_err(|invalid| {
            refuse(format!("its settings do not fit this world: {invalid}"), "give another run, or its own world")
        })?;
        let EnvironmentSpec { similarity, normalize_beliefs, user_model: own_users, .. } = own.environment;
        let users = &plan.environment.user_model;
        if !quiet
            && (own_users.acceptance, own_users.belief_increment) != (users.acceptance, users.belief_increment)
        {
            note(&format!(
                "the agent of {} learned with another acceptance model or belief increment; to use its own, give its \
                 config.yaml with --config",
                run.display()
            ));
        }
        let own_world = read_json::<RunRecord>(&run.join(names::RUN)).ok().map(|run| run.world);
        if !quiet && own_world.is_some_and(|world| !world.is_of_the_same(here)) {
            note(&format!(
                "the agent of {} was trained in another world; to use its own, give it with --world",
                run.display()
            ));
        }
        Ok(Self {
            agent: agent(run, &own, quiet)?,
            environment: EnvironmentSpec { similarity, normalize_beliefs, ..plan.environment },
            spec: own.agent,
        })
    }
}

fn agent(run: &Path, own: &Plan, quiet: bool) -> Result<AgentState, BadInput> {
    let (spec, mut agent) = (&own.agent, own.agent.initial_agent(0));
    // The actor, and the first critic if it re-ranks.
    let used = 1 + usize::from(spec.candidates() > 0);
    for (n, (layout, weights)) in spec.layouts().into_iter().zip(&mut agent.networks).take(used).enumerate() {
        *weights = network(&run.join(names::MODELS).join(names::MODEL_FILES[n]), layout, own, quiet)?;
    }
    Ok(agent)
}

fn network(path: &Path, layout: &MlpLayout, own: &Plan, quiet: bool) -> Result<Weights, BadInput> {
    let refuse = |problem: String, remedy: &str| BadInput::new(path.display(), problem, remedy);
    if !path.is_file() {
        let remedy = "let the run finish, or stop it with Ctrl-C: it writes its models then; or restore a copy";
        return Err(refuse(
            "this file is missing: the run has not written it yet, or it was removed".to_owned(),
            remedy,
        ));
    }
    let restored = models::read(path, layout, own).and_then(|model| {
        if !model.has_checksum && !quiet {
            note(&format!("{} has no checksum: it was written by an earlier version of recsim", path.display()));
        }
        restore_model(layout, |name| tensors::find(&model.tensors, name)).map_err(|error| error.to_string())
    });
    restored.map_err(|problem| refuse(problem, "restore it from a copy, or repeat the run"))
}
