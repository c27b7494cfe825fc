// Twin of core/src/model/user.rs: one user's step, in two parts. A warp shows the slate and counts what is accepted;
// then a thread updates the beliefs and computes the reward.
#pragma once
#include "accept.cuh"
#include "belief.cuh"
#include "replay.cuh"
#include "reward.cuh"
#include "rng.cuh"
#include "slate.cuh"
#include "tally.cuh"

namespace recsim {

// The rules that all users follow.
struct UserModel {
    Acceptance acceptance;
    float belief_increment;
    Reward reward;
    float reward_bound;  // maximum magnitude of a reward: the unit of the tally's rewards
};

// An item as users see it.
struct ClusterAndDistance {
    unsigned cluster;
    float distance;
};

// A world, and a batch of its users from `first` on. Matrices are row-major.
struct UserBatch {
    unsigned first;
    unsigned count;
    unsigned given;                 // items of each slate that are given; the rest is filled from the pre-trained list
    unsigned unused;                // aligns the pointers to 8 bytes
    float const* target;            // [K]
    ClusterAndDistance const* item; // [I]
    unsigned const* pretrained;     // [U, PRETRAINED_LEN]
    float const* initial;           // [U, K]
    unsigned* slate;                // [count, SLATE_LEN], the first `given` of each row given
    unsigned char* accepted;        // [count, SLATE_LEN]
    float* belief_before;           // [count, K]
    float* belief;                  // [count, K]
    float* reward;                  // [count]
    unsigned long long* tally;      // [Tally::SUMS]
    float const* action;            // [count, D]
};

// Up to this number of clusters, a thread keeps its beliefs in registers.
int constexpr MAX_REGISTER_CLUSTERS = 32;

// Shows the slate to user `n` of the batch and counts the accepted items of each cluster. All lanes of a warp call
// it.
__device__ inline void show_slate(
    UserModel const& model, UserBatch const& users, Key round, unsigned n, unsigned* counts
) {
    unsigned const lane = threadIdx.x % 32;
    unsigned const user = users.first + n;
    unsigned* slate = users.slate + static_cast<size_t>(n) * SLATE_LEN;
    unsigned const* pretrained = users.pretrained + static_cast<size_t>(user) * PRETRAINED_LEN;
    // The usual length is a compile-time constant.
    if (users.given == RL_SLOTS) {
        fill_from_pretrained(slate, RL_SLOTS, pretrained);
    } else {
        fill_from_pretrained(slate, users.given, pretrained);
    }
    Key const draws = round.fold_in(user);
    for (unsigned i = lane; i < SLATE_LEN; i += 32) {
        unsigned const item = slate[i];
        ClusterAndDistance const shown = users.item[item];
        float const belief = users.belief[static_cast<size_t>(n) * K + shown.cluster];
        bool const is_accepted =
            uniform(draws.fold_in(item)) < model.acceptance.probability(belief, shown.distance);
        users.accepted[static_cast<size_t>(n) * SLATE_LEN + i] = is_accepted;
        if (is_accepted) atomicAdd(counts + shown.cluster, 1u);
    }
}

// Updates `beliefs` of user `n`, computes the reward, stores the transition, and returns the user's tally. `before`
// has the same beliefs as `beliefs` at the start.
__device__ inline Tally update_user(
    UserModel const& model, UserBatch const& users, InsertSpan const& replay, unsigned n, unsigned const* counts,
    float const* initial, float const* before, float* beliefs
) {
    unsigned accepted = 0;
    for (int c = 0; c < K; ++c) accepted += counts[c];
    update(beliefs, counts, users.target, model.belief_increment);
    float const reward = model.reward.of(before, beliefs, users.target);
    users.reward[n] = reward;
    size_t offset;
    if (replay.has_offset(n, offset)) {
        for (int c = 0; c < K; ++c) {
            replay.belief_before[offset * K + c] = before[c];
            replay.belief[offset * K + c] = beliefs[c];
        }
        replay.user[offset] = users.first + n;
        replay.reward[offset] = reward;
    }
    return Tally::of_user(accepted, model.reward_bound, reward, initial, beliefs, users.target);
}

// The second part of user `n`'s step, with the beliefs in registers if K allows. One thread calls it.
__device__ inline Tally finish_step(
    UserModel const& model, UserBatch const& users, InsertSpan const& replay, unsigned n, unsigned const* counts
) {
    float const* initial = users.initial + static_cast<size_t>(users.first + n) * K;
    float* before = users.belief_before + static_cast<size_t>(n) * K;
    float* beliefs = users.belief + static_cast<size_t>(n) * K;
    if constexpr (K > MAX_REGISTER_CLUSTERS) {
        for (int c = 0; c < K; ++c) before[c] = beliefs[c];
        return update_user(model, users, replay, n, counts, initial, before, beliefs);
    } else {
        float old_beliefs[K], new_beliefs[K];
        for (int c = 0; c < K; ++c) before[c] = old_beliefs[c] = new_beliefs[c] = beliefs[c];
        Tally const tally = update_user(model, users, replay, n, counts, initial, old_beliefs, new_beliefs);
        for (int c = 0; c < K; ++c) beliefs[c] = new_beliefs[c];
        return tally;
    }
}

}  // namespace recsim
