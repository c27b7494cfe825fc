// The items with the best scores, for all users of a batch: core/src/slate.rs's `score` and `Best`.
//
// `scan` computes every score in the defined order, one fused multiplication and addition for each dimension after the
// other: a tile of users against a tile of items at a time, as matrix products do. A score that is not below the last
// of its user's list is queued, and one thread a user enters the queue into the list. The catalogue may be parted among
// blocks, so that few users too keep a device busy; `merge` makes one list of a user's lists.
#include "slate.cuh"

namespace recsim {

// Users and items of a tile, and the square that one of 16 x 16 threads has of it.
unsigned constexpr TILE = 128;
unsigned constexpr EACH = 8;
unsigned constexpr ROW = TILE / EACH;
unsigned constexpr THREADS = ROW * ROW;
// Dimensions that lie in shared memory at a time.
unsigned constexpr DEPTH = 16;
// Columns of padding, so that rows begin in different banks.
unsigned constexpr PAD = 4;
// Scores that a user's queue holds. What finds it full waits for the next turn.
unsigned constexpr QUEUE = 16;

using Rank = unsigned long long;

struct Shared {
    float action[DEPTH][TILE + PAD];
    float item[DEPTH][TILE + PAD];
    float bar[TILE];
    unsigned queued[TILE];
    Rank queue[TILE][QUEUE + 1];
};

// Loads dimensions `depth`.. of rows `first`.. of a table of `rows` rows, transposed; what is not there is 0.
__device__ inline void load(float (&to)[DEPTH][TILE + PAD], float const* from, unsigned first, unsigned rows, unsigned depth) {
    for (unsigned i = threadIdx.x; i < TILE * DEPTH; i += THREADS) {
        unsigned const row = i / DEPTH, column = i % DEPTH;
        bool const there = first + row < rows && depth + column < D;
        to[column][row] = there ? from[static_cast<size_t>(first + row) * D + depth + column] : 0.0f;
    }
}

// The scores of the thread's users for its items.
__device__ inline void score_tile(
    Shared& shared, float (&score)[EACH][EACH], float const* action, unsigned first_user, unsigned users,
    float const* item, unsigned first_item, unsigned items
) {
    unsigned const user = threadIdx.x / ROW * EACH, place = threadIdx.x % ROW;
    for (unsigned u = 0; u < EACH; ++u) {
        for (unsigned i = 0; i < EACH; ++i) score[u][i] = 0.0f;
    }
    for (unsigned depth = 0; depth < D; depth += DEPTH) {
        __syncthreads();
        load(shared.action, action, first_user, users, depth);
        load(shared.item, item, first_item, items, depth);
        __syncthreads();
        // A dimension beyond D adds 0 * 0: it can change no more than the sign of a 0, which no order depends on.
        for (unsigned d = 0; d < DEPTH; ++d) {
            float a[EACH], x[EACH];
            for (unsigned u = 0; u < EACH; ++u) a[u] = shared.action[d][user + u];
            for (unsigned i = 0; i < EACH; ++i) x[i] = shared.item[d][place + i * ROW];
            for (unsigned u = 0; u < EACH; ++u) {
                for (unsigned i = 0; i < EACH; ++i) score[u][i] = __fmaf_rn(a[u], x[i], score[u][i]);
            }
        }
    }
}

// The bar while there is room: minus infinity.
__device__ inline float open() { return __uint_as_float(0xff800000u); }

// Enters a rank into a list that is sorted, the greatest first; 0 stands for an empty place.
__device__ inline void enter(Rank* list, Rank rank) {
    if (rank <= list[CHOSEN - 1]) return;
    unsigned place = CHOSEN - 1;
    for (; place > 0 && list[place - 1] < rank; --place) list[place] = list[place - 1];
    list[place] = rank;
}

// The score of a list's last rank; below every number while there is room.
__device__ inline float bar_of(Rank last) {
    if (last == 0) return open();
    unsigned const ordered = static_cast<unsigned>(last >> 32);
    return __uint_as_float(ordered >> 31 ? ordered & 0x7fffffffu : ~ordered);
}

// Enters the thread's scores into the lists of their users.
__device__ inline void keep(
    Shared& shared, float const (&score)[EACH][EACH], Rank* lists, unsigned users_here, unsigned first_item, unsigned items
) {
    unsigned const user = threadIdx.x / ROW * EACH, place = threadIdx.x % ROW;
    unsigned long long pending = 0;
    for (unsigned u = 0; u < EACH; ++u) {
        float best = score[u][0];
        for (unsigned i = 1; i < EACH; ++i) best = fmaxf(best, score[u][i]);
        if (best >= shared.bar[user + u] && user + u < users_here) pending |= 0xffull << (u * EACH);
    }
    bool again = pending != 0;
    while (__syncthreads_or(again)) {
        again = false;
        for (unsigned u = 0; u < EACH; ++u) {
            for (unsigned i = 0; i < EACH; ++i) {
                unsigned long long const bit = 1ull << (u * EACH + i);
                unsigned const item = first_item + place + i * ROW;
                if (!(pending & bit)) continue;
                if (item < items && score[u][i] >= shared.bar[user + u]) {
                    unsigned const slot = atomicAdd(&shared.queued[user + u], 1u);
                    if (slot >= QUEUE) {
                        again = true;
                        continue;
                    }
                    shared.queue[user + u][slot] = rank_of(score[u][i], item);
                }
                pending &= ~bit;
            }
        }
        __syncthreads();
        if (threadIdx.x < users_here) {
            Rank* const list = lists + static_cast<size_t>(threadIdx.x) * CHOSEN;
            unsigned const count = shared.queued[threadIdx.x] < QUEUE ? shared.queued[threadIdx.x] : QUEUE;
            for (unsigned i = 0; i < count; ++i) enter(list, shared.queue[threadIdx.x][i]);
            shared.queued[threadIdx.x] = 0;
            shared.bar[threadIdx.x] = bar_of(list[CHOSEN - 1]);
        }
        // The next turn's first barrier lets everybody see the lists' new bars.
    }
}

}  // namespace recsim

