// The items with the best scores, for all users of a batch: core/src/slate.rs's `score` and `Best`.
//
// `scan` proposes and decides. Tensor cores multiply actions and items in half precision, a tile of users by a tile of
// items at a time; a product that is not farther below the last score of its user's list than the margin
// (core/src/margin.rs) is queued. Of the items in the queues the scores are computed in the defined order, and one
// thread a user enters them into the user's list. So every item that belongs into a list gets there, by its exact score,
// and the table of all scores is never written.
//
// The catalogue may be parted among blocks, so that few users too keep a device busy; `merge` makes one list of a user's
// lists.
#include "margin.cuh"
#include "slate.cuh"
#include "tensor.cuh"

namespace recsim {

// Users and items of a tile, and the dimensions of which halves lie in shared memory at a time.
unsigned constexpr USERS = 128;
unsigned constexpr ITEMS = 128;
unsigned constexpr DEPTH = 64;
unsigned constexpr CHUNKS = (D + DEPTH - 1) / DEPTH;
// Words of two halves in a row of a chunk.
unsigned constexpr WORDS = DEPTH / 2;
unsigned constexpr THREADS = 256;
// A warp's part of a tile: 2 x 8 products of 16 x 8.
unsigned constexpr ROWS_OF_A_WARP = 32;
unsigned constexpr COLUMNS_OF_A_WARP = 64;
// Items that a user's queue holds. What finds it full waits until it is emptied.
unsigned constexpr QUEUE = 8;

using Rank = unsigned long long;

struct alignas(16) Four {
    unsigned word[4];
};

struct Shared {
    // In fours that are swapped about within a row, so that neither rows nor columns meet in one bank.
    alignas(16) unsigned action[USERS][WORDS];
    alignas(16) unsigned item[ITEMS][WORDS];
    // An item's index, and then its rank.
    Rank queue[USERS][QUEUE];
    // The places that are taken in the queues: user * QUEUE + place.
    unsigned short taken[USERS * QUEUE];
    unsigned count;
    unsigned queued[USERS];
    // A product below this is of no item that could enter the list.
    float cut[USERS];
    short exponent[USERS];
};

// What a batch's users are searched for in.
struct Catalogue {
    float const* row;       // [items, D]
    Four const* halves;     // [items up to whole tiles, CHUNKS * WORDS / 4], scaled
    unsigned items;
    int exponent;           // of the scale
    double longest;         // the greatest length of a scaled row
};

// What one of a block's users asks for; thread `n` knows user `n`.
struct Query {
    int exponents;
    double margin;
    Rank* list;
};

__device__ inline unsigned place_of(unsigned row, unsigned word) { return word ^ (row % 8 * 4); }

// x * 2^n in two steps, as 2^n may be no float.
__device__ inline float scaled(float x, int n) {
    int const first = n / 2;
    return x * __uint_as_float(static_cast<unsigned>(127 + first) << 23)
        * __uint_as_float(static_cast<unsigned>(127 + n - first) << 23);
}

__device__ inline unsigned halves_of(float const* row, bool there, unsigned dimension, int exponent) {
    float const low = there && dimension < D ? scaled(row[dimension], exponent) : 0.0f;
    float const high = there && dimension + 1 < D ? scaled(row[dimension + 1], exponent) : 0.0f;
    return half_of(low) | half_of(high) << 16;
}

// Minus infinity: the cut while there is room.
__device__ inline float open() { return __uint_as_float(0xff800000u); }

// The score of a list's last rank.
__device__ inline float score_of(Rank rank) {
    unsigned const ordered = static_cast<unsigned>(rank >> 32);
    return __uint_as_float(ordered >> 31 ? ordered & 0x7fffffffu : ~ordered);
}

// The product below which nothing can enter a list with this last rank; 0 stands for an empty place.
__device__ inline float cut_of(Query const& query, Rank last) {
    if (last == 0) return open();
    return __double2float_rd(score_of(last) * power_of_two(query.exponents) - query.margin);
}

// Enters a rank into a list that is sorted, the greatest first.
__device__ inline void enter(Rank* list, Rank rank) {
    if (rank <= list[CHOSEN - 1]) return;
    unsigned place = CHOSEN - 1;
    for (; place > 0 && list[place - 1] < rank; --place) list[place] = list[place - 1];
    list[place] = rank;
}

// Settles the scale of the thread's user and how far products may be off.
__device__ inline Query ask(Shared& shared, Catalogue const& catalogue, float const* action, Rank* list) {
    float largest = 0.0f;
    for (unsigned d = 0; d < D; ++d) largest = fmaxf(largest, fabsf(action[d]));
    int const own = exponent(largest);
    double square = 0.0;
    for (unsigned d = 0; d < D; ++d) {
        double const x = action[d] * power_of_two(own);
        square += x * x;
    }
    shared.exponent[threadIdx.x] = static_cast<short>(own);
    Query query;
    query.exponents = own + catalogue.exponent;
    query.margin = margin(sqrt(square), catalogue.longest, query.exponents);
    query.list = list;
    for (unsigned i = 0; i < CHOSEN; ++i) list[i] = 0;
    return query;
}

// Lays out a chunk of the users' actions.
__device__ inline void load_actions(Shared& shared, float const* action, unsigned users_here, unsigned chunk) {
    for (unsigned i = threadIdx.x; i < USERS * WORDS; i += THREADS) {
        unsigned const user = i / WORDS, word = i % WORDS;
        bool const there = user < users_here;
        int const exponent = there ? shared.exponent[user] : 0;
        float const* const row = action + static_cast<size_t>(user) * D;
        shared.action[user][place_of(user, word)] = halves_of(row, there, chunk * DEPTH + 2 * word, exponent);
    }
}

// A thread's part of a chunk of a tile of items.
unsigned constexpr FOURS = ITEMS * WORDS / 4 / THREADS;

__device__ inline void fetch(Four (&fours)[FOURS], Catalogue const& catalogue, unsigned tile, unsigned chunk) {
    for (unsigned n = 0; n < FOURS; ++n) {
        unsigned const i = threadIdx.x + n * THREADS, row = i / (WORDS / 4), four = i % (WORDS / 4);
        fours[n] = catalogue.halves[(static_cast<size_t>(tile) * ITEMS + row) * (CHUNKS * WORDS / 4) + chunk * (WORDS / 4) + four];
    }
}

__device__ inline void store(Shared& shared, Four const (&fours)[FOURS]) {
    for (unsigned n = 0; n < FOURS; ++n) {
        unsigned const i = threadIdx.x + n * THREADS, row = i / (WORDS / 4), four = i % (WORDS / 4);
        *reinterpret_cast<Four*>(&shared.item[row][place_of(row, 4 * four)]) = fours[n];
    }
}

// Adds the products of a chunk to the warp's part of the tile.
__device__ inline void multiply(Shared const& shared, float (&product)[2][8][4]) {
    unsigned const warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    unsigned const first_row = warp / 2 * ROWS_OF_A_WARP, first_column = warp % 2 * COLUMNS_OF_A_WARP;
    for (unsigned k = 0; k < WORDS; k += 8) {
        unsigned a[2][4];
        for (unsigned m = 0; m < 2; ++m) {
            for (unsigned part = 0; part < 4; ++part) {
                unsigned const row = first_row + m * 16 + part % 2 * 8 + g;
                a[m][part] = shared.action[row][place_of(row, k + part / 2 * 4 + t)];
            }
        }
        for (unsigned n = 0; n < 8; ++n) {
            unsigned const row = first_column + n * 8 + g;
            unsigned const b[2] = {shared.item[row][place_of(row, k + t)], shared.item[row][place_of(row, k + 4 + t)]};
            for (unsigned m = 0; m < 2; ++m) multiply_add(product[m][n], a[m], b);
        }
    }
}

// The user and the item in the tile of bit `bit` of a thread's products: 16 bits a user.
__device__ inline unsigned user_of(unsigned bit) {
    return threadIdx.x / 64 * ROWS_OF_A_WARP + bit / 32 * 16 + bit / 16 % 2 * 8 + threadIdx.x % 32 / 4;
}
__device__ inline unsigned column_of(unsigned bit) {
    return threadIdx.x / 32 % 2 * COLUMNS_OF_A_WARP + bit % 16 / 2 * 8 + threadIdx.x % 4 * 2 + bit % 2;
}

// Which of the thread's products reach their users' cuts.
__device__ inline unsigned long long reaching(Shared const& shared, float const (&product)[2][8][4], unsigned users_here) {
    unsigned long long bits = 0;
    for (unsigned u = 0; u < 4; ++u) {
        unsigned const user = user_of(16 * u);
        float const cut = shared.cut[user];
        float best = product[u / 2][0][u % 2 * 2];
        for (unsigned i = 1; i < 16; ++i) best = fmaxf(best, product[u / 2][i / 2][u % 2 * 2 + i % 2]);
        if (!(best >= cut) || user >= users_here) continue;
        for (unsigned i = 0; i < 16; ++i) {
            bits |= static_cast<unsigned long long>(product[u / 2][i / 2][u % 2 * 2 + i % 2] >= cut) << (16 * u + i);
        }
    }
    return bits;
}

// Queues the items of these products, and returns those that found their queue full.
__device__ inline unsigned long long
queue(Shared& shared, unsigned long long bits, unsigned first_item, unsigned items) {
    unsigned long long left = 0;
    for (; bits != 0; bits &= bits - 1) {
        unsigned const bit = static_cast<unsigned>(__ffsll(static_cast<long long>(bits))) - 1;
        unsigned const user = user_of(bit), item = first_item + column_of(bit);
        if (item >= items) continue;
        unsigned const place = atomicAdd(&shared.queued[user], 1u);
        if (place < QUEUE) {
            shared.queue[user][place] = item;
            shared.taken[atomicAdd(&shared.count, 1u)] = static_cast<unsigned short>(user * QUEUE + place);
        } else {
            left |= 1ull << bit;
        }
    }
    return left;
}

// Empties the queues into the lists: scores in the defined order. All threads call it, after a barrier.
__device__ inline void
decide(Shared& shared, Catalogue const& catalogue, float const* action, unsigned users_here, Query const& query) {
    unsigned const count = shared.count;
    for (unsigned n = threadIdx.x; n < count; n += THREADS) {
        unsigned const user = shared.taken[n] / QUEUE, place = shared.taken[n] % QUEUE;
        unsigned const item = static_cast<unsigned>(shared.queue[user][place]);
        float const* const row = catalogue.row + static_cast<size_t>(item) * D;
        shared.queue[user][place] = rank_of(score(action + static_cast<size_t>(user) * D, row), item);
    }
    __syncthreads();
    if (threadIdx.x == 0) shared.count = 0;
    if (threadIdx.x < users_here) {
        unsigned const queued = shared.queued[threadIdx.x], mine = queued < QUEUE ? queued : QUEUE;
        for (unsigned i = 0; i < mine; ++i) enter(query.list, shared.queue[threadIdx.x][i]);
        shared.queued[threadIdx.x] = 0;
        shared.cut[threadIdx.x] = cut_of(query, query.list[CHOSEN - 1]);
    }
    __syncthreads();
}

}  // namespace recsim

