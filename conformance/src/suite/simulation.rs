//! Simulation: set_actions the same actions, a backend has the same bits as the formulas of `recsim-core`.

use std::ops::Range;

use nalgebra::DVectorView;
use recsim_core::backend::{BackendError, ErrorKind, Inspect, RoundSnapshot, Simulate};
use recsim_core::model::Tally;
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::td3::explore::{ItemExploration, action_toward, explored_item};
use recsim_core::world::{WorldShape, row};

use super::expected_round;
use super::world_cases::{WorldCase, cases};
use crate::compare::{FilledFields, compare_exactly};

/// Slates, acceptances, beliefs and rewards of three rounds have the bits of core's formulas, in every world case.
pub fn round_matches_formulas<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let users = case.world().shape().users;
        let whole = 0..users;
        assert_matches_formulas(
            &case,
            &rounds(&mut new(), &case, std::slice::from_ref(&whole)),
            std::slice::from_ref(&whole),
        );
    }
}

/// The same with the users split into batches: they change no bit.
pub fn responses_do_not_depend_on_batches<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let users = case.world().shape().users;
        let split = [0, users / 7, users / 2 + 1, users];
        let batches: Vec<_> = split.windows(2).map(|w| w[0]..w[1].min(users)).filter(|b| !b.is_empty()).collect();
        assert_matches_formulas(&case, &rounds(&mut new(), &case, &batches), &batches);
    }
}

/// Items passed to [`Simulate::show`] come first on the slates, from none to a whole slate, whatever was shown before.
/// The pre-trained list fills the rest, and users respond by the formulas. Afterwards `recommend` works as before.
pub fn shown_items_come_first<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let WorldShape { users, dimensions, .. } = world.shape();
        let on_device = backend.load_world(&world, &case.environment).expect("the backend loads a world");
        let batch = users / 3..users;
        let mut shown = backend.create_batch(&on_device, batch.clone()).expect("the backend creates a batch");
        let actions = &case.actions(1)[batch.start * dimensions..];
        set_actions(&mut backend, &mut shown, &case, 1);
        for width in case.widths() {
            let before = backend.snapshot(&shown).expect("the backend returns a snapshot").belief;
            let selected: Vec<Vec<u32>> = batch.clone().map(|user| case.items(user, width)).collect();
            backend.show(&on_device, &mut shown, &selected.concat()).expect("the backend shows items");
            backend
                .respond(&on_device, &mut shown, acceptance_key(width as u32), None)
                .expect("the backend responds");
            let slates = batch.clone().zip(selected).flat_map(|(user, mut slate)| {
                slate.resize(case.environment.slate_len, 0);
                expected_round::fill_slate(slate, width, world.pretrained(user))
            });
            let slates: Vec<u32> = slates.collect();
            let expected = expected_round::respond(
                &world,
                &case.environment,
                batch.clone(),
                &before,
                actions,
                &slates,
                acceptance_key(width as u32),
            );
            assert_same_bits(&case, &backend.snapshot(&shown).expect("the backend returns a snapshot"), &expected);
        }
        backend.reset(&on_device, &mut shown).expect("the backend resets");
        let after = serve(&mut backend, &on_device, &mut shown, &case, 1);
        assert_matches_formulas(&case, &[vec![after]], std::slice::from_ref(&batch));
    }
}

/// [`Simulate::explore`] replaces the actions of the users that explore, to the bit, whatever the batches. All other
/// actions stay.
pub fn item_exploration_matches_formulas<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let mut num_explored = 0;
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let WorldShape { users, items, dimensions, .. } = world.shape();
        let (mut expected, rows) = (case.actions(1), expected_round::rows(&world, &case.environment));
        let exploration = ItemExploration {
            key: Key::new(3, Purpose::ExplorationItem).fold_in(1),
            probability: 0.3,
            max_action: 1.25,
        };
        for user in 0..users {
            if let Some(item) =
                explored_item(exploration.key.fold_in(user as u64), exploration.probability, items as u64)
            {
                action_toward(&rows[row(item as usize, dimensions)], 1.25, &mut expected[row(user, dimensions)]);
                num_explored += 1;
            }
        }
        let on_device = backend.load_world(&world, &case.environment).expect("the backend loads a world");
        for batch in [0..users / 3, users / 3..users].into_iter().filter(|batch| !batch.is_empty()) {
            let expected = &expected[batch.start * dimensions..batch.end * dimensions];
            let mut batch = backend.create_batch(&on_device, batch).expect("the backend creates a batch");
            set_actions(&mut backend, &mut batch, &case, 1);
            backend.explore(&on_device, &mut batch, &exploration).expect("the backend explores");
            let actual = backend.snapshot(&batch).expect("the backend returns a snapshot").action;
            assert!(actual.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits())), "{}", case.name);
        }
    }
    assert!(num_explored > 0, "the case must contain users that explore");
}

