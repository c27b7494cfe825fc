//! Worlds and actions with the special cases that break backends: ties, zeros, extreme magnitudes and sizes that no
//! tile divides.

use recsim_core::model::EnvironmentSpec;
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
use recsim_core::model::rng::{Key, Purpose, normal_pair, uniform};
use recsim_core::model::slate::Similarity;
use recsim_core::model::user::UserModel;
use recsim_core::world::{OwnedWorld, World, WorldShape, row};

/// A world, its environment, and what is special about it.
pub(super) struct WorldCase {
    pub(super) name: &'static str,
    arrays: OwnedWorld,
    pub(super) environment: EnvironmentSpec,
}

impl WorldCase {
    pub(super) fn world(&self) -> World<'_> {
        World::new(self.arrays.shape, self.arrays.arrays()).expect("a valid world")
    }

    /// `[users, D]`: each user's action in a round, in `[-1, 1]`. Users and rounds go through eight kinds of actions.
    pub(super) fn actions(&self, round: u32) -> Vec<f32> {
        let WorldShape { users, items, dimensions, .. } = self.arrays.shape;
        let mut actions = vec![0.0; users * dimensions];
        for (user, action) in actions.chunks_exact_mut(dimensions).enumerate() {
            let key = Key::new(9, Purpose::World).fold_in(u64::from(round)).fold_in(user as u64);
            let item = &self.arrays.item_embedding[row(key.bits() as usize % items, dimensions)];
            match (user + round as usize) % 8 {
                0 => {}
                1 => action.fill(-0.0),
                2 => action.copy_from_slice(item),
                3 => action.iter_mut().zip(item).for_each(|(a, x)| *a = -x),
                4 => action[user % dimensions] = 1.0,
                5 => action.fill(f32::MIN_POSITIVE / 8.0),
                6 => action.fill(1.0),
                _ => normals(key, action),
            }
            action.iter_mut().for_each(|a| *a = a.clamp(-1.0, 1.0));
        }
        actions
    }

    /// How many items a policy selects for a slate: none, one, `rl_slots`, all but one, all. The largest comes first,
    /// as nothing of it may remain on the next slate.
    pub(super) fn widths(&self) -> Vec<usize> {
        let EnvironmentSpec { rl_slots, slate_len, .. } = self.environment;
        let mut widths = vec![0, 1, rl_slots, slate_len - 1, slate_len];
        widths.sort_unstable();
        widths.dedup();
        widths.reverse();
        widths
    }

    /// `width` distinct items for a user, in an arbitrary order. For some users they are the first ones of the
    /// pre-trained list.
    pub(super) fn items(&self, user: usize, width: usize) -> Vec<u32> {
        shuffled(user + user % 3, self.arrays.shape.items, width)
    }
}

