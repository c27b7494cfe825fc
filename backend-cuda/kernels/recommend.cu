// The items with the best scores for all users of a batch, by the score and order of core/src/model/slate.rs
// (`score`, `TopK`).
//
// `search_top_k` finds candidates and decides among them. Tensor cores multiply actions and items in fp16, a tile of
// users by a tile of items at a time. An item is queued if its fp16 score is not below the last score of the user's
// list by more than the error bound (core/src/world/error_bound.rs). Queued items receive their reference score, and
// one thread for each user inserts them into the user's list. So every item that belongs into a list is inserted, by
// its reference score, and the matrix of all scores is never stored.
//
// The catalogue can be split among blocks, so that a device is busy with few users too; `merge_top_k` merges the
// lists.
#include "error_bound.cuh"
#include "slate.cuh"
#include "tensor.cuh"

namespace recsim {

// Users and items of a tile, and dimensions of the fp16 chunks in shared memory.
unsigned constexpr TILE_USERS = 128;
unsigned constexpr TILE_ITEMS = 128;
unsigned constexpr CHUNK_DIMENSIONS = 64;
unsigned constexpr CHUNKS = (D + CHUNK_DIMENSIONS - 1) / CHUNK_DIMENSIONS;
// 32-bit words in a row of a chunk: two fp16 values each.
unsigned constexpr WORDS = CHUNK_DIMENSIONS / 2;
unsigned constexpr THREADS = 256;
// A warp's part of a tile: 2 x 8 products of 16 x 8.
unsigned constexpr WARP_ROWS = 32;
unsigned constexpr WARP_COLUMNS = 64;
// Items in a user's queue. Items that find it full wait until it is emptied.
unsigned constexpr QUEUE_LEN = 8;

using Rank = unsigned long long;

struct alignas(16) FourWords {
    unsigned word[4];
};

struct Shared {
    // Groups of four words are permuted within a row (`swizzled`), so that neither rows nor columns cause bank
    // conflicts.
    alignas(16) unsigned action[TILE_USERS][WORDS];
    alignas(16) unsigned item[TILE_ITEMS][WORDS];
    // First an item's index, then its rank.
    Rank queue[TILE_USERS][QUEUE_LEN];
    // The occupied queue slots: user * QUEUE_LEN + slot.
    unsigned short occupied[TILE_USERS * QUEUE_LEN];
    unsigned num_occupied;
    unsigned num_queued[TILE_USERS];
    // Items with an fp16 score below this cannot enter the user's list.
    float threshold[TILE_USERS];
    short exponent[TILE_USERS];
};

// The items that are searched.
struct ItemMatrix {
    float const* rows;           // [num_items, D]
    FourWords const* fp16_rows;  // [num_items rounded up to whole tiles, CHUNKS * WORDS / 4], scaled by 2^exponent
    unsigned num_items;
    int exponent;
    double max_norm;  // of a scaled row
};

// The search of one of a block's users; thread `n` has user `n`'s.
struct Query {
    int exponents;
    double error_bound;
    Rank* list;
};

__device__ inline unsigned swizzled(unsigned row, unsigned word) { return word ^ (row % 8 * 4); }

// x * 2^n in two steps: 2^n may be outside the range of a float.
__device__ inline float scaled(float x, int n) {
    int const first = n / 2;
    return x * __uint_as_float(static_cast<unsigned>(127 + first) << 23)
        * __uint_as_float(static_cast<unsigned>(127 + n - first) << 23);
}

// Two scaled elements of a row as fp16; 0 for elements that do not exist.
__device__ inline unsigned fp16_pair(float const* row, bool exists, unsigned dimension, int exponent) {
    float const low = exists && dimension < D ? scaled(row[dimension], exponent) : 0.0f;
    float const high = exists && dimension + 1 < D ? scaled(row[dimension + 1], exponent) : 0.0f;
    return fp16_bits(low) | fp16_bits(high) << 16;
}

// Minus infinity: the threshold of a list that is not full.
__device__ inline float open_threshold() { return __uint_as_float(0xff800000u); }

// The score of a rank.
__device__ inline float score_of(Rank rank) {
    unsigned const ordered = static_cast<unsigned>(rank >> 32);
    return __uint_as_float(ordered >> 31 ? ordered & 0x7fffffffu : ~ordered);
}

// The fp16 score below which no item can enter a list with this last rank; rank 0 is an empty slot.
__device__ inline float threshold_of(Query const& query, Rank last) {
    if (last == 0) return open_threshold();
    return __double2float_rd(score_of(last) * power_of_two(query.exponents) - query.error_bound);
}

// Inserts a rank into a list that is sorted in descending order.
__device__ inline void insert(Rank* list, Rank rank) {
    if (rank <= list[RL_SLOTS - 1]) return;
    unsigned slot = RL_SLOTS - 1;
    for (; slot > 0 && list[slot - 1] < rank; --slot) list[slot] = list[slot - 1];
    list[slot] = rank;
}

// Determines the exponent of the thread's user and the error bound, and clears the list.
__device__ inline Query begin_query(Shared& shared, ItemMatrix const& items, float const* action, Rank* list) {
    float max_abs = 0.0f;
    for (unsigned d = 0; d < D; ++d) max_abs = fmaxf(max_abs, fabsf(action[d]));
    int const exponent = scale_exponent(max_abs);
    double square = 0.0;
    for (unsigned d = 0; d < D; ++d) {
        double const x = action[d] * power_of_two(exponent);
        square += x * x;
    }
    shared.exponent[threadIdx.x] = static_cast<short>(exponent);
    Query query;
    query.exponents = exponent + items.exponent;
    query.error_bound = fp16_error_bound(sqrt(square), items.max_norm, query.exponents);
    query.list = list;
    for (unsigned i = 0; i < RL_SLOTS; ++i) list[i] = 0;
    return query;
}

// Stores a chunk of the users' actions in shared memory.
__device__ inline void load_actions(Shared& shared, float const* action, unsigned num_users, unsigned chunk) {
    for (unsigned i = threadIdx.x; i < TILE_USERS * WORDS; i += THREADS) {
        unsigned const user = i / WORDS, word = i % WORDS;
        bool const exists = user < num_users;
        int const exponent = exists ? shared.exponent[user] : 0;
        float const* const row = action + static_cast<size_t>(user) * D;
        shared.action[user][swizzled(user, word)] =
            fp16_pair(row, exists, chunk * CHUNK_DIMENSIONS + 2 * word, exponent);
    }
}

// A thread's part of a chunk of a tile of items.
unsigned constexpr FOURS = TILE_ITEMS * WORDS / 4 / THREADS;

__device__ inline void load_items(FourWords (&fours)[FOURS], ItemMatrix const& items, unsigned tile, unsigned chunk) {
    for (unsigned n = 0; n < FOURS; ++n) {
        unsigned const i = threadIdx.x + n * THREADS, row = i / (WORDS / 4), four = i % (WORDS / 4);
        size_t const item = static_cast<size_t>(tile) * TILE_ITEMS + row;
        fours[n] = items.fp16_rows[item * (CHUNKS * WORDS / 4) + chunk * (WORDS / 4) + four];
    }
}

__device__ inline void store_items(Shared& shared, FourWords const (&fours)[FOURS]) {
    for (unsigned n = 0; n < FOURS; ++n) {
        unsigned const i = threadIdx.x + n * THREADS, row = i / (WORDS / 4), four = i % (WORDS / 4);
        *reinterpret_cast<FourWords*>(&shared.item[row][swizzled(row, 4 * four)]) = fours[n];
    }
}

// Adds the products of a chunk to the warp's part of the tile.
__device__ inline void multiply_chunk(Shared const& shared, float (&scores)[2][8][4]) {
    unsigned const warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    unsigned const first_row = warp / 2 * WARP_ROWS, first_column = warp % 2 * WARP_COLUMNS;
    for (unsigned k = 0; k < WORDS; k += 8) {
        unsigned a[2][4];
        for (unsigned m = 0; m < 2; ++m) {
            for (unsigned part = 0; part < 4; ++part) {
                unsigned const row = first_row + m * 16 + part % 2 * 8 + g;
                a[m][part] = shared.action[row][swizzled(row, k + part / 2 * 4 + t)];
            }
        }
        for (unsigned n = 0; n < 8; ++n) {
            unsigned const row = first_column + n * 8 + g;
            unsigned const b[2] = {shared.item[row][swizzled(row, k + t)], shared.item[row][swizzled(row, k + 4 + t)]};
            for (unsigned m = 0; m < 2; ++m) multiply_add(scores[m][n], a[m], b);
        }
    }
}

// The user and the item within the tile of bit `bit` of a thread's scores: 16 bits for each user.
__device__ inline unsigned user_of(unsigned bit) {
    return threadIdx.x / 64 * WARP_ROWS + bit / 32 * 16 + bit / 16 % 2 * 8 + threadIdx.x % 32 / 4;
}
__device__ inline unsigned column_of(unsigned bit) {
    return threadIdx.x / 32 % 2 * WARP_COLUMNS + bit % 16 / 2 * 8 + threadIdx.x % 4 * 2 + bit % 2;
}

// The bits of the thread's fp16 scores that reach their users' thresholds.
__device__ inline unsigned long long
candidates(Shared const& shared, float const (&scores)[2][8][4], unsigned num_users) {
    unsigned long long bits = 0;
    for (unsigned u = 0; u < 4; ++u) {
        unsigned const user = user_of(16 * u);
        float const threshold = shared.threshold[user];
        float best = scores[u / 2][0][u % 2 * 2];
        for (unsigned i = 1; i < 16; ++i) best = fmaxf(best, scores[u / 2][i / 2][u % 2 * 2 + i % 2]);
        if (!(best >= threshold) || user >= num_users) continue;
        for (unsigned i = 0; i < 16; ++i) {
            bool const is_candidate = scores[u / 2][i / 2][u % 2 * 2 + i % 2] >= threshold;
            bits |= static_cast<unsigned long long>(is_candidate) << (16 * u + i);
        }
    }
    return bits;
}

// Queues the items of these bits, and returns the bits of those whose queue is full.
__device__ inline unsigned long long
enqueue(Shared& shared, unsigned long long bits, unsigned first_item, unsigned num_items) {
    unsigned long long waiting = 0;
    for (; bits != 0; bits &= bits - 1) {
        unsigned const bit = static_cast<unsigned>(__ffsll(static_cast<long long>(bits))) - 1;
        unsigned const user = user_of(bit), item = first_item + column_of(bit);
        if (item >= num_items) continue;
        unsigned const slot = atomicAdd(&shared.num_queued[user], 1u);
        if (slot < QUEUE_LEN) {
            shared.queue[user][slot] = item;
            shared.occupied[atomicAdd(&shared.num_occupied, 1u)] = static_cast<unsigned short>(user * QUEUE_LEN + slot);
        } else {
            waiting |= 1ull << bit;
        }
    }
    return waiting;
}

// Scores the queued items, inserts them into the lists, and empties the queues. All threads call it, after a barrier.
__device__ inline void
drain_queues(Shared& shared, ItemMatrix const& items, float const* action, unsigned num_users, Query const& query) {
    unsigned const count = shared.num_occupied;
    for (unsigned n = threadIdx.x; n < count; n += THREADS) {
        unsigned const user = shared.occupied[n] / QUEUE_LEN, slot = shared.occupied[n] % QUEUE_LEN;
        unsigned const item = static_cast<unsigned>(shared.queue[user][slot]);
        float const* const row = items.rows + static_cast<size_t>(item) * D;
        shared.queue[user][slot] = rank_of(score(action + static_cast<size_t>(user) * D, row), item);
    }
    __syncthreads();
    if (threadIdx.x == 0) shared.num_occupied = 0;
    if (threadIdx.x < num_users) {
        unsigned const num_queued = shared.num_queued[threadIdx.x];
        unsigned const len = num_queued < QUEUE_LEN ? num_queued : QUEUE_LEN;
        for (unsigned i = 0; i < len; ++i) insert(query.list, shared.queue[threadIdx.x][i]);
        shared.num_queued[threadIdx.x] = 0;
        shared.threshold[threadIdx.x] = threshold_of(query, query.list[RL_SLOTS - 1]);
    }
    __syncthreads();
}

}  // namespace recsim