/// The counts and sums of [`Inspect::tally`] are those of the users, whatever the batches.
pub fn tally_sums_over_users<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let users = world.shape().users;
        for cut in [0, users / 2] {
            let split = [0..cut, cut..users].into_iter().filter(|batch| !batch.is_empty());
            let on_device = backend.load_world(&world, &case.environment).expect("the backend loads a world");
            let (batches, served): (Vec<_>, Vec<_>) = split
                .map(|users| {
                    let mut batch = backend.create_batch(&on_device, users).expect("the backend creates a batch");
                    let served = serve(&mut backend, &on_device, &mut batch, &case, 1);
                    (batch, served)
                })
                .unzip();
            let actual = backend.tally(&on_device, &batches).expect("the backend counts");
            // No agent has acted, so the counts of action components are unspecified.
            let actual = Tally { components: 0, saturated: 0, ..actual };
            let expected = served.iter().fold(Tally::default(), |sum, snapshot| add_users(sum, &case, snapshot));
            assert_eq!(actual, expected, "{}", case.name);
        }
    }
}

/// After [`Simulate::reset`] the beliefs are the world's initial ones, and the same round gives the same result.
pub fn reset_restores_initial_beliefs<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let on_device = backend.load_world(&world, &case.environment).expect("the backend loads a world");
        let mut batch =
            backend.create_batch(&on_device, 0..world.shape().users).expect("the backend creates a batch");
        let first = serve(&mut backend, &on_device, &mut batch, &case, 1);
        serve(&mut backend, &on_device, &mut batch, &case, 2);
        backend.reset(&on_device, &mut batch).expect("the backend resets");
        let reset = backend.snapshot(&batch).expect("the backend returns a snapshot");
        assert_eq!(bits(&reset.belief), bits(world.arrays().user_belief), "{}", case.name);
        let again = serve(&mut backend, &on_device, &mut batch, &case, 1);
        assert_same_bits(&case, &again, &first);
    }
}

/// Batches whose stages are interleaved give the same results as batches served one after the other.
pub fn batches_may_be_interleaved<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases().into_iter().filter(|case| case.world().shape().users > 1) {
        let (world, mut backend) = (case.world(), new());
        let users = world.shape().users;
        let users_by_batch = [0..users / 2, users / 2..users];
        let expected = rounds(&mut backend, &case, &users_by_batch);
        let on_device = backend.load_world(&world, &case.environment).expect("the backend loads a world");
        let mut batches = users_by_batch
            .map(|users| backend.create_batch(&on_device, users).expect("the backend creates a batch"));
        for (round, expected) in (1..=ROUNDS).zip(&expected) {
            for batch in &mut batches {
                backend.observe(&on_device, batch).expect("the backend observes");
            }
            for batch in &mut batches {
                set_actions(&mut backend, batch, &case, round);
            }
            for batch in &mut batches {
                backend.recommend(&on_device, batch).expect("the backend recommends");
            }
            for (batch, expected) in batches.iter_mut().zip(expected) {
                backend.respond(&on_device, batch, acceptance_key(round), None).expect("the backend responds");
                assert_same_bits(
                    &case,
                    &backend.snapshot(batch).expect("the backend returns a snapshot"),
                    expected,
                );
            }
        }
    }
}

/// An action with a NaN or infinite component either gives slates of existing items or fails with
/// [`ErrorKind::NotFinite`].
pub fn non_finite_action_yields_items_or_error<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let case = cases().pop().expect("there are cases");
    let (world, mut backend) = (case.world(), new());
    let (users, items) = (world.shape().users, world.shape().items);
    let on_device = backend.load_world(&world, &case.environment).expect("the backend loads a world");
    for non_finite in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut batch = backend.create_batch(&on_device, 0..users).expect("the backend creates a batch");
        let mut snapshot = backend.snapshot(&batch).expect("the backend returns a snapshot");
        snapshot.action = case.actions(1);
        snapshot.action[1] = non_finite;
        backend.restore(&mut batch, &snapshot).expect("the backend restores");
        let served = backend
            .recommend(&on_device, &mut batch)
            .and_then(|()| backend.respond(&on_device, &mut batch, acceptance_key(1), None))
            .and_then(|()| backend.snapshot(&batch));
        match served {
            Ok(shown) => assert!(shown.slate.iter().all(|&item| (item as usize) < items), "{non_finite}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}"),
        }
    }
}

