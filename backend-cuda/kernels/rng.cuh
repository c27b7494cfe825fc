// Twin of core/src/model/rng: stateless random draws, each a pure function of a key.
#pragma once

namespace recsim {

// 64 well-mixed bits that name a stream of draws: a position in SplitMix64's stream.
struct Key {
    unsigned long long bits;

    // The sub-stream at `coordinate`.
    __device__ Key fold_in(unsigned long long coordinate) const {
        unsigned long long const golden = 0x9e3779b97f4a7c15ull;
        unsigned long long z = bits + coordinate * golden + golden;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return Key{z ^ (z >> 31)};
    }
};

// A uniform value in [0, 1), a multiple of 2^-24.
__device__ inline float uniform(Key key) { return static_cast<float>(key.bits >> 40) * (1.0f / (1u << 24)); }

// A uniform index below `length`.
__device__ inline unsigned long long index(Key key, unsigned long long length) {
    return __umul64hi(key.bits, length);
}

// Two independent standard normal values. Noise may differ between backends (docs/spec.md, section 5.6), so the
// device's own functions are used.
__device__ inline void normal_pair(Key key, float (&normal)[2]) {
    float const unit = 1.0f / 4294967296.0f;
    unsigned const high = static_cast<unsigned>(key.bits >> 32), low = static_cast<unsigned>(key.bits);
    float const radius = sqrtf(-2.0f * logf((static_cast<float>(high) + 1.0f) * unit));
    float sine, cosine;
    sincosf(static_cast<float>(low) * (unit * 6.2831853071795865f), &sine, &cosine);
    normal[0] = radius * cosine;
    normal[1] = radius * sine;
}

}  // namespace recsim
