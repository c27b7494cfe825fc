//! What a run has learned, read from its folder.

use std::path::Path;

use recsim_core::model::EnvironmentSpec;
use recsim_core::session::checkpoint::restore_model;
use recsim_core::session::config::{Auto, Plan};
use recsim_core::td3::net::{MlpLayout, Weights};
use recsim_core::td3::{AgentSpec, AgentState};
use recsim_core::world::World;

use crate::config::{Overrides, Settings};
use crate::error::BadInput;
use crate::files::{models, names, read_json, tables};
use crate::output::note;
use crate::source::Provenance;
use crate::train::Run;

/// An agent, and the world as it sees it.
pub(crate) struct Learned {
    pub(crate) spec: AgentSpec,
    pub(crate) agent: AgentState,
    /// The rules of the evaluation, with states and scores as the agent knows them.
    pub(crate) environment: EnvironmentSpec,
}

impl Learned {
    /// Reads a run's settings and its actor, which must suit the world, known to be from `here`. Its first critic matters only
    /// where it is asked about candidates, and the second never.
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
            let problem = format!("this is not a run's folder: there is no {} in it", names::CONFIG);
            return Err(refuse(problem, "give the folder that `recsim train` named at its end"));
        }
        let mut config = Settings::load(&Overrides { file: Some(file), ..Overrides::default() })?.config;
        let shape = world.shape();
        let dimensions = config.environment.action_dim.unwrap_or(shape.dimensions as u32) as usize;
        let clusters =
            (config.environment.state_dim.unwrap_or(shape.state_dim() as u32) as usize).saturating_sub(dimensions);
        if (dimensions, clusters) != (shape.dimensions, shape.clusters) {
            let problem = format!(
                "its agent knows worlds of {dimensions} dimensions and {clusters} clusters, and this world has {} and {}",
                shape.dimensions, shape.clusters
            );
            return Err(refuse(problem, "give the world that it learned in with --world, or another run"));
        }
        // How many users it was shown, and how many items it showed them, is of no matter here.
        config.training.users_per_round = Auto::Auto;
        (config.recommendation.rl_list_size, config.recommendation.total_recommendations) = (1, 1);
        let own = config.plan(world).map_err(|invalid| {
            refuse(format!("its settings do not suit this world: {invalid}"), "give another run, or its own world")
        })?;
        let EnvironmentSpec { similarity, normalize_beliefs, user_model: rules, .. } = own.environment;
        let these = &plan.environment.user_model;
        if !quiet && (rules.acceptance, rules.belief_increment) != (these.acceptance, these.belief_increment) {
            note(&format!(
                "the agent of {} learned by other rules than these users live by; --config takes its own",
                run.display()
            ));
        }
        let learned_in = read_json::<Run>(&run.join(names::RUN)).ok().map(|run| run.world);
        if !quiet && learned_in.is_some_and(|world| !world.is_of_the_same(here)) {
            note(&format!(
                "the agent of {} learned in another world than this one; --world takes its own",
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
    let matter = 1 + usize::from(spec.candidates() > 0);
    for (n, (layout, weights)) in spec.layouts().into_iter().zip(&mut agent.networks).take(matter).enumerate() {
        *weights = network(&run.join(names::MODELS).join(names::MODEL_FILES[n]), layout, own, quiet)?;
    }
    Ok(agent)
}

fn network(path: &Path, layout: &MlpLayout, own: &Plan, quiet: bool) -> Result<Weights, BadInput> {
    let refuse = |problem: String, remedy: &str| BadInput::new(path.display(), problem, remedy);
    if !path.is_file() {
        let remedy =
            "let the run come to its end, or stop it with Ctrl-C: it leaves its models then; or restore a copy";
        return Err(refuse("this file is missing: the run has not left it yet, or it was lost".to_owned(), remedy));
    }
    let restored = models::read(path, layout, own).and_then(|model| {
        if !model.is_sealed && !quiet {
            note(&format!("{} has no checksum: it was written by an earlier recsim", path.display()));
        }
        restore_model(layout, |name| tables::find(&model.tables, name)).map_err(|error| error.to_string())
    });
    restored.map_err(|problem| refuse(problem, "restore it from a copy, or repeat the run"))
}
