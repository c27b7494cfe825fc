//! One user's step in a loop of the caller's, with the caller's generator: no session, no backend, no allocator.

use nalgebra::SVector;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
use recsim_core::model::accept::Acceptance;
use recsim_core::model::reward::{BeliefScore, Reward, RewardForm};
use recsim_core::model::user::{UserModel, step};

fn main() {
    let user_model = UserModel::<f32> {
        acceptance: Acceptance::Belief { max_cluster_distance: 5.0, sigmoid_scale: 1e4, baseline: 0.1 },
        belief_increment: 0.01,
        reward: Reward {
            kind: RewardForm::Potential,
            score: BeliefScore::Combined,
            scale: 100.0,
            max: 100.0,
            improvement_threshold: 0.01,
        },
    };
    let target = SVector::from([0.6, 0.25, 0.15]);
    let (mut beliefs, mut before, mut counts) = (SVector::zeros(), SVector::zeros(), SVector::zeros());
    let items = |item: u32| ((item % 3) as usize, item as f32 * 0.25);
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut accepted = [false; 4];
    for day in 0..5 {
        let slate = [day, day + 1, day + 5, day + 9];
        let reward = step(
            &user_model,
            &target,
            &items,
            &slate,
            &mut generator,
            &mut beliefs,
            &mut before,
            &mut counts,
            &mut accepted,
        );
        println!("day {day}: {slate:?} -> {accepted:?}, beliefs {:.3?}, reward {reward:.2}", beliefs.as_slice());
    }
}
