//! Where two backends' rounds differ.

use std::fmt::{self, Debug};
use std::ops::Range;

use recsim_core::backend::RoundSnapshot;

/// The first place where two backends differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The stage after which it was found.
    pub stage: &'static str,
    /// The user, by index in the world; none where what differs is no user's.
    pub user: Option<usize>,
    /// What differs, as [`RoundSnapshot`], [`Tally`](recsim_core::model::Tally), [`Losses`](recsim_core::td3::Losses)
    /// and [`AgentState`](recsim_core::td3::AgentState) call it.
    pub field: &'static str,
    /// The column in the user's row, or the index in the field; 0 for a single value.
    pub place: usize,
    /// The first backend's value.
    pub first: String,
    /// The second backend's value.
    pub second: String,
}

impl std::error::Error for Difference {}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, field, place, first, second, .. } = self;
        write!(f, "after `{stage}`, `{field}` at {place}")?;
        if let Some(user) = self.user {
            write!(f, " of user {user}")?;
        }
        write!(f, " is {first} on the first backend and {second} on the second")
    }
}

/// The tables of a round that a stage has filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Beliefs alone: nobody has acted yet.
    Beliefs,
    /// Beliefs, actions and the first so many items of each slate.
    Slates(usize),
    /// All of them.
    Everything,
}

/// Compares two snapshots bit for bit; the tables that `filled` leaves out may hold anything.
pub fn exactly(
    stage: &'static str,
    filled: Filled,
    first: &RoundSnapshot,
    second: &RoundSnapshot,
) -> Result<(), Difference> {
    if first.users != second.users {
        return Err(single(stage, "users", &first.users, &second.users));
    }
    let rows = Rows { stage, users: first.users.clone() };
    rows.same("belief", &first.belief, &second.belief, same_bits)?;
    if filled == Filled::Beliefs {
        return Ok(());
    }
    rows.same("action", &first.action, &second.action, same_bits)?;
    if let Filled::Slates(chosen) = filled {
        let items = |snapshot: &RoundSnapshot| -> Vec<u32> {
            let slates = snapshot.slate.chunks(snapshot.slate.len() / snapshot.users.len());
            slates.flat_map(|slate| &slate[..chosen]).copied().collect()
        };
        return rows.same("slate", &items(first), &items(second), |a, b| a == b);
    }
    rows.same("slate", &first.slate, &second.slate, |a, b| a == b)?;
    rows.same("accepted", &first.accepted, &second.accepted, |a, b| a == b)?;
    rows.same("belief_before", &first.belief_before, &second.belief_before, same_bits)?;
    rows.same("reward", &first.reward, &second.reward, same_bits)
}

/// Compares two snapshots' actions, component by component, to `tolerance`.
pub fn actions(
    stage: &'static str,
    tolerance: f32,
    first: &RoundSnapshot,
    second: &RoundSnapshot,
) -> Result<(), Difference> {
    let near = |a: f32, b: f32| (a - b).abs() <= tolerance;
    Rows { stage, users: first.users.clone() }.same("action", &first.action, &second.action, near)
}

/// A difference in a value that is no user's.
pub(crate) fn single(
    stage: &'static str,
    field: &'static str,
    first: &impl Debug,
    second: &impl Debug,
) -> Difference {
    let (first, second) = (format!("{first:?}"), format!("{second:?}"));
    Difference { stage, user: None, field, place: 0, first, second }
}

struct Rows {
    stage: &'static str,
    users: Range<usize>,
}

impl Rows {
    fn same<T: Copy + Debug>(
        &self,
        field: &'static str,
        first: &[T],
        second: &[T],
        same: impl Fn(T, T) -> bool,
    ) -> Result<(), Difference> {
        if first.len() != second.len() {
            return Err(single(self.stage, field, &first.len(), &second.len()));
        }
        let Some(at) = first.iter().zip(second).position(|(&a, &b)| !same(a, b)) else { return Ok(()) };
        let width = first.len() / self.users.len();
        Err(Difference {
            user: Some(self.users.start + at / width),
            place: at % width,
            ..single(self.stage, field, &first[at], &second[at])
        })
    }
}

fn same_bits(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits()
}
