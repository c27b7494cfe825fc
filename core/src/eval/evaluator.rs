//! An episode under a policy.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use nalgebra::DVectorView;

use super::breakdown::distance_decile;
use super::slates::{calibration, diversity, entropy};
use super::{Episode, Measure};
use crate::backend::{Inspect, ParallelFor, RoundSnapshot, Simulate};
use crate::eval::policy::{Policy, PolicyContext};
use crate::model::EnvironmentSpec;
use crate::model::belief::distance;
use crate::model::rng::{Key, Purpose};
use crate::model::slate::normalize;
use crate::session::config::Schedule;
use crate::world::{World, row};

/// Tries policies in one world, by its rules.
///
/// ```
/// use recsim_core::session::config::Config;
/// use recsim_core::backend::Sequential;
/// use recsim_core::eval::Evaluator;
/// use recsim_core::backend::reference::Reference;
/// use recsim_core::world;
/// use recsim_core::backend::Simulate;
/// use recsim_core::eval::policy::{PerUser, Random};
/// let recipe = world::SyntheticWorldConfig { users: 20, items: 60, clusters: 3, dimensions: 4, pretrained_len: 40, seed: 0 };
/// let generated = world::generate(&recipe, world::brute_force_lists);
/// let plan = Config::default().plan(&generated.view()?)?;
/// let evaluator = Evaluator::new(&generated.view()?, &plan.environment, &plan.schedule);
/// let mut backend = Reference::<f32>::default();
/// let on_device = backend.load_world(evaluator.world(), &plan.environment)?;
/// let mut policy = PerUser { selector: Random { num_items: 60, items_per_user: 10 }, parallel: Sequential };
/// let episode = evaluator.episode(&mut backend, &on_device, &mut policy, 7, &Sequential, &mut |_| false)?;
/// assert_eq!(episode.expect("nobody stops it").num_rounds(), 20);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluator<'a> {
    world: World<'a>,
    environment: EnvironmentSpec,
    rounds: u32,
    batch_size: usize,
    /// `[I, D]`, normalised
    rows: Vec<f32>,
    /// The farthest any item lies from its cluster's centre.
    farthest: f32,
    /// `[users]`: distances at the start.
    start: Vec<f64>,
}

impl<'a> Evaluator<'a> {
    /// Of a schedule, the rounds of an episode, the users and their batches matter.
    pub fn new(world: &World<'a>, environment: &EnvironmentSpec, schedule: &Schedule) -> Self {
        let world = world.first_users(schedule.users);
        let shape = world.shape();
        let mut rows = world.arrays().item_embedding.to_vec();
        rows.chunks_exact_mut(shape.dimensions).for_each(normalize);
        let start = (0..shape.users).map(|user| far(world.beliefs(user), world.target())).collect();
        let farthest = world.arrays().item_distance.iter().copied().fold(0.0, f32::max);
        let &Schedule { rounds_per_episode: rounds, batch_size, .. } = schedule;
        Self { world, environment: *environment, rounds, batch_size, rows, farthest, start }
    }

