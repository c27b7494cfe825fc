//! The replay buffer: which transitions it holds, in which order, and that it can be restored.

use recsim_core::backend::{Inspect, Pending, Simulate};
use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::session::config::Config;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

/// Plays three rounds of two batches with buffers that a batch fills, that overflow at a batch's end or within it, or
/// that are larger. Every transition is that of the batch's snapshot, and `transitions(count)` returns the last ones.
pub fn replay_keeps_the_last_transitions<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let world = world();
    for capacity in CAPACITIES {
        let mut fixture = TwoBatches::new(new(), &world);
        let mut all = Transitions::default();
        let mut replay = fixture.replay(capacity, &all);
        for round in 1..=3 {
            for batch in 0..2 {
                fixture.serve(batch, round, Some(&mut replay));
                let snapshot =
                    fixture.backend.snapshot(&fixture.batches[batch]).expect("the backend returns a snapshot");
                all.inserted += snapshot.users.len() as u64;
                all.user.extend(snapshot.users.map(|user| user as u32));
                all.belief_before.extend(snapshot.belief_before);
                all.belief.extend(snapshot.belief);
                all.action.extend(snapshot.action);
                all.reward.extend(snapshot.reward);
                for count in [0, 1, 2, 99, capacity, capacity + 1] {
                    let actual = fixture.transitions(&replay, count);
                    assert_eq!(actual.user.len(), count.min(capacity).min(all.user.len()), "capacity {capacity}");
                    assert!(
                        actual == last(&all, actual.user.len()),
                        "capacity {capacity}, {count} after batch {batch} of round {round}"
                    );
                }
            }
        }
        assert_ne!(all.belief, all.belief_before, "the rounds must change beliefs for the test to mean something");
    }
}

/// A buffer created from the transitions of another continues as the other does.
pub fn replay_continues_after_restore<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let world = world();
    for capacity in CAPACITIES {
        let (mut fixture, mut other) = (TwoBatches::new(new(), &world), TwoBatches::new(new(), &world));
        let mut replay = fixture.replay(capacity, &Transitions::default());
        for batch in 0..2 {
            fixture.serve(batch, 1, Some(&mut replay));
            other.serve(batch, 1, None);
        }
        let before = fixture.transitions(&replay, capacity);
        let mut restored = other.replay(capacity, &before);
        assert!(other.transitions(&restored, capacity) == before, "capacity {capacity}");
        for batch in 0..2 {
            fixture.serve(batch, 2, Some(&mut replay));
            other.serve(batch, 2, Some(&mut restored));
            let [expected, actual] = [(&mut fixture, &replay), (&mut other, &restored)]
                .map(|(fixture, replay)| fixture.transitions(replay, capacity));
            assert!(actual == expected && actual != before, "capacity {capacity}, batch {batch}");
        }
    }
}

/// A backend with two batches of users.
struct TwoBatches<B: Simulate + Inspect> {
    backend: B,
    world: B::World,
    batches: [B::Batch; 2],
}

impl<B: Simulate + Inspect> TwoBatches<B> {
    fn new(mut backend: B, world: &OwnedWorld) -> Self {
        let environment = Config::default()
            .plan(&world.view().expect("a valid world"))
            .expect("the defaults are valid")
            .environment;
        let world = backend
            .load_world(&world.view().expect("a valid world"), &environment)
            .expect("the backend loads a world");
        let batches = [0..FIRST_BATCH_LEN, FIRST_BATCH_LEN..USERS]
            .map(|users| backend.create_batch(&world, users).expect("the backend creates a batch"));
        Self { backend, world, batches }
    }

    fn replay(&mut self, capacity: usize, transitions: &Transitions) -> B::Replay {
        self.backend.create_replay(&self.world, capacity, transitions).expect("the backend creates a replay buffer")
    }

    fn transitions(&mut self, replay: &B::Replay, count: usize) -> Transitions {
        self.backend.transitions(replay, count).and_then(Pending::wait).expect("the backend returns transitions")
    }

    /// Plays one round of a batch, with actions that depend on batch and round.
    fn serve(&mut self, batch: usize, round: u64, replay: Option<&mut B::Replay>) {
        let Self { backend, world, batches } = self;
        let batch = &mut batches[batch];
        backend.observe(world, batch).expect("the backend observes");
        let mut snapshot = backend.snapshot(batch).expect("the backend returns a snapshot");
        let key = Key::new(7, Purpose::Exploration).fold_in(round).fold_in(snapshot.users.start as u64);
        for (index, action) in (0..).zip(&mut snapshot.action) {
            *action = 2.0 * uniform(key.fold_in(index)) - 1.0;
        }
        backend.restore(batch, &snapshot).expect("the backend restores");
        backend.recommend(world, batch).expect("the backend recommends");
        let acceptance_key = Key::new(7, Purpose::Acceptance).fold_in(round);
        backend.respond(world, batch, acceptance_key, replay).expect("the backend responds");
    }
}

/// The last `count` transitions.
fn last(all: &Transitions, count: usize) -> Transitions {
    fn tail<T: Clone>(values: &[T], len: usize) -> Vec<T> {
        values[values.len() - len..].to_vec()
    }
    Transitions {
        inserted: all.inserted,
        user: tail(&all.user, count),
        belief_before: tail(&all.belief_before, count * CLUSTERS),
        belief: tail(&all.belief, count * CLUSTERS),
        action: tail(&all.action, count * DIMENSIONS),
        reward: tail(&all.reward, count),
    }
}

/// More users than a tile, in sizes that no tile divides.
fn world() -> OwnedWorld {
    let world_config = SyntheticWorldConfig {
        users: USERS,
        items: 61,
        clusters: CLUSTERS,
        dimensions: DIMENSIONS,
        pretrained_len: 40,
        seed: 0,
    };
    generate(&world_config, brute_force_lists)
}

const USERS: usize = 300;
const FIRST_BATCH_LEN: usize = 130;
const CLUSTERS: usize = 3;
const DIMENSIONS: usize = 7;
const CAPACITIES: [usize; 8] = [1, 3, 100, FIRST_BATCH_LEN, 170, USERS, USERS + 50, 1_000];
