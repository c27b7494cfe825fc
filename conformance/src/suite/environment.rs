//! The users' side: given the same actions, the same bits as the formulas.

use std::ops::Range;

use nalgebra::DVectorView;
use recsim_core::backend::{BackendError, ErrorKind, Inspect, RoundSnapshot, Simulate};
use recsim_core::model::Tally;
use recsim_core::model::rng::{Key, Purpose};
use recsim_core::td3::explore::{ItemExploration, action_toward, explored_item};
use recsim_core::world::{WorldShape, row};

use super::cases::{Case, cases};
use super::plain;
use crate::compare::{Filled, exactly};

/// Slates, acceptances, beliefs and rewards of three rounds are those of `core`'s formulas, in every odd world.
pub fn a_round_is_the_formulas_to_the_bit<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let users = case.world().shape().users;
        let whole = 0..users;
        check(&case, &rounds(&mut new(), &case, std::slice::from_ref(&whole)), std::slice::from_ref(&whole));
    }
}

/// The same, however the users are split into batches.
pub fn batches_change_no_response<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let users = case.world().shape().users;
        let split = [0, users / 7, users / 2 + 1, users];
        let batches: Vec<_> = split.windows(2).map(|w| w[0]..w[1].min(users)).filter(|b| !b.is_empty()).collect();
        check(&case, &rounds(&mut new(), &case, &batches), &batches);
    }
}

/// Items that somebody else chose stand first, none to all of a slate, whatever was shown before; the list fills the rest,
/// and users respond as the formulas have it. Afterwards an action chooses as ever.
pub fn shown_items_come_first<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let WorldShape { users, dimensions, .. } = world.shape();
        let on_device = backend.load_world(&world, &case.environment).expect("the device takes a world");
        let batch = users / 3..users;
        let mut shown = backend.create_batch(&on_device, batch.clone()).expect("the device takes a batch");
        let actions = &case.actions(1)[batch.start * dimensions..];
        given(&mut backend, &mut shown, &case, 1);
        for width in case.widths() {
            let before = backend.snapshot(&shown).expect("the device shows a batch").belief;
            let chosen: Vec<Vec<u32>> = batch.clone().map(|user| case.items(user, width)).collect();
            backend.show(&on_device, &mut shown, &chosen.concat()).expect("the device shows items");
            backend.respond(&on_device, &mut shown, luck(width as u32), None).expect("users respond");
            let slates = batch.clone().zip(chosen).flat_map(|(user, mut slate)| {
                slate.resize(case.environment.slate_len, 0);
                plain::filled(slate, width, world.pretrained(user))
            });
            let slates: Vec<u32> = slates.collect();
            let due = plain::respond(
                &world,
                &case.environment,
                batch.clone(),
                &before,
                actions,
                &slates,
                luck(width as u32),
            );
            agree(&case, &backend.snapshot(&shown).expect("the device shows a batch"), &due);
        }
        backend.reset(&on_device, &mut shown).expect("the device resets");
        let after = serve(&mut backend, &on_device, &mut shown, &case, 1);
        check(&case, &[vec![after]], std::slice::from_ref(&batch));
    }
}

/// Users that explore an item are aimed at it, to the bit, whatever batches they come in; others' actions stay.
pub fn explored_items_are_aimed_at<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let mut explored = 0;
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let WorldShape { users, items, dimensions, .. } = world.shape();
        let (mut due, rows) = (case.actions(1), plain::rows(&world, &case.environment));
        let trial = ItemExploration {
            key: Key::new(3, Purpose::ExplorationItem).fold_in(1),
            probability: 0.3,
            max_action: 1.25,
        };
        for user in 0..users {
            if let Some(item) = explored_item(trial.key.fold_in(user as u64), trial.probability, items as u64) {
                action_toward(&rows[row(item as usize, dimensions)], 1.25, &mut due[row(user, dimensions)]);
                explored += 1;
            }
        }
        let on_device = backend.load_world(&world, &case.environment).expect("the device takes a world");
        for batch in [0..users / 3, users / 3..users].into_iter().filter(|batch| !batch.is_empty()) {
            let due = &due[batch.start * dimensions..batch.end * dimensions];
            let mut batch = backend.create_batch(&on_device, batch).expect("the device takes a batch");
            given(&mut backend, &mut batch, &case, 1);
            backend.explore(&on_device, &mut batch, &trial).expect("users explore");
            let found = backend.snapshot(&batch).expect("the device shows a batch").action;
            assert!(found.iter().map(|x| x.to_bits()).eq(due.iter().map(|x| x.to_bits())), "{}", case.name);
        }
    }
    assert!(explored > 0, "a trial of nobody would prove nothing");
}