    /// The world, with the users that are served.
    pub fn world(&self) -> &World<'a> {
        &self.world
    }

    /// The farthest any item lies from its cluster's centre: what a [`Breakdown`](super::breakdown::Breakdown) has tenths
    /// of.
    pub fn max_item_distance(&self) -> f32 {
        self.farthest
    }

    /// Serves every user in every round of an episode, from their initial beliefs on, with the draws of `seed`: an
    /// acceptance's is the same under every policy.
    ///
    /// `on_device` is the evaluator's world, with its rules. `after` is called after every round, with its number from 1;
    /// none comes of it if that says to stop.
    ///
    /// # Errors
    /// If the device fails.
    pub fn episode<B: Simulate + Inspect>(
        &self,
        backend: &mut B,
        on_device: &B::World,
        policy: &mut dyn Policy<B>,
        seed: u64,
        crew: &impl ParallelFor,
        after: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Option<Episode>, B::Error> {
        let (users, mut episode) = (self.start.len(), self.nothing());
        let ranges = (0..users).step_by(self.batch_size).map(|first| first..users.min(first + self.batch_size));
        let mut batches: Vec<(Range<usize>, B::Batch)> = ranges
            .map(|users| Ok((users.clone(), backend.create_batch(on_device, users)?)))
            .collect::<Result<_, B::Error>>()?;
        let key = |purpose, round: u32| Key::new(seed, purpose).fold_in(EPISODE).fold_in(u64::from(round));
        for round in 1..=self.rounds {
            for (users, batch) in &mut batches {
                let key_of_policy = key(Purpose::EvaluationPolicy, round);
                let serving = PolicyContext { world: on_device, batch, users: users.clone(), key: key_of_policy };
                policy.fill_slates(backend, serving)?;
                backend.respond(on_device, batch, key(Purpose::EvaluationAcceptance, round), None)?;
                self.measure(round, &backend.snapshot(batch)?, &mut episode, crew);
            }
            if after(round) {
                return Ok(None);
            }
        }
        Ok(Some(episode))
    }

    fn nothing(&self) -> Episode {
        let shape = self.world.shape();
        Episode::new(self.rounds as usize, shape.items, shape.clusters, &self.start)
    }

    /// Measures every user of a batch, whoever is at hand, and adds them up in their order.
    fn measure(&self, round: u32, snapshot: &RoundSnapshot, episode: &mut Episode, crew: &impl ParallelFor) {
        let (shown, parts, clusters) =
            (self.environment.slate_len, self.world.arrays(), self.world.shape().clusters);
        let round_at = round as usize - 1;
        let width = Measure::COUNT + shown;
        let mut table = vec![0.0; snapshot.users.len() * width];
        crew.for_each_row(&mut table, width, |n, numbers| {
            let (columns, probabilities) = numbers.split_at_mut(Measure::COUNT);
            self.user(snapshot, n, columns, probabilities);
        });
        for (n, user) in snapshot.users.clone().enumerate() {
            let (columns, probabilities) = table[row(n, width)].split_at(Measure::COUNT);
            episode.add(round_at, user, columns);
            episode.breakdown.add_beliefs(round_at, &snapshot.belief[row(n, clusters)]);
            for (place, &probability) in row(n, shown).zip(probabilities) {
                let (item, accepted) = (snapshot.slate[place] as usize, snapshot.accepted[place]);
                episode.shown_counts[item] += 1;
                episode.reliability.record(probability, accepted);
                let (cluster, decile) =
                    (parts.item_cluster[item] as usize, distance_decile(parts.item_distance[item], self.farthest));
                episode.breakdown.count(round_at, cluster, decile, accepted);
            }
            if round == self.rounds && columns[Measure::Distance as usize] < self.start[user] {
                episode.improve(user);
            }
        }
    }

    /// Measures a user's round: its columns, and the probability that each item was accepted with.
    fn user(&self, snapshot: &RoundSnapshot, n: usize, columns: &mut [f64], probabilities: &mut [f64]) {
        let (parts, shape, shown) = (self.world.arrays(), self.world.shape(), self.environment.slate_len);
        let slate = &snapshot.slate[row(n, shown)];
        let (before, beliefs) = (&snapshot.belief_before[row(n, shape.clusters)], row(n, shape.clusters));
        let mut counts = vec![0; shape.clusters];
        for (&item, predicted) in slate.iter().zip(probabilities) {
            let (cluster, distance) =
                (parts.item_cluster[item as usize] as usize, parts.item_distance[item as usize]);
            let acceptance = &self.environment.user_model.acceptance;
            *predicted = f64::from(acceptance.probability(before[cluster], distance));
            counts[cluster] += 1;
        }
        let accepted = snapshot.accepted[row(n, shown)].iter().filter(|&&taken| taken).count();
        let rows = slate.iter().map(|&item| &self.rows[row(item as usize, shape.dimensions)]);
        let mut put = |column: Measure, value| columns[column as usize] = value;
        put(Measure::Distance, far(&snapshot.belief[beliefs], parts.target));
        put(Measure::Reward, f64::from(snapshot.reward[n]));
        put(Measure::Acceptance, accepted as f64 / shown as f64);
        put(Measure::Diversity, diversity(rows, &mut vec![0.0; shape.dimensions]));
        put(Measure::Entropy, entropy(&counts));
        put(Measure::Calibration, calibration(&counts, parts.target));
    }
}

/// The summed distance to the target, in the numbers users live in.
fn far(beliefs: &[f32], target: &[f32]) -> f64 {
    let view = |numbers| DVectorView::from_slice(numbers, target.len());
    f64::from(distance(&view(beliefs), &view(target)))
}

/// Evaluations have one episode.
const EPISODE: u64 = 1;