/// All cases. Every acceptance, score, reward and similarity occurs.
pub(super) fn cases() -> Vec<WorldCase> {
    let shape = |users, items, clusters, dimensions, pretrained_len| WorldShape {
        users,
        items,
        clusters,
        dimensions,
        pretrained_len,
    };
    let ordinary = random(shape(33, 257, 5, 9, 40));
    let cosine = |name, arrays, rl_slots, slate_len| WorldCase {
        name,
        arrays,
        environment: environment(rl_slots, slate_len),
    };
    let mut cases = vec![
        cosine("one of everything", random(shape(1, 1, 1, 1, 1)), 1, 1),
        cosine("one user, one cluster, one dimension", random(shape(1, 40, 1, 1, 20)), 10, 20),
        cosine("every item is shown", random(shape(17, 20, 3, 4, 20)), 10, 20),
        cosine("every item is selected", random(shape(17, 12, 3, 4, 12)), 12, 12),
        cosine("one item is selected", random(shape(17, 50, 2, 3, 8)), 1, 8),
        cosine("equal items", with_rows(&ordinary, |_, row| row.fill(0.25)), 10, 20),
        cosine("equal items in threes", with_rows(&ordinary, |item, row| normals(key(item / 3), row)), 10, 20),
        cosine(
            "every other item is zero",
            with_rows(&ordinary, |item, row| if item % 2 == 0 { row.fill(0.0) } else { normals(key(item), row) }),
            10,
            20,
        ),
        cosine("items an ulp apart", with_rows(&ordinary, ulps_apart), 10, 20),
        cosine("items on one ray", with_rows(&ordinary, |item, row| row.fill((item + 1) as f32)), 10, 20),
        cosine("items of all magnitudes", with_rows(&ordinary, magnitudes), 10, 20),
        cosine("lists of the best items", with_best_lists(&ordinary), 10, 20),
        cosine("65 dimensions", random(shape(19, 1000, 2, 65, 30)), 10, 20),
        cosine("64 dimensions, many items", random(shape(21, 3000, 5, 64, 40)), 10, 20),
        cosine("more users and items than a tile", random(shape(300, 700, 3, 9, 40)), 10, 20),
        cosine("130 dimensions, 17 clusters", random(shape(9, 300, 17, 130, 20)), 3, 20),
        cosine("40 clusters", random(shape(35, 300, 40, 8, 20)), 10, 20),
        cosine("500 clusters", random(shape(50, 600, 500, 8, 20)), 10, 20),
        cosine(
            "users at the target",
            OwnedWorld { user_belief: ordinary.target.repeat(33), ..ordinary.clone() },
            10,
            20,
        ),
    ];
    for (name, acceptance) in
        [("no item is accepted", 0.0), ("every item is accepted", 1.0), ("half of the items are accepted", 0.5)]
    {
        let mut case = cosine(name, ordinary.clone(), 10, 20);
        case.environment.user_model.acceptance = Acceptance::Fixed(acceptance);
        case.environment.user_model.belief_increment = 0.25;
        cases.push(case);
    }
    for (name, arrays) in [
        ("dot", ordinary.clone()),
        ("dot, items an ulp apart", with_rows(&ordinary, ulps_apart)),
        ("dot, items of all magnitudes", with_rows(&ordinary, magnitudes)),
        ("dot, scores that fp16 cannot tell apart", with_rows(&random(shape(17, 400, 5, 64, 40)), equal_in_fp16)),
        ("dot, products that underflow", with_rows(&ordinary, |item, row| sized(item, row, 1e-6))),
        ("dot, products that all underflow", with_rows(&ordinary, |item, row| sized(item, row, 1e-42))),
        ("dot, items on one ray", with_rows(&ordinary, |item, row| row.fill((item + 1) as f32))),
    ] {
        let mut case = cosine(name, arrays, 10, 20);
        case.environment.similarity = Similarity::Dot;
        cases.push(case);
    }
    for (name, kind, score) in [
        ("strict, combined", RewardForm::Strict, BeliefScore::Combined),
        ("strict, distance", RewardForm::Strict, BeliefScore::Distance),
        ("hybrid, distance", HYBRID, BeliefScore::Distance),
        ("potential", RewardForm::Potential, BeliefScore::Combined),
    ] {
        let mut case = cosine(name, ordinary.clone(), 10, 20);
        case.environment.user_model.belief_increment = 0.1;
        let reward = &mut case.environment.user_model.reward;
        (reward.kind, reward.score, reward.max) = (kind, score, 5.0);
        cases.push(case);
    }
    cases
}

const HYBRID: RewardForm<f32> = RewardForm::Hybrid { maintenance_factor: 0.7, exploration_bonus: 0.2 };

/// The default environment with slates of this size.
fn environment(rl_slots: usize, slate_len: usize) -> EnvironmentSpec {
    let reward = Reward {
        kind: HYBRID,
        score: BeliefScore::Combined,
        scale: 100.0,
        max: 100.0,
        improvement_threshold: 0.01,
    };
    let acceptance = Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 };
    let user_model = UserModel { acceptance, belief_increment: 0.01, reward };
    EnvironmentSpec { user_model, similarity: Similarity::Cosine, rl_slots, slate_len, normalize_beliefs: true }
}

