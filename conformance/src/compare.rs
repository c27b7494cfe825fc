//! Comparison of two backends' rounds.

use std::fmt::{self, Debug};
use std::ops::Range;

use recsim_core::backend::RoundSnapshot;

/// The first value in which two backends differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The stage after which the values differ, such as `respond`.
    pub stage: &'static str,
    /// The user, by index in the world; `None` for a value that belongs to no user.
    pub user: Option<usize>,
    /// The name of the field in [`RoundSnapshot`], [`Tally`](recsim_core::model::Tally),
    /// [`Losses`](recsim_core::td3::Losses) or [`AgentState`](recsim_core::td3::AgentState).
    pub field: &'static str,
    /// The index in the user's row, or in the whole field if `user` is `None`; 0 for a single value.
    pub index: usize,
    /// The first backend's value.
    pub first: String,
    /// The second backend's value.
    pub second: String,
}

impl std::error::Error for Difference {}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, field, index, first, second, .. } = self;
        write!(f, "after `{stage}`, `{field}` at index {index}")?;
        if let Some(user) = self.user {
            write!(f, " of user {user}")?;
        }
        write!(f, " is {first} on the first backend and {second} on the second")
    }
}

/// The fields of a [`RoundSnapshot`] that a stage has filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilledFields {
    /// Beliefs alone: there is no action yet.
    Beliefs,
    /// Beliefs, actions and this many items from the start of each slate.
    Slates(usize),
    /// All fields.
    All,
}

/// Compares the `filled` fields of two snapshots bit for bit; the other fields are ignored.
///
/// # Errors
/// The first difference, in the order users, beliefs, actions, slates, acceptances, earlier beliefs, rewards.
pub fn compare_exactly(
    stage: &'static str,
    filled: FilledFields,
    first: &RoundSnapshot,
    second: &RoundSnapshot,
) -> Result<(), Difference> {
    if first.users != second.users {
        return Err(value_difference(stage, "users", &first.users, &second.users));
    }
    let rows = UserRows { stage, users: first.users.clone() };
    rows.compare("belief", &first.belief, &second.belief, has_same_bits)?;
    if filled == FilledFields::Beliefs {
        return Ok(());
    }
    rows.compare("action", &first.action, &second.action, has_same_bits)?;
    if let FilledFields::Slates(len) = filled {
        let items = |snapshot: &RoundSnapshot| -> Vec<u32> {
            let slates = snapshot.slate.chunks(snapshot.slate.len() / snapshot.users.len());
            slates.flat_map(|slate| &slate[..len]).copied().collect()
        };
        return rows.compare("slate", &items(first), &items(second), |a, b| a == b);
    }
    rows.compare("slate", &first.slate, &second.slate, |a, b| a == b)?;
    rows.compare("accepted", &first.accepted, &second.accepted, |a, b| a == b)?;
    rows.compare("belief_before", &first.belief_before, &second.belief_before, has_same_bits)?;
    rows.compare("reward", &first.reward, &second.reward, has_same_bits)
}

/// Compares the actions of two snapshots. Components may differ by at most `tolerance`.
///
/// # Errors
/// The first difference that is larger.
pub fn compare_actions(
    stage: &'static str,
    tolerance: f32,
    first: &RoundSnapshot,
    second: &RoundSnapshot,
) -> Result<(), Difference> {
    let is_close = |a: f32, b: f32| (a - b).abs() <= tolerance;
    UserRows { stage, users: first.users.clone() }.compare("action", &first.action, &second.action, is_close)
}

/// A difference in a value that belongs to no user.
pub(crate) fn value_difference(
    stage: &'static str,
    field: &'static str,
    first: &impl Debug,
    second: &impl Debug,
) -> Difference {
    let (first, second) = (format!("{first:?}"), format!("{second:?}"));
    Difference { stage, user: None, field, index: 0, first, second }
}

/// Compares arrays with one row per user.
struct UserRows {
    stage: &'static str,
    users: Range<usize>,
}

impl UserRows {
    /// Compares two `[users, width]` arrays with `is_same`.
    ///
    /// # Errors
    /// The first difference.
    fn compare<T: Copy + Debug>(
        &self,
        field: &'static str,
        first: &[T],
        second: &[T],
        is_same: impl Fn(T, T) -> bool,
    ) -> Result<(), Difference> {
        if first.len() != second.len() {
            return Err(value_difference(self.stage, field, &first.len(), &second.len()));
        }
        let Some(position) = first.iter().zip(second).position(|(&a, &b)| !is_same(a, b)) else { return Ok(()) };
        let width = first.len() / self.users.len();
        Err(Difference {
            user: Some(self.users.start + position / width),
            index: position % width,
            ..value_difference(self.stage, field, &first[position], &second[position])
        })
    }
}

fn has_same_bits(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits()
}
