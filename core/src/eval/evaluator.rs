//! Runs episodes under a policy and measures them.

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

/// Runs evaluation episodes in one world (`docs/spec.md`, section 8.2).
///
/// All policies meet the same draws of acceptance for the same seed (common random numbers). No draw is shared with
/// training.
///
/// ```
/// use recsim_core::session::config::Config;
/// use recsim_core::backend::Sequential;
/// use recsim_core::eval::Evaluator;
/// use recsim_core::backend::reference::Reference;
/// use recsim_core::world;
/// use recsim_core::backend::Simulate;
/// use recsim_core::eval::policy::{PerUser, Random};
/// let world_config =
///     world::SyntheticWorldConfig { users: 20, items: 60, clusters: 3, dimensions: 4, pretrained_len: 40, seed: 0 };
/// let generated = world::generate(&world_config, world::brute_force_lists);
/// let plan = Config::default().plan(&generated.view()?)?;
/// let evaluator = Evaluator::new(&generated.view()?, &plan.environment, &plan.schedule);
/// let mut backend = Reference::<f32>::default();
/// let on_device = backend.load_world(evaluator.world(), &plan.environment)?;
/// let mut policy = PerUser { selector: Random { num_items: 60, items_per_user: 10 }, parallel: Sequential };
/// let episode = evaluator.episode(&mut backend, &on_device, &mut policy, 7, &Sequential, &mut |_| false)?;
/// assert_eq!(episode.expect("the callback does not stop it").num_rounds(), 20);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evaluator<'a> {
    world: World<'a>,
    environment: EnvironmentSpec,
    rounds: u32,
    batch_size: usize,
    /// `[I, D]`, normalized.
    item_rows: Vec<f32>,
    max_item_distance: f32,
    /// `[users]`
    initial_distances: Vec<f64>,
}

impl<'a> Evaluator<'a> {
    /// An evaluator of `world`'s first [`users`](Schedule::users), with the rounds per episode and the batch size of
    /// `schedule`; its other fields are not used.
    pub fn new(world: &World<'a>, environment: &EnvironmentSpec, schedule: &Schedule) -> Self {
        let world = world.first_users(schedule.users);
        let shape = world.shape();
        let mut item_rows = world.arrays().item_embedding.to_vec();
        item_rows.chunks_exact_mut(shape.dimensions).for_each(normalize);
        let initial_distances =
            (0..shape.users).map(|user| target_distance(world.beliefs(user), world.target())).collect();
        let max_item_distance = world.arrays().item_distance.iter().copied().fold(0.0, f32::max);
        let &Schedule { rounds_per_episode: rounds, batch_size, .. } = schedule;
        Self {
            world,
            environment: *environment,
            rounds,
            batch_size,
            item_rows,
            max_item_distance,
            initial_distances,
        }
    }