/// A tally's counts and sums are its users', whatever batches they come in.
pub fn a_tally_is_the_sum_over_users<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let users = world.shape().users;
        for cut in [0, users / 2] {
            let split = [0..cut, cut..users].into_iter().filter(|batch| !batch.is_empty());
            let on_device = backend.load_world(&world, &case.environment).expect("the device takes a world");
            let (batches, served): (Vec<_>, Vec<_>) = split
                .map(|users| {
                    let mut batch = backend.create_batch(&on_device, users).expect("the device takes a batch");
                    let served = serve(&mut backend, &on_device, &mut batch, &case, 1);
                    (batch, served)
                })
                .unzip();
            let found = backend.tally(&on_device, &batches).expect("the device counts");
            // Nobody has acted, so what is said of actions means nothing.
            let found = Tally { components: 0, saturated: 0, ..found };
            let due = served.iter().fold(Tally::default(), |sum, snapshot| add(sum, &case, snapshot));
            assert_eq!(found, due, "{}", case.name);
        }
    }
}

/// After a reset the beliefs are the world's, and the same round has the same outcome.
pub fn reset_brings_the_initial_beliefs_back<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases() {
        let (world, mut backend) = (case.world(), new());
        let on_device = backend.load_world(&world, &case.environment).expect("the device takes a world");
        let mut batch = backend.create_batch(&on_device, 0..world.shape().users).expect("the device takes a batch");
        let first = serve(&mut backend, &on_device, &mut batch, &case, 1);
        serve(&mut backend, &on_device, &mut batch, &case, 2);
        backend.reset(&on_device, &mut batch).expect("the device resets");
        let reset = backend.snapshot(&batch).expect("the device shows a batch");
        assert_eq!(bits(&reset.belief), bits(world.arrays().user_belief), "{}", case.name);
        let again = serve(&mut backend, &on_device, &mut batch, &case, 1);
        agree(&case, &again, &first);
    }
}

/// Batches whose stages alternate are served as they are one after the other.
pub fn batches_may_take_turns_in_the_midst_of_a_round<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    for case in cases().into_iter().filter(|case| case.world().shape().users > 1) {
        let (world, mut backend) = (case.world(), new());
        let users = world.shape().users;
        let halves = [0..users / 2, users / 2..users];
        let due = rounds(&mut backend, &case, &halves);
        let on_device = backend.load_world(&world, &case.environment).expect("the device takes a world");
        let mut batches =
            halves.map(|users| backend.create_batch(&on_device, users).expect("the device takes a batch"));
        for (round, due) in (1..=ROUNDS).zip(&due) {
            for batch in &mut batches {
                backend.observe(&on_device, batch).expect("the device observes");
            }
            for batch in &mut batches {
                given(&mut backend, batch, &case, round);
            }
            for batch in &mut batches {
                backend.recommend(&on_device, batch).expect("the device recommends");
            }
            for (batch, due) in batches.iter_mut().zip(due) {
                backend.respond(&on_device, batch, luck(round), None).expect("users respond");
                agree(&case, &backend.snapshot(batch).expect("the device shows a batch"), due);
            }
        }
    }
}

/// An action with a component that is no finite number is an error of that kind, or chooses items that are there.
pub fn an_action_that_is_no_number_chooses_items_or_fails<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let case = cases().pop().expect("there are cases");
    let (world, mut backend) = (case.world(), new());
    let (users, items) = (world.shape().users, world.shape().items);
    let on_device = backend.load_world(&world, &case.environment).expect("the device takes a world");
    for spoilt in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut batch = backend.create_batch(&on_device, 0..users).expect("the device takes a batch");
        let mut snapshot = backend.snapshot(&batch).expect("the device shows a batch");
        snapshot.action = case.actions(1);
        snapshot.action[1] = spoilt;
        backend.restore(&mut batch, &snapshot).expect("the device restores");
        let served = backend
            .recommend(&on_device, &mut batch)
            .and_then(|()| backend.respond(&on_device, &mut batch, luck(1), None))
            .and_then(|()| backend.snapshot(&batch));
        match served {
            Ok(shown) => assert!(shown.slate.iter().all(|&item| (item as usize) < items), "{spoilt}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}"),
        }
    }
}