// A thread two numbers: the rows of a catalogue as halves, [rows, CHUNKS * WORDS], from [items, D]; the rest is 0.
extern "C" __global__ void __launch_bounds__(256)
halve(float const* row, unsigned items, unsigned rows, int exponent, unsigned* halves) {
    using namespace recsim;
    size_t const place = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    size_t const item = place / (CHUNKS * WORDS);
    if (item >= rows) return;
    halves[place] = halves_of(row + item * D, item < items, static_cast<unsigned>(place % (CHUNKS * WORDS)) * 2, exponent);
}

// Blocks of 256 threads: for every 128 users, `parts` blocks with a part of the catalogue's tiles each. `stride` has no
// divisor in common with the number of tiles: neighbours in a sorted catalogue are visited far apart.
extern "C" __global__ void __launch_bounds__(recsim::THREADS, 2)
scan(
    float const* action, unsigned users, recsim::Catalogue catalogue, unsigned parts, unsigned stride,
    unsigned long long* lists
) {
    using namespace recsim;
    __shared__ Shared shared;
    unsigned const part = blockIdx.x % parts, first_user = blockIdx.x / parts * USERS;
    unsigned const users_here = users - first_user < USERS ? users - first_user : USERS;
    action += static_cast<size_t>(first_user) * D;
    Query query = {};
    if (threadIdx.x == 0) shared.count = 0;
    if (threadIdx.x < USERS) {
        shared.queued[threadIdx.x] = 0;
        shared.cut[threadIdx.x] = open();
    }
    if (threadIdx.x < users_here) {
        Rank* const list = lists + (static_cast<size_t>(part) * users + first_user + threadIdx.x) * CHOSEN;
        query = ask(shared, catalogue, action + static_cast<size_t>(threadIdx.x) * D, list);
    }
    unsigned const tiles = (catalogue.items + ITEMS - 1) / ITEMS;
    auto const tile_of = [=](unsigned turn) {
        return static_cast<unsigned>(static_cast<unsigned long long>(turn) * stride % tiles);
    };
    Four next[FOURS];
    if (part < tiles) fetch(next, catalogue, tile_of(part), 0);
    for (unsigned turn = part; turn < tiles; turn += parts) {
        float product[2][8][4] = {};
        for (unsigned chunk = 0; chunk < CHUNKS; ++chunk) {
            __syncthreads();
            store(shared, next);
            if (CHUNKS > 1 || turn == part) load_actions(shared, action, users_here, chunk);
            // The next chunk is on its way while this one is multiplied.
            if (chunk + 1 < CHUNKS) {
                fetch(next, catalogue, tile_of(turn), chunk + 1);
            } else if (turn + parts < tiles) {
                fetch(next, catalogue, tile_of(turn + parts), 0);
            }
            __syncthreads();
            multiply(shared, product);
        }
        unsigned const first_item = tile_of(turn) * ITEMS;
        unsigned long long left = queue(shared, reaching(shared, product, users_here), first_item, catalogue.items);
        // Queues are emptied only when one is full: an item that waits costs less than a turn of all threads.
        while (__syncthreads_or(left != 0)) {
            decide(shared, catalogue, action, users_here, query);
            left = queue(shared, left & reaching(shared, product, users_here), first_item, catalogue.items);
        }
    }
    decide(shared, catalogue, action, users_here, query);
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
    for (unsigned i = 0; i < CHOSEN; ++i) {
        // An action that is no number finds nothing: any item will do, so long as there is one.
        slate[static_cast<size_t>(user) * SHOWN + i] = list[i] == 0 ? i : item_of(list[i]);
    }
}

HOST_KERNEL(halve)
HOST_KERNEL(scan)
HOST_KERNEL(merge)