// Blocks of 256 threads: for every 128 users, `parts` blocks with a part of the catalogue's tiles each. `stride` has no
// divisor in common with the number of tiles: neighbours in a sorted catalogue are visited far apart.
extern "C" __global__ void __launch_bounds__(recsim::THREADS)
scan(
    float const* action, unsigned users, float const* item, unsigned items, unsigned parts, unsigned stride,
    unsigned long long* lists
) {
    using namespace recsim;
    __shared__ Shared shared;
    unsigned const part = blockIdx.x % parts, first_user = blockIdx.x / parts * TILE;
    unsigned const users_here = users - first_user < TILE ? users - first_user : TILE;
    lists += (static_cast<size_t>(part) * users + first_user) * CHOSEN;
    for (unsigned i = threadIdx.x; i < users_here * CHOSEN; i += THREADS) lists[i] = 0;
    if (threadIdx.x < TILE) {
        shared.bar[threadIdx.x] = open();
        shared.queued[threadIdx.x] = 0;
    }
    unsigned const tiles = (items + TILE - 1) / TILE;
    for (unsigned turn = part; turn < tiles; turn += parts) {
        unsigned const first_item = static_cast<unsigned>(static_cast<unsigned long long>(turn) * stride % tiles) * TILE;
        float score[EACH][EACH];
        score_tile(shared, score, action, first_user, users, item, first_item, items);
        keep(shared, score, lists, users_here, first_item, items);
    }
}

// A thread a user: the best of `parts` lists, into the first places of the slates.
extern "C" __global__ void __launch_bounds__(256)
merge(unsigned users, unsigned parts, unsigned long long* lists, unsigned* slate) {
    using namespace recsim;
    unsigned const user = blockIdx.x * blockDim.x + threadIdx.x;
    if (user >= users) return;
    Rank* const list = lists + static_cast<size_t>(user) * CHOSEN;
    for (unsigned part = 1; part < parts; ++part) {
        Rank const* const other = list + static_cast<size_t>(part) * users * CHOSEN;
        for (unsigned i = 0; i < CHOSEN && other[i] > list[CHOSEN - 1]; ++i) enter(list, other[i]);
    }
    for (unsigned i = 0; i < CHOSEN; ++i) slate[static_cast<size_t>(user) * SHOWN + i] = item_of(list[i]);
}

HOST_KERNEL(scan)
HOST_KERNEL(merge)
