//! The facts that hold of any backend, each a function over it that panics where it does not hold.
//!
//! A backend's tests call [`in_float32`] with a way to make it, or [`all`] if it keeps its agents in numbers of more digits
//! than it hands over:
//!
//! ```
//! use recsim_core::backend::reference::Reference;
//! recsim_conformance::suite::in_float32(Reference::<f32>::default);
//! ```

mod acting;
mod cases;
mod environment;
mod evaluating;
mod learning;
mod plain;
mod refining;
mod remembering;
mod session;
mod setup;

pub use acting::{
    a_batch_does_not_remember_who_served_it, a_users_action_does_not_depend_on_the_batch,
    actions_stay_within_bounds, an_agent_comes_back_as_it_went, exploration_is_normal_noise_of_its_key,
    saturation_is_counted_before_noise,
};
pub use environment::{
    a_round_is_the_formulas_to_the_bit, a_tally_is_the_sum_over_users,
    an_action_that_is_no_number_chooses_items_or_fails, batches_change_no_response,
    batches_may_take_turns_in_the_midst_of_a_round, explored_items_are_aimed_at,
    reset_brings_the_initial_beliefs_back, shown_items_come_first, what_is_restored_is_there,
};
pub use evaluating::{an_agent_can_be_evaluated, an_evaluation_is_the_references};
pub use learning::{
    an_agent_learns_from_the_ring_it_is_given, an_update_moves_what_it_should, learning_agrees_with_the_reference,
    learning_repeats_itself_to_the_bit, losses_are_handed_over_once, what_is_no_number_shows_in_the_losses,
};
pub use refining::{
    a_deep_critic_chooses_as_the_references, an_agent_asks_its_critic, the_critic_tells_a_crowd_what_it_tells_each,
    the_first_critic_chooses_among_candidates,
};
pub use remembering::{a_ring_brought_back_goes_on, a_ring_holds_the_last_transitions_in_order};
pub use session::{
    a_round_knows_where_its_time_went, a_session_does_not_depend_on_its_batches,
    a_session_goes_on_from_another_backends_state, a_session_goes_on_from_its_state,
    a_session_keeps_what_it_is_told_to, a_session_repeats_itself, a_spoilt_agent_is_an_error,
    an_episode_begins_afresh, updates_may_be_put_off, what_is_on_its_way_stays_as_it_was,
};

use recsim_core::backend::{Backend, Inspect, Simulate};

/// Every fact of backends whose agents are handed over to the bit.
pub fn in_float32<B: Backend>(new: impl Fn() -> B) {
    all(&new);
    a_session_goes_on_from_its_state(&new);
}

/// Every fact that holds whatever agents are kept in, of fresh backends from `new`.
pub fn all<B: Backend>(new: impl Fn() -> B) {
    users(&new);
    a_users_action_does_not_depend_on_the_batch(&new);
    actions_stay_within_bounds(&new);
    exploration_is_normal_noise_of_its_key(&new);
    saturation_is_counted_before_noise(&new);
    a_batch_does_not_remember_who_served_it(&new);
    the_first_critic_chooses_among_candidates(&new);
    a_deep_critic_chooses_as_the_references(&new);
    the_critic_tells_a_crowd_what_it_tells_each(&new);
    an_agent_asks_its_critic(&new);
    an_agent_comes_back_as_it_went(&new);
    an_agent_can_be_evaluated(&new);
    an_update_moves_what_it_should(&new);
    losses_are_handed_over_once(&new);
    learning_repeats_itself_to_the_bit(&new);
    an_agent_learns_from_the_ring_it_is_given(&new);
    what_is_no_number_shows_in_the_losses(&new);
    learning_agrees_with_the_reference(&new);
    an_episode_begins_afresh(&new);
    a_session_keeps_what_it_is_told_to(&new);
    a_session_repeats_itself(&new);
    a_session_does_not_depend_on_its_batches(&new);
    updates_may_be_put_off(&new);
    a_session_goes_on_from_another_backends_state(&new);
    what_is_on_its_way_stays_as_it_was(&new);
    a_round_knows_where_its_time_went(&new);
    a_spoilt_agent_is_an_error(&new);
}

/// The facts of the users' side alone.
pub fn users<B: Simulate + Inspect>(new: impl Fn() -> B) {
    a_round_is_the_formulas_to_the_bit(&new);
    a_tally_is_the_sum_over_users(&new);
    batches_change_no_response(&new);
    batches_may_take_turns_in_the_midst_of_a_round(&new);
    reset_brings_the_initial_beliefs_back(&new);
    what_is_restored_is_there(&new);
    explored_items_are_aimed_at(&new);
    shown_items_come_first(&new);
    an_evaluation_is_the_references(&new);
    an_action_that_is_no_number_chooses_items_or_fails(&new);
    a_ring_holds_the_last_transitions_in_order(&new);
    a_ring_brought_back_goes_on(&new);
}
