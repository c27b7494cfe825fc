// core/src/slate.rs: scores, and the merge with the pre-trained list. A warp does one user's.
#pragma once

namespace recsim {

unsigned constexpr ALL_LANES = 0xffffffffu;

// The score of an item for an action, in the one order that decides.
__device__ inline float score(float const* action, float const* row) {
    float sum = 0.0f;
    for (unsigned d = 0; d < D; ++d) sum = __fmaf_rn(action[d], row[d], sum);
    return sum;
}

// The order of a score and its item in a list, as one number: the greater stands first; of equal scores the lower index.
__device__ inline unsigned long long rank_of(float score, unsigned item) {
    unsigned const bits = __float_as_uint(score + 0.0f);  // -0 becomes 0: the two are equal
    unsigned const ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
    return static_cast<unsigned long long>(ordered) << 32 | static_cast<unsigned>(~item);
}

__device__ inline unsigned item_of(unsigned long long rank) { return ~static_cast<unsigned>(rank); }

// Fills `slate` behind its first `chosen` places with the user's `list`, in its order, skipping items already there.
// All lanes of a warp call it, and see the whole slate afterwards.
__device__ inline void fill(unsigned* slate, unsigned chosen, unsigned const* list) {
    unsigned const lane = threadIdx.x % 32;
    unsigned filled = chosen;
    for (unsigned first = 0; first < LIST && filled < SHOWN; first += 32) {
        bool fresh = first + lane < LIST;
        unsigned const item = fresh ? list[first + lane] : 0u;
        for (unsigned i = 0; i < chosen; ++i) fresh = fresh && item != slate[i];
        unsigned const entering = __ballot_sync(ALL_LANES, fresh);
        unsigned const place = filled + __popc(entering & ((1u << lane) - 1u));
        if (fresh && place < SHOWN) slate[place] = item;
        filled += __popc(entering);
    }
    __syncwarp();
}

}  // namespace recsim
