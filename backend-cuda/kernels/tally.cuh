// Twin of core/src/model/tally.rs and core/src/model/exact_sum.rs: the sums of a round. Integer sums do not depend on
// their order.
#pragma once
#include "reward.cuh"

namespace recsim {

struct ExactSum {
    // `value` in units of 2^-32, ties to even.
    __device__ static long long from_f64(double value) { return __double2ll_rn(value * 4294967296.0); }
};

struct Tally {
    enum Sum : int { Accepted, Improved, RewardSum, DistanceSum, EngagementSum, AlignmentSum, ScoreSum, SUMS };

    long long sums[SUMS];

    __device__ static Tally zero() { return Tally{}; }

    __device__ static Tally of_user(
        unsigned accepted, double reward_bound, float reward, float const* initial, float const* beliefs,
        float const* target
    ) {
        float const distance_now = distance(beliefs, target);
        float const engagement_now = engagement(beliefs, target), alignment_now = alignment(beliefs, target);
        Tally tally;
        tally.sums[Accepted] = accepted;
        tally.sums[Improved] = distance_now < distance(initial, target);
        tally.sums[RewardSum] = ExactSum::from_f64(static_cast<double>(reward) / reward_bound);
        tally.sums[DistanceSum] = ExactSum::from_f64(distance_now);
        tally.sums[EngagementSum] = ExactSum::from_f64(engagement_now);
        tally.sums[AlignmentSum] = ExactSum::from_f64(alignment_now);
        tally.sums[ScoreSum] = ExactSum::from_f64(engagement_now * alignment_now);
        return tally;
    }

    // Adds the tallies of a warp's lanes to `total`. All lanes call it.
    __device__ void add_to(unsigned long long* total) const {
        for (int sum = 0; sum < SUMS; ++sum) {
            long long value = sums[sum];
            for (int distance = 16; distance > 0; distance /= 2) {
                value += __shfl_xor_sync(0xffffffffu, value, distance);
            }
            if (threadIdx.x % 32 == 0) atomicAdd(total + sum, static_cast<unsigned long long>(value));
        }
    }
};

}  // namespace recsim
