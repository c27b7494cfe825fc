// core/src/replay.rs: where transitions go.
#pragma once

namespace recsim {

// Where a batch's transitions go: those of the first `skipped` users nowhere, the next to `first`, and so on
// around the ring.
struct Span {
    unsigned long long capacity;
    unsigned long long skipped;
    unsigned long long first;
    unsigned* user;          // [capacity]
    float* belief_before;    // [capacity, K]
    float* belief;           // [capacity, K]
    float* action;           // [capacity, D]
    float* reward;           // [capacity]

    // The place of user `n` of the batch, if it has one.
    __device__ bool finds(unsigned n, size_t& place) const {
        if (n < skipped) return false;
        place = first + (n - skipped);
        if (place >= capacity) place -= capacity;
        return true;
    }
};

}  // namespace recsim
