// Twin of core/src/model/slate.rs: scores, and filling slates from the pre-trained list.
#pragma once

namespace recsim {

unsigned constexpr ALL_LANES = 0xffffffffu;

// The reference score of an item for an action: fused multiply-adds in the order of dimensions.
__device__ inline float score(float const* action, float const* row) {
    float sum = 0.0f;
    for (unsigned d = 0; d < D; ++d) sum = __fmaf_rn(action[d], row[d], sum);
    return sum;
}

// A score and its item as one sortable integer: higher scores are greater, and of equal scores the lower item.
__device__ inline unsigned long long rank_of(float score, unsigned item) {
    unsigned const bits = __float_as_uint(score + 0.0f);  // turns -0 into 0: the two are equal
    unsigned const ordered = bits >> 31 ? ~bits : bits | 0x80000000u;
    return static_cast<unsigned long long>(ordered) << 32 | static_cast<unsigned>(~item);
}

__device__ inline unsigned item_of(unsigned long long rank) { return ~static_cast<unsigned>(rank); }

// Fills `slate` after its first `given` items with the items of `pretrained`, in their order, without those among the
// first `given`. All lanes of a warp call it, and see the whole slate afterwards.
__device__ inline void fill_from_pretrained(unsigned* slate, unsigned given, unsigned const* pretrained) {
    unsigned const lane = threadIdx.x % 32;
    unsigned filled = given;
    for (unsigned first = 0; first < PRETRAINED_LEN && filled < SLATE_LEN; first += 32) {
        bool is_new = first + lane < PRETRAINED_LEN;
        unsigned const item = is_new ? pretrained[first + lane] : 0u;
        for (unsigned i = 0; i < given; ++i) is_new = is_new && item != slate[i];
        unsigned const new_lanes = __ballot_sync(ALL_LANES, is_new);
        unsigned const offset = filled + __popc(new_lanes & ((1u << lane) - 1u));
        if (is_new && offset < SLATE_LEN) slate[offset] = item;
        filled += __popc(new_lanes);
    }
    __syncwarp();
}

}  // namespace recsim
