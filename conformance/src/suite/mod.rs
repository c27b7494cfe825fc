//! Tests that every backend must pass. Each is a function that is generic over the backend and panics if the backend
//! fails it.
//!
//! A backend's own tests call [`in_float32`] with a function that creates the backend, or [`all`] if the backend keeps
//! agents in higher precision than it exports them:
//!
//! ```
//! use recsim_core::backend::reference::Reference;
//! recsim_conformance::suite::in_float32(Reference::<f32>::default);
//! ```
//!
//! | function | checks |
//! |---|---|
//! | [`simulation()`] | users' responses, slates, item exploration, tallies, replay buffer: core's bits |
//! | [`all`] | the same, and acting, re-ranking, updates, evaluation and sessions |
//! | [`in_float32`] | the same, and that a resumed session has the bits of an uninterrupted one |

mod acting;
mod evaluation;
mod expected_round;
mod learning;
mod replay;
mod reranking;
mod session;
mod setup;
mod simulation;
mod world_cases;

pub use acting::{
    act_does_not_depend_on_earlier_rounds, action_does_not_depend_on_batch, actions_stay_within_bounds,
    exploration_noise_is_normal, exported_agent_equals_loaded_agent, saturation_is_counted_before_noise,
};
pub use evaluation::{actor_evaluation_is_reproducible, evaluation_matches_reference};
pub use learning::{
    learning_is_reproducible, learning_matches_reference, non_finite_weight_shows_in_losses,
    take_losses_resets_the_sums, update_changes_only_its_networks, update_uses_the_given_replay_buffer,
};
pub use replay::{replay_continues_after_restore, replay_keeps_the_last_transitions};
pub use reranking::{
    rerank_applies_in_training_and_evaluation, rerank_does_not_depend_on_batches, rerank_matches_reference,
    rerank_selects_the_best_candidate,
};
pub use session::{
    episode_starts_from_initial_beliefs, non_finite_agent_is_an_error, paused_round_gives_the_same_result,
    pending_copies_do_not_change, session_does_not_depend_on_batch_size, session_is_reproducible,
    session_records_requested_users, session_resumes_from_another_backend, session_resumes_from_its_state,
    stage_seconds_are_within_the_total,
};
pub use simulation::{
    batches_may_be_interleaved, item_exploration_matches_formulas, non_finite_action_yields_items_or_error,
    reset_restores_initial_beliefs, responses_do_not_depend_on_batches, restore_inverts_snapshot,
    round_matches_formulas, shown_items_come_first, tally_sums_over_users,
};

use recsim_core::backend::{Backend, Inspect, Simulate};

/// Every test, for backends that export agents without loss.
///
/// # Panics
/// If the backend fails a test.
pub fn in_float32<B: Backend>(new: impl Fn() -> B) {
    all(&new);
    session_resumes_from_its_state(&new);
}

/// The tests that do not depend on the precision in which a backend keeps agents. `new` creates a backend.
///
/// # Panics
/// If the backend fails a test.
pub fn all<B: Backend>(new: impl Fn() -> B) {
    simulation(&new);
    action_does_not_depend_on_batch(&new);
    actions_stay_within_bounds(&new);
    exploration_noise_is_normal(&new);
    saturation_is_counted_before_noise(&new);
    act_does_not_depend_on_earlier_rounds(&new);
    rerank_selects_the_best_candidate(&new);
    rerank_matches_reference(&new);
    rerank_does_not_depend_on_batches(&new);
    rerank_applies_in_training_and_evaluation(&new);
    exported_agent_equals_loaded_agent(&new);
    actor_evaluation_is_reproducible(&new);
    update_changes_only_its_networks(&new);
    take_losses_resets_the_sums(&new);
    learning_is_reproducible(&new);
    update_uses_the_given_replay_buffer(&new);
    non_finite_weight_shows_in_losses(&new);
    learning_matches_reference(&new);
    episode_starts_from_initial_beliefs(&new);
    session_records_requested_users(&new);
    session_is_reproducible(&new);
    session_does_not_depend_on_batch_size(&new);
    paused_round_gives_the_same_result(&new);
    session_resumes_from_another_backend(&new);
    pending_copies_do_not_change(&new);
    stage_seconds_are_within_the_total(&new);
    non_finite_agent_is_an_error(&new);
}

/// The tests of simulation and evaluation alone, for backends without [`Learn`](recsim_core::backend::Learn).
///
/// # Panics
/// If the backend fails a test.
pub fn simulation<B: Simulate + Inspect>(new: impl Fn() -> B) {
    round_matches_formulas(&new);
    tally_sums_over_users(&new);
    responses_do_not_depend_on_batches(&new);
    batches_may_be_interleaved(&new);
    reset_restores_initial_beliefs(&new);
    restore_inverts_snapshot(&new);
    item_exploration_matches_formulas(&new);
    shown_items_come_first(&new);
    evaluation_matches_reference(&new);
    non_finite_action_yields_items_or_error(&new);
    replay_keeps_the_last_transitions(&new);
    replay_continues_after_restore(&new);
}
