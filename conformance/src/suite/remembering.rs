//! The ring: what of a round goes into it, where, and that it can be brought back.

use recsim_core::backend::{Inspect, Pending, Simulate};
use recsim_core::model::rng::{Key, Purpose, uniform};
use recsim_core::session::config::Config;
use recsim_core::td3::replay::Transitions;
use recsim_core::world::{OwnedWorld, SyntheticWorldConfig, brute_force_lists, generate};

/// Three rounds of two batches, for rings that they fill, overflow at a batch's end or in its midst, or are larger than:
/// every transition is the one that the batch shows, and however many are asked for, they are the last.
pub fn a_ring_holds_the_last_transitions_in_order<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let world = world();
    for capacity in CAPACITIES {
        let mut run = Run::new(new(), &world);
        let mut all = Transitions::default();
        let mut replay = run.replay(capacity, &all);
        for round in 1..=3 {
            for batch in 0..2 {
                run.serve(batch, round, Some(&mut replay));
                let shown = run.backend.snapshot(&run.batches[batch]).expect("the device shows a batch");
                all.inserted += shown.users.len() as u64;
                all.user.extend(shown.users.map(|user| user as u32));
                all.belief_before.extend(shown.belief_before);
                all.belief.extend(shown.belief);
                all.action.extend(shown.action);
                all.reward.extend(shown.reward);
                for count in [0, 1, 2, 99, capacity, capacity + 1] {
                    let found = run.transitions(&replay, count);
                    assert_eq!(found.user.len(), count.min(capacity).min(all.user.len()), "a ring of {capacity}");
                    assert!(
                        found == last(&all, found.user.len()),
                        "a ring of {capacity}, {count} after batch {batch} of round {round}"
                    );
                }
            }
        }
        assert_ne!(all.belief, all.belief_before, "a round that changes nothing would prove nothing");
    }
}

/// A ring that begins with what another showed goes on as the other does.
pub fn a_ring_brought_back_goes_on<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let world = world();
    for capacity in CAPACITIES {
        let (mut run, mut other) = (Run::new(new(), &world), Run::new(new(), &world));
        let mut replay = run.replay(capacity, &Transitions::default());
        for batch in 0..2 {
            run.serve(batch, 1, Some(&mut replay));
            other.serve(batch, 1, None);
        }
        let shown = run.transitions(&replay, capacity);
        let mut again = other.replay(capacity, &shown);
        assert!(other.transitions(&again, capacity) == shown, "a ring of {capacity}");
        for batch in 0..2 {
            run.serve(batch, 2, Some(&mut replay));
            other.serve(batch, 2, Some(&mut again));
            let [due, found] =
                [(&mut run, &replay), (&mut other, &again)].map(|(run, replay)| run.transitions(replay, capacity));
            assert!(found == due && found != shown, "a ring of {capacity}, batch {batch}");
        }
    }
}

/// Two batches of users on a device.
struct Run<B: Simulate + Inspect> {
    backend: B,
    world: B::World,
    batches: [B::Batch; 2],
}

impl<B: Simulate + Inspect> Run<B> {
    fn new(mut backend: B, world: &OwnedWorld) -> Self {
        let environment = Config::default().plan(&world.view().unwrap()).expect("the defaults suit").environment;
        let world = backend.load_world(&world.view().unwrap(), &environment).expect("the device takes a world");
        let batches = [0..CUT, CUT..USERS]
            .map(|users| backend.create_batch(&world, users).expect("the device takes a batch"));
        Self { backend, world, batches }
    }

    fn replay(&mut self, capacity: usize, transitions: &Transitions) -> B::Replay {
        self.backend.create_replay(&self.world, capacity, transitions).expect("the device takes a ring")
    }

    fn transitions(&mut self, replay: &B::Replay, count: usize) -> Transitions {
        self.backend.transitions(replay, count).and_then(Pending::wait).expect("the device shows a ring")
    }

    /// One round of a batch, with actions that are its and the round's own.
    fn serve(&mut self, batch: usize, round: u64, replay: Option<&mut B::Replay>) {
        let Self { backend, world, batches } = self;
        let batch = &mut batches[batch];
        backend.observe(world, batch).expect("the device observes");
        let mut snapshot = backend.snapshot(batch).expect("the device shows a batch");
        let key = Key::new(7, Purpose::Exploration).fold_in(round).fold_in(snapshot.users.start as u64);
        for (place, action) in (0..).zip(&mut snapshot.action) {
            *action = 2.0 * uniform(key.fold_in(place)) - 1.0;
        }
        backend.restore(batch, &snapshot).expect("the device restores");
        backend.recommend(world, batch).expect("the device recommends");
        let luck = Key::new(7, Purpose::Acceptance).fold_in(round);
        backend.respond(world, batch, luck, replay).expect("users respond");
    }
}

/// The last `count` transitions.
fn last(all: &Transitions, count: usize) -> Transitions {
    fn rows<T: Clone>(table: &[T], count: usize) -> Vec<T> {
        table[table.len() - count..].to_vec()
    }
    Transitions {
        inserted: all.inserted,
        user: rows(&all.user, count),
        belief_before: rows(&all.belief_before, count * CLUSTERS),
        belief: rows(&all.belief, count * CLUSTERS),
        action: rows(&all.action, count * DIMENSIONS),
        reward: rows(&all.reward, count),
    }
}

/// More users than a tile, in sizes that no tile divides.
fn world() -> OwnedWorld {
    let recipe = SyntheticWorldConfig {
        users: USERS,
        items: 61,
        clusters: CLUSTERS,
        dimensions: DIMENSIONS,
        pretrained_len: 40,
        seed: 0,
    };
    generate(&recipe, brute_force_lists)
}

const USERS: usize = 300;
const CUT: usize = 130;
const CLUSTERS: usize = 3;
const DIMENSIONS: usize = 7;
const CAPACITIES: [usize; 8] = [1, 3, 100, CUT, 170, USERS, USERS + 50, 1_000];