/// A snapshot restored is the snapshot taken, and goes on as the original does.
pub fn what_is_restored_is_there<B: Simulate + Inspect>(new: &impl Fn() -> B) {
    let case = cases().pop().expect("there are cases");
    let (world, mut backend) = (case.world(), new());
    let on_device = backend.load_world(&world, &case.environment).expect("the device takes a world");
    let mut original = backend.create_batch(&on_device, 0..world.shape().users).expect("the device takes a batch");
    let taken = serve(&mut backend, &on_device, &mut original, &case, 1);
    let mut other = backend.create_batch(&on_device, 0..world.shape().users).expect("the device takes a batch");
    backend.restore(&mut other, &taken).expect("the device restores");
    agree(&case, &backend.snapshot(&other).expect("the device shows a batch"), &taken);
    let next = serve(&mut backend, &on_device, &mut original, &case, 2);
    agree(&case, &serve(&mut backend, &on_device, &mut other, &case, 2), &next);
    assert_ne!(next.belief, taken.belief, "a round that changes nothing would prove nothing");
}

/// Three rounds of each batch: `[round][batch]`.
fn rounds<B: Simulate + Inspect>(backend: &mut B, case: &Case, users: &[Range<usize>]) -> Vec<Vec<RoundSnapshot>> {
    let on_device = backend.load_world(&case.world(), &case.environment).expect("the device takes a world");
    let mut batches: Vec<_> = users
        .iter()
        .map(|users| backend.create_batch(&on_device, users.clone()).expect("the device takes a batch"))
        .collect();
    (1..=ROUNDS)
        .map(|round| batches.iter_mut().map(|batch| serve(backend, &on_device, batch, case, round)).collect())
        .collect()
}

/// One round with the case's actions, given by a restore as a policy's would be.
fn serve<B: Simulate + Inspect>(
    backend: &mut B,
    world: &B::World,
    batch: &mut B::Batch,
    case: &Case,
    round: u32,
) -> RoundSnapshot {
    backend.observe(world, batch).expect("the device observes");
    given(backend, batch, case, round);
    backend.recommend(world, batch).expect("the device recommends");
    backend.respond(world, batch, luck(round), None).expect("users respond");
    backend.snapshot(batch).expect("the device shows a batch")
}

/// Gives a batch's users the case's actions.
fn given<B: Simulate + Inspect>(backend: &mut B, batch: &mut B::Batch, case: &Case, round: u32) {
    let dimensions = case.world().shape().dimensions;
    let mut snapshot = backend.snapshot(batch).expect("the device shows a batch");
    let users = &snapshot.users;
    snapshot.action = case.actions(round)[users.start * dimensions..users.end * dimensions].to_vec();
    backend.restore(batch, &snapshot).expect("the device restores");
}

fn check(case: &Case, found: &[Vec<RoundSnapshot>], users: &[Range<usize>]) {
    let world = case.world();
    let (clusters, dimensions) = (world.shape().clusters, world.shape().dimensions);
    let mut beliefs = world.arrays().user_belief.to_vec();
    for (round, found) in (1..).zip(found) {
        let actions = case.actions(round);
        for (found, users) in found.iter().zip(users) {
            let place = users.start * clusters..users.end * clusters;
            let actions = &actions[users.start * dimensions..users.end * dimensions];
            let due = plain::round(
                &world,
                &case.environment,
                users.clone(),
                &beliefs[place.clone()],
                actions,
                luck(round),
            );
            agree(case, found, &due);
            beliefs[place].copy_from_slice(&due.belief);
        }
    }
}

fn agree(case: &Case, found: &RoundSnapshot, due: &RoundSnapshot) {
    if let Err(difference) = exactly("respond", Filled::Everything, found, due) {
        panic!("{} (first: the backend, second: what is due): {difference}", case.name);
    }
}

fn add(mut sum: Tally, case: &Case, snapshot: &RoundSnapshot) -> Tally {
    let world = case.world();
    let (clusters, shown) = (world.shape().clusters, case.environment.slate_len);
    for (n, user) in snapshot.users.clone().enumerate() {
        let accepted = snapshot.accepted[row(n, shown)].iter().filter(|&&taken| taken).count();
        sum += Tally::of_user(
            shown,
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

fn luck(round: u32) -> Key {
    Key::new(3, Purpose::Acceptance).fold_in(1).fold_in(u64::from(round))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

const ROUNDS: u32 = 3;
