// core/src/user.rs: one user's step, in two: a warp shows the slate, and then a thread settles what was accepted.
#pragma once
#include "accept.cuh"
#include "belief.cuh"
#include "replay.cuh"
#include "reward.cuh"
#include "rng.cuh"
#include "slate.cuh"
#include "tally.cuh"

namespace recsim {

// The rules every user lives by.
struct Rules {
    Acceptance acceptance;
    float belief_increment;
    Reward reward;
    // What no reward's magnitude exceeds: the tally's unit.
    float reward_bound;
};

// What a user needs to know of an item.
struct Item {
    unsigned cluster;
    float distance;
};

// A world, and a batch of its users from `first` on; tables are row-major.
struct Users {
    unsigned first;
    unsigned count;
    unsigned given;               // items of each slate that are there; the rest is filled in
    unsigned unused;              // the tables begin at a multiple of 8
    float const* target;          // [K]
    Item const* item;             // [I]
    unsigned const* pretrained;   // [U, LIST]
    float const* initial;         // [U, K]
    unsigned* slate;              // [count, SHOWN], the first `given` of each row given
    unsigned char* accepted;      // [count, SHOWN]
    float* belief_before;         // [count, K]
    float* belief;                // [count, K]
    float* reward;                // [count]
    unsigned long long* tally;    // [Tally::SUMS]
    float const* action;          // [count, D]
};

// Clusters for which a thread has its beliefs in registers.
int constexpr FEW = 32;

// Shows the slate to user `n` of the batch and counts what is accepted in each cluster. A warp does it.
__device__ inline void show(Rules const& rules, Users const& users, Key round, unsigned n, unsigned* counts) {
    unsigned const lane = threadIdx.x % 32;
    unsigned const user = users.first + n;
    unsigned* slate = users.slate + static_cast<size_t>(n) * SHOWN;
    unsigned const* list = users.pretrained + static_cast<size_t>(user) * LIST;
    // The number that nearly always is given, the compiler knows.
    if (users.given == CHOSEN) {
        fill(slate, CHOSEN, list);
    } else {
        fill(slate, users.given, list);
    }
    Key const luck = round.with(user);
    for (unsigned i = lane; i < SHOWN; i += 32) {
        unsigned const item = slate[i];
        Item const shown = users.item[item];
        float const belief = users.belief[static_cast<size_t>(n) * K + shown.cluster];
        bool const taken = uniform(luck.with(item)) < rules.acceptance.probability(belief, shown.distance);
        users.accepted[static_cast<size_t>(n) * SHOWN + i] = taken;
        if (taken) atomicAdd(counts + shown.cluster, 1u);
    }
}

// Moves the beliefs of user `n`, given as they were and as they are to be moved, by what was accepted; pays the reward,
// remembers, and tallies.
__device__ inline Tally settle(
    Rules const& rules, Users const& users, Span const& replay, unsigned n, unsigned const* counts,
    float const* initial, float const* before, float* beliefs
) {
    unsigned taken = 0;
    for (int c = 0; c < K; ++c) taken += counts[c];
    update(beliefs, counts, users.target, rules.belief_increment);
    float const reward = rules.reward.of(before, beliefs, users.target);
    users.reward[n] = reward;
    size_t place;
    if (replay.finds(n, place)) {
        for (int c = 0; c < K; ++c) {
            replay.belief_before[place * K + c] = before[c];
            replay.belief[place * K + c] = beliefs[c];
        }
        replay.user[place] = users.first + n;
        replay.reward[place] = reward;
    }
    return Tally::of_user(taken, rules.reward_bound, reward, initial, beliefs, users.target);
}

// The same with the beliefs where they lie, or, if they are few, in registers. A thread does it.
__device__ inline Tally move(
    Rules const& rules, Users const& users, Span const& replay, unsigned n, unsigned const* counts
) {
    float const* initial = users.initial + static_cast<size_t>(users.first + n) * K;
    float* before = users.belief_before + static_cast<size_t>(n) * K;
    float* beliefs = users.belief + static_cast<size_t>(n) * K;
    if constexpr (K > FEW) {
        for (int c = 0; c < K; ++c) before[c] = beliefs[c];
        return settle(rules, users, replay, n, counts, initial, before, beliefs);
    } else {
        float was[K], is[K];
        for (int c = 0; c < K; ++c) before[c] = was[c] = is[c] = beliefs[c];
        Tally const tally = settle(rules, users, replay, n, counts, initial, was, is);
        for (int c = 0; c < K; ++c) beliefs[c] = is[c];
        return tally;
    }
}

}  // namespace recsim
