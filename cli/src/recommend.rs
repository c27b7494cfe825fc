//! `recsim recommend`: what a run's agent shows one user.

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
use crate::device::{About, Choice, Job};
use crate::error::BadInput;
use crate::learned::Learned;
use crate::output::{self, table};
use crate::source;
use crate::world::WorldFile;

/// Prints the slate that a run's agent chooses for one user, whose beliefs are the initial ones.
pub(crate) fn run(arguments: &Recommend) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.overrides())?;
    let device = Choice::of(&settings, false)?;
    device.look()?;
    let world = source::world(&settings, device.threads(), arguments.json)?;
    let view = world.view()?;
    let mut plan = settings.config.plan(&view).map_err(|invalid| source::refuse(&settings, &invalid))?;
    if let Some(top) = arguments.top {
        let items = view.shape().items;
        if top as usize > items {
            let problem = format!("the catalogue holds {items} items, and {top} are asked for");
            return Err(BadInput::new("--top", problem, format!("give at most {items}")).into());
        }
        (plan.environment.rl_slots, plan.environment.slate_len) = (top as usize, top as usize);
    }
    let user = user(&world, &arguments.user)?;
    let here = source::provenance(&settings.config, &world, view.shape());
    let learned = Learned::read(&arguments.run, &view, &here, &plan, arguments.json)?;
    let question = Question { world: &world, view: &view, plan: &plan, learned: &learned, user };
    let answer = device.run(question)?;
    if arguments.json { output::json(&answer) } else { output::text(&answer.to_string()) }
}

/// The user's index.
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

/// What to show one user.
struct Question<'a> {
    world: &'a WorldFile,
    view: &'a World<'a>,
    plan: &'a Plan,
    learned: &'a Learned,
    user: usize,
}

/// A user's slate.
#[derive(Debug, Serialize)]
struct Answer {
    user: String,
    /// `[K]`
    beliefs: Vec<f32>,
    /// `[K]`
    target: Vec<f32>,
    slate: Vec<Shown>,
}

/// An item on a slate.
#[derive(Debug, Serialize)]
struct Shown {
    item: String,
    /// Who chose it.
    by: &'static str,
    /// The cosine of the angle between the agent's virtual item and this one, 0 where one has no direction; their dot
    /// product where the agent's run went by that.
    similarity: f64,
    cluster: usize,
    /// To the cluster's centre.
    distance: f32,
    /// With these beliefs.
    acceptance_probability: f32,
}

impl Job for Question<'_> {
    type Output = Answer;

    fn run<B: Backend>(self, mut backend: B, _: About) -> anyhow::Result<Answer> {
        let Self { world, view, learned, user, .. } = self;
        let on_device = backend.load_world(view, &learned.environment)?;
        let agent = backend.load_agent(&learned.spec, &learned.agent)?;
        let mut batch = backend.create_batch(&on_device, user..user + 1)?;
        choose_actions(&mut backend, &on_device, &agent, &mut batch, None)?;
        backend.recommend(&on_device, &mut batch)?;
        // Where the rest of the slate is filled in as users respond, they must: nobody asks what they took.
        let nothing = Key::new(0, Purpose::Acceptance);
        backend.respond(&on_device, &mut batch, nothing, None)?;
        let snapshot = backend.snapshot(&batch)?;
        let EnvironmentSpec { rl_slots: chosen, .. } = self.plan.environment;
        let slate = snapshot.slate.iter().enumerate().map(|(place, &item)| {
            let by = if place < chosen { "agent" } else { "list" };
            self.shown(item as usize, &snapshot.action, by)
        });
        Ok(Answer {
            slate: slate.collect(),
            user: world.user_ids()[user].clone(),
            beliefs: view.beliefs(user).to_vec(),
            target: view.target().to_vec(),
        })
    }
}

impl Question<'_> {
    fn shown(&self, item: usize, action: &[f32], by: &'static str) -> Shown {
        let parts = self.view.arrays();
        let dimensions = self.view.shape().dimensions;
        let columns: Range<usize> = item * dimensions..(item + 1) * dimensions;
        let (mut row, mut action) = (parts.item_embedding[columns].to_vec(), action.to_vec());
        if self.learned.environment.similarity == Similarity::Cosine {
            normalize(&mut row);
            normalize(&mut action);
        }
        let (cluster, distance) = (parts.item_cluster[item] as usize, parts.item_distance[item]);
        let belief = self.view.beliefs(self.user)[cluster];
        Shown {
            item: self.world.item_ids()[item].clone(),
            by,
            similarity: row.iter().zip(&action).map(|(&x, &a)| f64::from(x) * f64::from(a)).sum(),
            cluster,
            distance,
            acceptance_probability: self.plan.environment.user_model.acceptance.probability(belief, distance),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, as an episode begins\n", self.user)?;
        let clusters = self.beliefs.iter().zip(&self.target).enumerate();
        let clusters = clusters.map(|(n, (b, t))| vec![n.to_string(), format!("{b:.6}"), format!("{t:.6}")]);
        writeln!(f, "{}", table(&["cluster", "belief", "target"], clusters, true))?;
        let rows = self.slate.iter().map(|shown| {
            vec![
                shown.item.clone(),
                shown.by.to_owned(),
                format!("{:.4}", shown.similarity),
                shown.cluster.to_string(),
                format!("{:.3}", shown.distance),
                output::percent(shown.acceptance_probability.into()),
            ]
        });
        write!(f, "{}", table(&["item", "chosen by", "similarity", "cluster", "distance", "accepted"], rows, true))
    }
}