/// A restored batch has the snapshot's values and continues as the original does.
pub fn restore_inverts_snapshot<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let case = cases().pop().expect("there are cases");
    let (world, mut backend) = (case.world(), new());
    let on_device = backend.load_world(&world, &case.environment).expect("the backend loads a world");
    let mut original =
        backend.create_batch(&on_device, 0..world.shape().users).expect("the backend creates a batch");
    let snapshot = serve(&mut backend, &on_device, &mut original, &case, 1);
    let mut other = backend.create_batch(&on_device, 0..world.shape().users).expect("the backend creates a batch");
    backend.restore(&mut other, &snapshot).expect("the backend restores");
    assert_same_bits(&case, &backend.snapshot(&other).expect("the backend returns a snapshot"), &snapshot);
    let next = serve(&mut backend, &on_device, &mut original, &case, 2);
    assert_same_bits(&case, &serve(&mut backend, &on_device, &mut other, &case, 2), &next);
    assert_ne!(next.belief, snapshot.belief, "the round must change the beliefs for the test to mean something");
}

/// Plays three rounds of each batch: `[round][batch]`.
fn rounds<B: Simulate + Inspect>(
    backend: &mut B,
    case: &WorldCase,
    users: &[Range<usize>],
) -> Vec<Vec<RoundSnapshot>> {
    let on_device = backend.load_world(&case.world(), &case.environment).expect("the backend loads a world");
    let mut batches: Vec<_> = users
        .iter()
        .map(|users| backend.create_batch(&on_device, users.clone()).expect("the backend creates a batch"))
        .collect();
    (1..=ROUNDS)
        .map(|round| batches.iter_mut().map(|batch| serve(backend, &on_device, batch, case, round)).collect())
        .collect()
}

/// Plays one round with the case's actions.
fn serve<B: Simulate + Inspect>(
    backend: &mut B,
    world: &B::World,
    batch: &mut B::Batch,
    case: &WorldCase,
    round: u32,
) -> RoundSnapshot {
    backend.observe(world, batch).expect("the backend observes");
    set_actions(backend, batch, case, round);
    backend.recommend(world, batch).expect("the backend recommends");
    backend.respond(world, batch, acceptance_key(round), None).expect("the backend responds");
    backend.snapshot(batch).expect("the backend returns a snapshot")
}

/// Sets the case's actions through a restore, as a policy would set them.
fn set_actions<B: Simulate + Inspect>(backend: &mut B, batch: &mut B::Batch, case: &WorldCase, round: u32) {
    let dimensions = case.world().shape().dimensions;
    let mut snapshot = backend.snapshot(batch).expect("the backend returns a snapshot");
    let users = &snapshot.users;
    snapshot.action = case.actions(round)[users.start * dimensions..users.end * dimensions].to_vec();
    backend.restore(batch, &snapshot).expect("the backend restores");
}

/// Asserts that the rounds of these batches, `[round][batch]`, are those of the formulas.
fn assert_matches_formulas(case: &WorldCase, actual: &[Vec<RoundSnapshot>], users: &[Range<usize>]) {
    let world = case.world();
    let (clusters, dimensions) = (world.shape().clusters, world.shape().dimensions);
    let mut beliefs = world.arrays().user_belief.to_vec();
    for (round, actual) in (1..).zip(actual) {
        let actions = case.actions(round);
        for (actual, users) in actual.iter().zip(users) {
            let index = users.start * clusters..users.end * clusters;
            let actions = &actions[users.start * dimensions..users.end * dimensions];
            let expected = expected_round::round(
                &world,
                &case.environment,
                users.clone(),
                &beliefs[index.clone()],
                actions,
                acceptance_key(round),
            );
            assert_same_bits(case, actual, &expected);
            beliefs[index].copy_from_slice(&expected.belief);
        }
    }
}

/// Asserts that two snapshots have the same bits.
fn assert_same_bits(case: &WorldCase, actual: &RoundSnapshot, expected: &RoundSnapshot) {
    if let Err(difference) = compare_exactly("respond", FilledFields::All, actual, expected) {
        panic!("world case `{}`, first: the backend, second: the formulas: {difference}", case.name);
    }
}

/// Adds the tally of every user of a snapshot.
fn add_users(mut sum: Tally, case: &WorldCase, snapshot: &RoundSnapshot) -> Tally {
    let world = case.world();
    let (clusters, slate_len) = (world.shape().clusters, case.environment.slate_len);
    for (n, user) in snapshot.users.clone().enumerate() {
        let accepted = snapshot.accepted[row(n, slate_len)].iter().filter(|&&accepted| accepted).count();
        sum += Tally::of_user(
            slate_len,
            accepted,
            &case.environment.user_model.reward,
            snapshot.reward[n],
            &DVectorView::from_slice(world.beliefs(user), clusters),
            &DVectorView::from_slice(&snapshot.belief[row(n, clusters)], clusters),
            &DVectorView::from_slice(world.target(), clusters),
        );
    }
    sum
}

fn acceptance_key(round: u32) -> Key {
    Key::new(3, Purpose::Acceptance).fold_in(1).fold_in(u64::from(round))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

const ROUNDS: u32 = 3;
