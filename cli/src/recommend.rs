//! `recsim recommend`: the slate that a run's agent selects for one user.

use std::fmt;
use std::ops::Range;

use recsim_core::backend::Backend;
use recsim_core::backend::round::choose_actions;
use recsim_core::model::EnvironmentSpec;
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::model::slate::{Similarity, normalize};
use recsim_core::session::config::Plan;
use recsim_core::world::World;
use serde::Serialize;

use crate::arguments::Recommend;
use crate::config::Settings;
use crate::device::{DeviceChoice, DeviceInfo, DeviceJob};
use crate::error::BadInput;
use crate::learned::TrainedAgent;
use crate::output::{self, table};
use crate::source;
use crate::world::WorldFile;

/// Prints the slate that a run's agent selects for one user with the initial beliefs.
///
/// # Errors
/// If the settings, the world, the run or the user are wrong, or the backend fails.
pub(crate) fn run(arguments: &Recommend) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.overrides())?;
    let device = DeviceChoice::of(&settings, false)?;
    device.check()?;
    let world = source::world(&settings, device.threads(), arguments.json)?;
    let view = world.view()?;
    let mut plan = settings.config.plan(&view).map_err(|invalid| source::refuse(&settings, &invalid))?;
    if let Some(top) = arguments.top {
        let items = view.shape().items;
        if top as usize > items {
            let problem = format!("the catalogue has {items} items, and {top} are requested");
            return Err(BadInput::new("--top", problem, format!("give at most {items}")).into());
        }
        (plan.environment.rl_slots, plan.environment.slate_len) = (top as usize, top as usize);
    }
    let user = user(&world, &arguments.user)?;
    let here = source::provenance(&settings.config, &world, view.shape());
    let learned = TrainedAgent::read(&arguments.run, &view, &here, &plan, arguments.json)?;
    let job = RecommendJob { world: &world, view: &view, plan: &plan, learned: &learned, user };
    let answer = device.run(job)?;
    if arguments.json { output::json(&answer) } else { output::text(&answer.to_string()) }
}

/// The index of the user with this id.
fn user(world: &WorldFile, id: &str) -> Result<usize, BadInput> {
    let ids = world.user_ids();
    ids.iter().position(|known| known == id).ok_or_else(|| {
        let known = ids.first().zip(ids.last()).map_or(String::new(), |(first, last)| {
            format!("; its {} users are {first} to {last}", output::thousands(ids.len() as u64))
        });
        let problem = format!("the world has no user `{id}`{known}");
        BadInput::new(
            "--user",
            problem,
            "give the id of one of its users, as world.json and the belief files have it",
        )
    })
}

/// Selects the slate of one user.
struct RecommendJob<'a> {
    world: &'a WorldFile,
    view: &'a World<'a>,
    plan: &'a Plan,
    learned: &'a TrainedAgent,
    user: usize,
}

/// The slate of a user.
#[derive(Debug, Serialize)]
struct Recommendation {
    user: String,
    /// `[K]`
    beliefs: Vec<f32>,
    /// `[K]`
    target: Vec<f32>,
    slate: Vec<SlateItem>,
}

/// An item on a slate.
#[derive(Debug, Serialize)]
struct SlateItem {
    item: String,
    /// `agent` or `list`: who selected it.
    by: &'static str,
    /// Cosine of the angle between the agent's virtual item and this one, 0 if one of them has length 0; with
    /// `similarity_metric: dot`, their dot product.
    similarity: f64,
    cluster: usize,
    /// Distance to the centre of its cluster, in the unit of `max_cluster_distance`.
    distance: f32,
    /// Probability that the user accepts it, given these beliefs.
    acceptance_probability: f32,
}

impl DeviceJob for RecommendJob<'_> {
    type Output = Recommendation;

    fn run<B: Backend>(self, mut backend: B, _: DeviceInfo) -> anyhow::Result<Recommendation> {
        let Self { world, view, learned, user, .. } = self;
        let on_device = backend.load_world(view, &learned.environment)?;
        let agent = backend.load_agent(&learned.spec, &learned.agent)?;
        let mut batch = backend.create_batch(&on_device, user..user + 1)?;
        choose_actions(&mut backend, &on_device, &agent, &mut batch, None)?;
        backend.recommend(&on_device, &mut batch)?;
        // A backend may fill the rest of the slate only when users respond. What they accept is not used.
        let unused_draws = Key::new(0, Purpose::Acceptance);
        backend.respond(&on_device, &mut batch, unused_draws, None)?;
        let snapshot = backend.snapshot(&batch)?;
        let EnvironmentSpec { rl_slots, .. } = self.plan.environment;
        let slate = snapshot.slate.iter().enumerate().map(|(slot, &item)| {
            let by = if slot < rl_slots { "agent" } else { "list" };
            self.slate_item(item as usize, &snapshot.action, by)
        });
        Ok(Recommendation {
            slate: slate.collect(),
            user: world.user_ids()[user].clone(),
            beliefs: view.beliefs(user).to_vec(),
            target: view.target().to_vec(),
        })
    }
}

impl RecommendJob<'_> {
    fn slate_item(&self, item: usize, action: &[f32], by: &'static str) -> SlateItem {
        let arrays = self.view.arrays();
        let dimensions = self.view.shape().dimensions;
        let columns: Range<usize> = item * dimensions..(item + 1) * dimensions;
        let (mut row, mut action) = (arrays.item_embedding[columns].to_vec(), action.to_vec());
        if self.learned.environment.similarity == Similarity::Cosine {
            normalize(&mut row);
            normalize(&mut action);
        }
        let (cluster, distance) = (arrays.item_cluster[item] as usize, arrays.item_distance[item]);
        let belief = self.view.beliefs(self.user)[cluster];
        SlateItem {
            item: self.world.item_ids()[item].clone(),
            by,
            similarity: row.iter().zip(&action).map(|(&x, &a)| f64::from(x) * f64::from(a)).sum(),
            cluster,
            distance,
            acceptance_probability: self.plan.environment.user_model.acceptance.probability(belief, distance),
        }
    }
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, at the beginning of an episode\n", self.user)?;
        let clusters = self.beliefs.iter().zip(&self.target).enumerate();
        let clusters = clusters.map(|(n, (b, t))| vec![n.to_string(), format!("{b:.6}"), format!("{t:.6}")]);
        writeln!(f, "{}", table(&["cluster", "belief", "target"], clusters, true))?;
        let rows = self.slate.iter().map(|entry| {
            vec![
                entry.item.clone(),
                entry.by.to_owned(),
                format!("{:.4}", entry.similarity),
                entry.cluster.to_string(),
                format!("{:.3}", entry.distance),
                output::percent(entry.acceptance_probability.into()),
            ]
        });
        write!(
            f,
            "{}",
            table(&["item", "selected by", "similarity", "cluster", "distance", "accepted"], rows, true)
        )
    }
}