    /// The world, with the users that are served.
    pub fn world(&self) -> &World<'a> {
        &self.world
    }

    /// The largest distance of any item to its cluster's centre. The tenths of a
    /// [`Breakdown`](super::breakdown::Breakdown) are those of this distance.
    pub fn max_item_distance(&self) -> f32 {
        self.max_item_distance
    }

    /// Runs one episode: serves every user in every round, starting from the initial beliefs, with the draws of `seed`.
    ///
    /// `on_device` is [`Evaluator::world`], loaded into `backend` with the evaluator's environment. After each round,
    /// counted from 1, `should_stop` is called with its number; if it returns true, the method returns `None`.
    /// `parallel` measures the users of a batch; the result does not depend on it.
    ///
    /// # Errors
    /// The backend or the policy fails.
    pub fn episode<B: Simulate + Inspect>(
        &self,
        backend: &mut B,
        on_device: &B::World,
        policy: &mut dyn Policy<B>,
        seed: u64,
        parallel: &impl ParallelFor,
        should_stop: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Option<Episode>, B::Error> {
        let (users, mut episode) = (self.initial_distances.len(), self.empty_episode());
        let ranges = (0..users).step_by(self.batch_size).map(|first| first..users.min(first + self.batch_size));
        let mut batches: Vec<(Range<usize>, B::Batch)> = ranges
            .map(|users| Ok((users.clone(), backend.create_batch(on_device, users)?)))
            .collect::<Result<_, B::Error>>()?;
        let key = |purpose, round: u32| Key::new(seed, purpose).fold_in(EPISODE).fold_in(u64::from(round));
        for round in 1..=self.rounds {
            for (users, batch) in &mut batches {
                let policy_key = key(Purpose::EvaluationPolicy, round);
                let context = PolicyContext { world: on_device, batch, users: users.clone(), key: policy_key };
                policy.fill_slates(backend, context)?;
                backend.respond(on_device, batch, key(Purpose::EvaluationAcceptance, round), None)?;
                self.measure_batch(round, &backend.snapshot(batch)?, &mut episode, parallel);
            }
            if should_stop(round) {
                return Ok(None);
            }
        }
        Ok(Some(episode))
    }

    fn empty_episode(&self) -> Episode {
        let shape = self.world.shape();
        Episode::new(self.rounds as usize, shape.items, shape.clusters, &self.initial_distances)
    }

    /// Measures every user of a batch in parallel, then adds the results in user order.
    fn measure_batch(
        &self,
        round: u32,
        snapshot: &RoundSnapshot,
        episode: &mut Episode,
        parallel: &impl ParallelFor,
    ) {
        let (slate_len, arrays, clusters) =
            (self.environment.slate_len, self.world.arrays(), self.world.shape().clusters);
        let round_index = round as usize - 1;
        let width = Measure::COUNT + slate_len;
        // [users, Measure::COUNT + slate_len]: a user's measures, then the acceptance probabilities of the slate's
        // items.
        let mut rows = vec![0.0; snapshot.users.len() * width];
        parallel.for_each_row(&mut rows, width, |n, values| {
            let (measures, probabilities) = values.split_at_mut(Measure::COUNT);
            self.measure_user(snapshot, n, measures, probabilities);
        });
        for (n, user) in snapshot.users.clone().enumerate() {
            let (measures, probabilities) = rows[row(n, width)].split_at(Measure::COUNT);
            episode.add(round_index, user, measures);
            episode.breakdown.add_beliefs(round_index, &snapshot.belief[row(n, clusters)]);
            for (index, &probability) in row(n, slate_len).zip(probabilities) {
                let (item, accepted) = (snapshot.slate[index] as usize, snapshot.accepted[index]);
                episode.shown_counts[item] += 1;
                episode.reliability.record(probability, accepted);
                let (cluster, decile) = (
                    arrays.item_cluster[item] as usize,
                    distance_decile(arrays.item_distance[item], self.max_item_distance),
                );
                episode.breakdown.add_item(round_index, cluster, decile, accepted);
            }
            if round == self.rounds && measures[Measure::Distance as usize] < self.initial_distances[user] {
                episode.add_improved(user);
            }
        }
    }

    /// Measures the round of user `n` of the batch: `measures` is `[Measure::COUNT]`, and `probabilities`,
    /// `[slate_len]`, gets the acceptance probability of each item on the slate.
    fn measure_user(&self, snapshot: &RoundSnapshot, n: usize, measures: &mut [f64], probabilities: &mut [f64]) {
        let (arrays, shape, slate_len) = (self.world.arrays(), self.world.shape(), self.environment.slate_len);
        let slate = &snapshot.slate[row(n, slate_len)];
        let (before, beliefs) = (&snapshot.belief_before[row(n, shape.clusters)], row(n, shape.clusters));
        let mut counts = vec![0; shape.clusters];
        for (&item, probability) in slate.iter().zip(probabilities) {
            let (cluster, distance) =
                (arrays.item_cluster[item as usize] as usize, arrays.item_distance[item as usize]);
            let acceptance = &self.environment.user_model.acceptance;
            *probability = f64::from(acceptance.probability(before[cluster], distance));
            counts[cluster] += 1;
        }
        let num_accepted = snapshot.accepted[row(n, slate_len)].iter().filter(|&&accepted| accepted).count();
        let rows = slate.iter().map(|&item| &self.item_rows[row(item as usize, shape.dimensions)]);
        let mut set = |measure: Measure, value| measures[measure as usize] = value;
        set(Measure::Distance, target_distance(&snapshot.belief[beliefs], arrays.target));
        set(Measure::Reward, f64::from(snapshot.reward[n]));
        set(Measure::Acceptance, num_accepted as f64 / slate_len as f64);
        set(Measure::Diversity, diversity(rows, &mut vec![0.0; shape.dimensions]));
        set(Measure::Entropy, entropy(&counts));
        set(Measure::Calibration, calibration(&counts, arrays.target));
    }
}

/// `sum_c |target_c - b_c|`, computed in `f32` as in training.
fn target_distance(beliefs: &[f32], target: &[f32]) -> f64 {
    let view = |values| DVectorView::from_slice(values, target.len());
    f64::from(distance(&view(beliefs), &view(target)))
}

/// The episode coordinate of the keys: an evaluation has one episode.
const EPISODE: u64 = 1;