/// A world without structure. Beliefs are zero, small, arbitrary or at the target.
fn random(shape: WorldShape) -> OwnedWorld {
    let WorldShape { users, items, clusters, dimensions, pretrained_len } = shape;
    let embeddings = |n: usize, rows: usize| {
        let mut values = vec![0.0; rows * dimensions];
        values.chunks_exact_mut(dimensions).enumerate().for_each(|(r, row)| normals(key(n).fold_in(r as u64), row));
        values
    };
    let draw = |n: usize, index: usize| uniform(key(n).fold_in(index as u64));
    let target: Vec<f32> =
        (0..clusters).map(|c| 0.9 * (c + 1) as f32 / (clusters * (clusters + 1) / 2) as f32).collect();
    let belief = |index: usize| match index % 4 {
        0 => 0.0,
        1 => target[index % clusters] * draw(2, index) * 1e-3,
        2 => target[index % clusters] * draw(2, index),
        _ => target[index % clusters],
    };
    OwnedWorld {
        shape,
        item_embedding: embeddings(0, items),
        item_cluster: (0..items)
            .map(|item| (key(3).fold_in(item as u64).bits() % clusters as u64) as u32)
            .collect(),
        item_distance: (0..items).map(|item| 6.0 * draw(4, item)).collect(),
        user_belief: (0..users * clusters).map(belief).collect(),
        user_embedding: embeddings(1, users),
        user_pretrained: (0..users).flat_map(|user| shuffled(user, items, pretrained_len)).collect(),
        target,
    }
}

/// The same world with item embeddings that `fill` writes, called with the item and its row.
fn with_rows(arrays: &OwnedWorld, fill: impl Fn(usize, &mut [f32])) -> OwnedWorld {
    let mut arrays = arrays.clone();
    let rows = arrays.item_embedding.chunks_exact_mut(arrays.shape.dimensions);
    rows.enumerate().for_each(|(item, row)| fill(item, row));
    arrays
}

/// Scores that differ in the last bit, if at all: a search that rounds differently orders them differently.
fn ulps_apart(item: usize, row: &mut [f32]) {
    normals(key(0), row);
    let (index, steps) = (item % row.len(), (item % 7) as u32);
    row[index] = f32::from_bits(row[index].to_bits() + steps);
}

/// Later items have better scores, by less than half precision can represent: rounded to fp16 their scores are lower.
fn equal_in_fp16(item: usize, row: &mut [f32]) {
    // Just below the midpoint between 0.5 and 0.5 + 2^-11, neighbors in fp16.
    row.fill(f32::from_bits((1.0 + 1.0 / 2048.0_f32).to_bits() - 1) / 2.0);
    if item < 128 {
        let num_greater = row.len() / 2 - 1 - item % 3;
        row.iter_mut().enumerate().for_each(|(d, x)| *x = if d < num_greater { 0.5 + 1.0 / 2048.0 } else { 0.5 });
    }
}

/// Normal rows times `size`.
fn sized(item: usize, row: &mut [f32], size: f32) {
    normals(key(item), row);
    row.iter_mut().for_each(|x| *x *= size);
}

/// Rows of very different magnitudes, subnormal ones included.
fn magnitudes(item: usize, row: &mut [f32]) {
    normals(key(item), row);
    let scale = [1.0, 1e-30, 1e15, f32::MIN_POSITIVE / 64.0][item % 4];
    row.iter_mut().for_each(|x| *x *= scale);
}

/// Pre-trained lists of neighboring items. A user who acts like an item meets it in the list again.
fn with_best_lists(arrays: &OwnedWorld) -> OwnedWorld {
    let pretrained_len = arrays.shape.pretrained_len;
    let users = 0..arrays.shape.users;
    let lists =
        users.flat_map(|user| (0..pretrained_len).map(move |index| ((user + index) % arrays.shape.items) as u32));
    let arrays = OwnedWorld { user_pretrained: lists.collect(), ..arrays.clone() };
    with_rows(&arrays, |item, row| {
        for (index, x) in row.iter_mut().enumerate() {
            *x = wave(item * (index + 1));
        }
    })
}

/// A triangle wave, so that neighboring items lie near each other.
fn wave(n: usize) -> f32 {
    ((n % 64) as f32 - 31.5).abs() / 16.0 - 1.0
}

/// The first `len` items of a permutation that depends on the user.
fn shuffled(user: usize, items: usize, len: usize) -> Vec<u32> {
    let key = key(5).fold_in(user as u64);
    let mut order: Vec<u32> = (0..items as u32).collect();
    order.sort_by_key(|&item| key.fold_in(u64::from(item)).bits());
    order.truncate(len);
    order
}

fn key(n: usize) -> Key {
    Key::new(1, Purpose::World).fold_in(n as u64)
}

/// Fills a row with normal draws.
fn normals(key: Key, row: &mut [f32]) {
    for (pair, values) in row.chunks_mut(2).enumerate() {
        values.copy_from_slice(&normal_pair(key.fold_in(pair as u64))[..values.len()]);
    }
}