// The scaled rows of a catalogue as fp16, [num_rows, CHUNKS * WORDS], from `rows`, [num_items, D], padded with 0. One
// thread for two elements.
extern "C" __global__ void __launch_bounds__(256)
convert_to_fp16(float const* rows, unsigned num_items, unsigned num_rows, int exponent, unsigned* fp16_rows) {
    using namespace recsim;
    size_t const index = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    size_t const item = index / (CHUNKS * WORDS);
    if (item >= num_rows) return;
    fp16_rows[index] = fp16_pair(
        rows + item * D, item < num_items, static_cast<unsigned>(index % (CHUNKS * WORDS)) * 2, exponent
    );
}

// The sorted lists, [num_parts, num_users, RL_SLOTS], of the best ranks among a part of the catalogue's tiles. Blocks
// of 256 threads: `num_parts` blocks for every 128 users. `stride` is coprime to the number of tiles, so that
// neighboring tiles of a sorted catalogue are visited far apart.
extern "C" __global__ void __launch_bounds__(recsim::THREADS, 2)
search_top_k(
    float const* action, unsigned num_users, recsim::ItemMatrix items, unsigned num_parts, unsigned stride,
    unsigned long long* lists
) {
    using namespace recsim;
    __shared__ Shared shared;
    unsigned const part = blockIdx.x % num_parts, first_user = blockIdx.x / num_parts * TILE_USERS;
    unsigned const block_users = num_users - first_user < TILE_USERS ? num_users - first_user : TILE_USERS;
    action += static_cast<size_t>(first_user) * D;
    Query query = {};
    if (threadIdx.x == 0) shared.num_occupied = 0;
    if (threadIdx.x < TILE_USERS) {
        shared.num_queued[threadIdx.x] = 0;
        shared.threshold[threadIdx.x] = open_threshold();
    }
    if (threadIdx.x < block_users) {
        Rank* const list = lists + (static_cast<size_t>(part) * num_users + first_user + threadIdx.x) * RL_SLOTS;
        query = begin_query(shared, items, action + static_cast<size_t>(threadIdx.x) * D, list);
    }
    unsigned const tiles = (items.num_items + TILE_ITEMS - 1) / TILE_ITEMS;
    auto const tile_of = [=](unsigned step) {
        return static_cast<unsigned>(static_cast<unsigned long long>(step) * stride % tiles);
    };
    FourWords next[FOURS];
    if (part < tiles) load_items(next, items, tile_of(part), 0);
    for (unsigned step = part; step < tiles; step += num_parts) {
        float scores[2][8][4] = {};
        for (unsigned chunk = 0; chunk < CHUNKS; ++chunk) {
            __syncthreads();
            store_items(shared, next);
            if (CHUNKS > 1 || step == part) load_actions(shared, action, block_users, chunk);
            // The next chunk is loaded while this one is multiplied.
            if (chunk + 1 < CHUNKS) {
                load_items(next, items, tile_of(step), chunk + 1);
            } else if (step + num_parts < tiles) {
                load_items(next, items, tile_of(step + num_parts), 0);
            }
            __syncthreads();
            multiply_chunk(shared, scores);
        }
        unsigned const first_item = tile_of(step) * TILE_ITEMS;
        unsigned long long waiting =
            enqueue(shared, candidates(shared, scores, block_users), first_item, items.num_items);
        // Queues are emptied only when one is full: a waiting item costs less than a pass of all threads.
        while (__syncthreads_or(waiting != 0)) {
            drain_queues(shared, items, action, block_users, query);
            waiting = enqueue(shared, waiting & candidates(shared, scores, block_users), first_item, items.num_items);
        }
    }
    drain_queues(shared, items, action, block_users, query);
}

// Merges the `num_parts` lists of each user into the first slots of the slate. One thread for each user.
extern "C" __global__ void __launch_bounds__(256)
merge_top_k(unsigned num_users, unsigned num_parts, unsigned long long* lists, unsigned* slate) {
    using namespace recsim;
    unsigned const user = blockIdx.x * blockDim.x + threadIdx.x;
    if (user >= num_users) return;
    Rank* const list = lists + static_cast<size_t>(user) * RL_SLOTS;
    for (unsigned part = 1; part < num_parts; ++part) {
        Rank const* const other = list + static_cast<size_t>(part) * num_users * RL_SLOTS;
        for (unsigned i = 0; i < RL_SLOTS && other[i] > list[RL_SLOTS - 1]; ++i) insert(list, other[i]);
    }
    for (unsigned i = 0; i < RL_SLOTS; ++i) {
        // Without finite scores the list is empty: slot i then has item i, so that slates contain items of the world.
        slate[static_cast<size_t>(user) * SLATE_LEN + i] = list[i] == 0 ? i : item_of(list[i]);
    }
}

HOST_KERNEL(convert_to_fp16)
HOST_KERNEL(search_top_k)
HOST_KERNEL(merge_top_k)
