// Users respond to their slates: core/src/user.rs, all users of a batch at once.
#include "accept.cuh"
#include "belief.cuh"
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
    float const* target;          // [K]
    Item const* item;             // [I]
    unsigned const* pretrained;   // [U, LIST]
    float const* initial;         // [U, K]
    unsigned* slate;              // [count, SHOWN], the first CHOSEN of each row given
    unsigned char* accepted;      // [count, SHOWN]
    float* belief_before;         // [count, K]
    float* belief;                // [count, K]
    float* reward;                // [count]
    unsigned long long* tally;    // [Tally::SUMS]
};

unsigned constexpr USERS_OF_A_BLOCK = 32;
unsigned constexpr WARPS = 8;

// Shows the slate to user `n` of the batch and counts what is accepted in each cluster. A warp does it.
__device__ inline void show(Rules const& rules, Users const& users, Key round, unsigned n, unsigned* counts) {
    unsigned const lane = threadIdx.x % 32;
    unsigned const user = users.first + n;
    unsigned* slate = users.slate + static_cast<size_t>(n) * SHOWN;
    fill(slate, users.pretrained + static_cast<size_t>(user) * LIST);
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

// Moves the beliefs of user `n` by what was accepted, pays the reward, and tallies. A thread does it.
__device__ inline Tally move(Rules const& rules, Users const& users, unsigned n, unsigned const* counts) {
    float before[K], beliefs[K], initial[K], accepted[K];
    unsigned taken = 0;
    for (int c = 0; c < K; ++c) {
        before[c] = beliefs[c] = users.belief[static_cast<size_t>(n) * K + c];
        initial[c] = users.initial[static_cast<size_t>(users.first + n) * K + c];
        accepted[c] = static_cast<float>(counts[c]);
        taken += counts[c];
    }
    update(beliefs, accepted, users.target, rules.belief_increment);
    float const reward = rules.reward.of(before, beliefs, users.target);
    for (int c = 0; c < K; ++c) {
        users.belief_before[static_cast<size_t>(n) * K + c] = before[c];
        users.belief[static_cast<size_t>(n) * K + c] = beliefs[c];
    }
    users.reward[n] = reward;
    return Tally::of_user(taken, rules.reward_bound, reward, initial, beliefs, users.target);
}

}  // namespace recsim

// Blocks of 256 threads, one for every 32 users: warps show, then the first warp moves, a thread a user.
extern "C" __global__ void __launch_bounds__(256)
respond(recsim::Rules rules, recsim::Users users, recsim::Key round) {
    using namespace recsim;
    __shared__ unsigned counts[USERS_OF_A_BLOCK * K];
    for (unsigned i = threadIdx.x; i < USERS_OF_A_BLOCK * K; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    unsigned const first = blockIdx.x * USERS_OF_A_BLOCK;
    for (unsigned n = threadIdx.x / 32; n < USERS_OF_A_BLOCK && first + n < users.count; n += WARPS) {
        show(rules, users, round, first + n, counts + n * K);
    }
    __syncthreads();
    if (threadIdx.x >= USERS_OF_A_BLOCK) return;
    unsigned const n = threadIdx.x;
    Tally const tally = first + n < users.count ? move(rules, users, first + n, counts + n * K) : Tally::nobody();
    tally.add_to(users.tally);
}

HOST_KERNEL(respond)
