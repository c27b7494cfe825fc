// core/src/metrics/tally.rs and fixed.rs: what a round came to. Integers add up to the same sum in any order.
#pragma once
#include "reward.cuh"

namespace recsim {

// To the nearest multiple of 2^-32, halves to even.
__device__ inline long long fixed(double number) { return __double2ll_rn(number * 4294967296.0); }

struct Tally {
    enum Sum : int { Accepted, Improved, RewardSum, DistanceSum, EngagementSum, AlignmentSum, ScoreSum, SUMS };

    long long sums[SUMS];

    __device__ static Tally nobody() { return Tally{}; }

    __device__ static Tally of_user(
        unsigned accepted, double reward_bound, float reward, float const* initial, float const* beliefs,
        float const* target
    ) {
        float const far = distance(beliefs, target);
        float const engaged = engagement(beliefs, target), aligned = alignment(beliefs, target);
        Tally tally;
        tally.sums[Accepted] = accepted;
        tally.sums[Improved] = far < distance(initial, target);
        tally.sums[RewardSum] = fixed(static_cast<double>(reward) / reward_bound);
        tally.sums[DistanceSum] = fixed(far);
        tally.sums[EngagementSum] = fixed(engaged);
        tally.sums[AlignmentSum] = fixed(aligned);
        tally.sums[ScoreSum] = fixed(engaged * aligned);
        return tally;
    }

    // Adds the tallies of a warp's lanes, all of which call it, to `total`.
    __device__ void add_to(unsigned long long* total) const {
        for (int sum = 0; sum < SUMS; ++sum) {
            long long part = sums[sum];
            for (int distance = 16; distance > 0; distance /= 2) {
                part += __shfl_xor_sync(0xffffffffu, part, distance);
            }
            if (threadIdx.x % 32 == 0) atomicAdd(total + sum, static_cast<unsigned long long>(part));
        }
    }
};

}  // namespace recsim
