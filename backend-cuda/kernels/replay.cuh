// Twin of core/src/td3/replay.rs: where transitions are inserted.
#pragma once

namespace recsim {

// The replay buffer and where a batch's transitions go: those of the first `skipped` users nowhere, the next one to
// `first`, the others behind it, wrapping around at `capacity`.
struct InsertSpan {
    unsigned long long capacity;
    unsigned long long skipped;
    unsigned long long first;
    unsigned* user;        // [capacity]
    float* belief_before;  // [capacity, K]
    float* belief;         // [capacity, K]
    float* action;         // [capacity, D]
    float* reward;         // [capacity]

    // Whether the transition of user `n` of the batch is stored. Sets `offset` to its row if so.
    __device__ bool has_offset(unsigned n, size_t& offset) const {
        if (n < skipped) return false;
        offset = first + (n - skipped);
        if (offset >= capacity) offset -= capacity;
        return true;
    }
};

}  // namespace recsim
