// Drawing the next token of each row from its logits, as engine/sampler.rs does on the host: repetition penalty, temperature, top-k, top-p.
// Probabilities are integers, in parts of 2^44 of the likeliest token's: their sums are the same in any order.
#include "decode.cuh"

constexpr uint32_t STRETCHES = 1024, THREADS = 1024;
constexpr uint32_t ROOM = 2048; // tokens that are sorted at once
constexpr uint32_t BINS = 2048; // of logits below the largest, 64 to one unit; what lies 32 units below has no share left
constexpr uint32_t EVERYTHING = 0;

// Logits in the order of their bits, the sign apart; both zeros are one.
__device__ __forceinline__ uint32_t rank_of(float logit) {
    uint32_t bits = __float_as_uint(logit + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float logit_of(uint32_t rank) { return __uint_as_float(rank >> 31 ? rank & 0x7fffffffu : ~rank); }

// Descending: the likelier token first, of equals the one with the lower id.
__device__ __forceinline__ uint64_t key_of(float logit, uint32_t id) { return uint64_t(rank_of(logit)) << 32 | ~id; }

__device__ __forceinline__ uint64_t warp_sum(uint64_t x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffff, x, offset);
    return x;
}

// The sum over the block, for all its threads.
__device__ uint64_t block_total(uint64_t x) {
    __shared__ uint64_t sums[THREADS / 32];
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
    __syncthreads();
    return warp_sum(sums[threadIdx.x % 32]);
}

// Turns 2 THREADS numbers in shared memory into their running sums, each with itself.
__device__ void running_sums(uint64_t *x) {
    static_assert(ROOM == 2 * THREADS && BINS == 2 * THREADS, "two numbers a thread");
    __shared__ uint64_t sums[THREADS / 32];
    __syncthreads();
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const uint64_t first = x[2 * threadIdx.x], both = first + x[2 * threadIdx.x + 1];
    uint64_t upto = both;
#pragma unroll
    for (int offset = 1; offset < 32; offset *= 2) {
        const uint64_t below = __shfl_up_sync(0xffffffff, upto, offset);
        if (lane >= offset) upto += below;
    }
    if (lane == 31) sums[warp] = upto;
    __syncthreads();
    if (warp == 0) {
        uint64_t total = sums[lane];
#pragma unroll
        for (int offset = 1; offset < 32; offset *= 2) {
            const uint64_t below = __shfl_up_sync(0xffffffff, total, offset);
            if (lane >= offset) total += below;
        }
        sums[lane] = total;
    }
    __syncthreads();
    upto += warp ? sums[warp - 1] : 0;
    x[2 * threadIdx.x] = upto - both + first;
    x[2 * threadIdx.x + 1] = upto;
    __syncthreads();
}

// Sorts keys[0 .. n) downward; what lies behind them up to a power of two becomes 0. (Bitonic; Batcher 1968.)
__device__ void sort_down(uint64_t *keys, uint32_t n) {
    uint32_t size = 64;
    while (size < n) size *= 2;
    for (uint32_t i = n + threadIdx.x; i < ROOM; i += THREADS) keys[i] = 0;
    for (uint32_t run = 2; run <= size; run *= 2)
        for (uint32_t apart = run / 2; apart > 0; apart /= 2) {
            __syncthreads();
            if (threadIdx.x < size / 2) {
                const uint32_t i = 2 * threadIdx.x - threadIdx.x % apart, j = i + apart;
                const uint64_t a = keys[i], b = keys[j];
                if ((a < b) == ((i & run) == 0)) keys[i] = b, keys[j] = a;
            }
        }
    __syncthreads();
}

// What the sampler has for one row, in device memory but for `keys` and `masses`.
struct Row {
    const float *logits;
    uint64_t *shares; // (V): of each token, where they are needed for all
    uint64_t *keys, *masses; // (ROOM), (ROOM or BINS), in shared memory
    uint32_t vocab;
    float temperature, most; // most: the largest logit
    float least;             // the smallest that top-k keeps

    // Parts of 2^44 of the likeliest token's probability.
    __device__ uint64_t share(float logit) const {
        const double below = double(logit / temperature) - double(most / temperature);
        return uint64_t(floor(exp(below) * 0x1p44 + 0.5));
    }
    __device__ uint32_t bin(float logit) const { return uint32_t(fminf((most / temperature - logit / temperature) * 64.0f, BINS - 1)); }
};

// A token, and the shares of all that come before it, and of it too.
struct Place {
    uint32_t id;
    uint64_t before, upto;
};

// The first token whose running share exceeds `target`, among all that top-k keeps. `masses` holds the running sums of the bins and
// is spent.
__device__ Place locate(const Row &row, uint64_t target) {
    __shared__ uint32_t found, count;
    __shared__ Place place;
    if (threadIdx.x == 0) found = BINS - 1, count = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < BINS; i += THREADS)
        if (row.masses[i] > target && (i == 0 || row.masses[i - 1] <= target)) found = i;
    __syncthreads();
    const uint32_t bin = found;
    const uint64_t before = bin ? row.masses[bin - 1] : 0;
    for (uint32_t id = threadIdx.x; id < row.vocab; id += THREADS) {
        const float logit = row.logits[id];
        if (logit < row.least || row.bin(logit) != bin) continue;
        const uint32_t at = atomicAdd(&count, 1);
        if (at < ROOM) row.keys[at] = key_of(logit, id);
    }
    __syncthreads();
    const uint32_t n = count;
    if (n <= ROOM) {
        sort_down(row.keys, n);
        for (uint32_t i = threadIdx.x; i < ROOM; i += THREADS) row.masses[i] = i < n ? row.shares[uint32_t(~row.keys[i])] : 0;
        running_sums(row.masses);
        for (uint32_t i = threadIdx.x; i < n; i += THREADS) {
            const uint64_t upto = before + row.masses[i], earlier = before + (i ? row.masses[i - 1] : 0);
            const bool last = i + 1 == n;
            if ((upto > target || last) && (earlier <= target)) place = Place{uint32_t(~row.keys[i]), earlier, upto};
        }
        __syncthreads();
        return place;
    }
    // Too many for that, mostly equal ones: the largest key that leaves more than the target at and above it, bit by bit.
    uint64_t key = 0, upto = 0;
    for (uint64_t bit = 1ull << 63; bit > 0; bit /= 2) {
        uint64_t sum = 0;
        for (uint32_t id = threadIdx.x; id < row.vocab; id += THREADS) {
            const float logit = row.logits[id];
            if (logit >= row.least && row.bin(logit) == bin && key_of(logit, id) >= (key | bit)) sum += row.shares[id];
        }
        sum = block_total(sum) + before;
        if (sum > target) key |= bit, upto = sum;
    }
    const uint32_t id = ~uint32_t(key);
    return Place{id, upto - row.shares[id < row.vocab ? id : 0], upto};
}

// round(2^-53 draw total), downward: `draw` has 53 bits.
__device__ __forceinline__ uint64_t part_of(uint64_t draw, uint64_t total) { return __umul64hi(draw, total) << 11 | (draw * total) >> 53; }

// How much of `total` top-p wants before it stops.
__device__ __forceinline__ uint64_t wanted(double top_p, uint64_t total) { return uint64_t(ceil(top_p * double(total))); }

// The k-th largest of all logits (or of one a thread), by bits: the largest rank that k or more reach.
template <class Reach> __device__ uint32_t kth_rank(uint32_t k, Reach reach) {
    uint32_t rank = 0;
    for (uint32_t bit = 1u << 31; bit > 0; bit /= 2)
        if (reach(rank | bit) >= k) rank |= bit;
    return rank;
}

// The penalty, in place, and the largest logit of each of STRETCHES stretches of a row: a warp a stretch.
extern "C" __global__ void sample_prepare(float *logits, const uint32_t *seen, float *maxima, uint32_t vocab, uint32_t stretch, float penalty) {
    let_next_start();
    wait_for_input();
    const uint32_t which = FIRST / 32, lane = threadIdx.x % 32, words = (vocab + 31) / 32;
    logits += size_t(blockIdx.y) * vocab;
    seen += size_t(blockIdx.y) * words;
    const uint32_t begin = min(vocab, which * stretch), end = min(vocab, begin + stretch);
    float most = -INFINITY;
    for (uint32_t id = begin + lane; id < end; id += 32) {
        float logit = logits[id];
        if (penalty != 1.0f && seen[id / 32] >> id % 32 & 1) {
            logit = logit < 0.0f ? logit * penalty : logit / penalty;
            logits[id] = logit;
        }
        most = fmaxf(most, logit);
    }
    most = warp_max(most);
    if (lane == 0) maxima[size_t(blockIdx.y) * STRETCHES + which] = most;
}

// Draws a token for each row (a block each), and readies the next step: the token is the row's next input, is among those seen, and
// stands in `out` (steps, B); position and step count go up by one. draws (B, steps) has 53 random bits each.
extern "C" __global__ void __launch_bounds__(THREADS)
    sample_choose(const float *logits, const float *maxima, uint64_t *shares, uint32_t *seen, const uint64_t *draws, uint32_t *tokens, uint32_t *positions,
                  uint32_t *step, uint32_t *out, uint32_t vocab, uint32_t stretch, uint32_t steps, float temperature, uint32_t top_k, double top_p) {
    __shared__ uint64_t keys[ROOM], masses[ROOM];
    __shared__ uint32_t count, chosen;
    wait_for_input(); // and the next step starts when this kernel has ended: it reads what this one writes
    const uint32_t lane = threadIdx.x % 32, which = blockIdx.x;
    logits += size_t(which) * vocab;
    if (threadIdx.x == 0) count = 0, chosen = 0xffffffffu;
    const float mine = maxima[size_t(which) * STRETCHES + threadIdx.x];
    const float warp_most = warp_max(mine);
    if (lane == 0) masses[threadIdx.x / 32] = __float_as_uint(warp_most);
    __syncthreads();
    const float most = warp_max(__uint_as_float(uint32_t(masses[lane])));
    const uint64_t draw = draws[size_t(which) * steps + step[which]];
    __syncthreads();

    if (temperature == 0.0f) {
        if (mine == most) // few stretches hold the largest
            for (uint32_t id = threadIdx.x * stretch; id < min(vocab, (threadIdx.x + 1) * stretch); id++)
                if (logits[id] == most) {
                    atomicMin(&chosen, id);
                    break;
                }
        __syncthreads();
    } else {
        const bool some = top_k > 0 && top_k < vocab;
        // What k stretches have above it holds the top k.
        uint32_t bound = EVERYTHING;
        if (some && top_k <= STRETCHES) bound = kth_rank(top_k, [&](uint32_t rank) { return uint32_t(__syncthreads_count(rank_of(mine) >= rank)); });
        if (bound != EVERYTHING || vocab <= ROOM) {
            for (uint32_t todo = __ballot_sync(0xffffffff, rank_of(mine) >= bound); todo; todo &= todo - 1) {
                const uint32_t begin = (threadIdx.x - lane + __ffs(todo) - 1) * stretch, end = min(vocab, begin + stretch);
                for (uint32_t id = begin + lane; id < end; id += 32) {
                    const float logit = logits[id];
                    if (rank_of(logit) < bound) continue;
                    const uint32_t at = atomicAdd(&count, 1);
                    if (at < ROOM) keys[at] = key_of(logit, id);
                }
            }
            __syncthreads();
        }
        Row row{logits, shares + size_t(which) * vocab, keys, masses, vocab, temperature, most, -INFINITY};
        if (count > 0 && count <= ROOM) {
            uint32_t n = count;
            sort_down(keys, n);
            auto logit = [&](uint32_t i) { return logit_of(uint32_t(keys[i] >> 32)); };
            // How many stand in front: the list falls.
            auto leading = [&](auto stays) {
                uint32_t own = 0;
                for (uint32_t i = threadIdx.x; i < n; i += THREADS) own += stays(i);
                return uint32_t(block_total(own));
            };
            if (some) {
                const float least = logit(top_k - 1);
                n = leading([&](uint32_t i) { return logit(i) >= least; });
            }
            for (uint32_t i = threadIdx.x; i < ROOM; i += THREADS) masses[i] = i < n ? row.share(logit(i)) : 0;
            running_sums(masses);
            if (top_p < 1.0) {
                const uint64_t limit = wanted(top_p, masses[n - 1]);
                n = max(1u, leading([&](uint32_t i) { return (i ? masses[i - 1] : 0) < limit; }));
            }
            const uint64_t at = part_of(draw, masses[n - 1]);
            const uint32_t place = leading([&](uint32_t i) { return masses[i] <= at; });
            if (threadIdx.x == 0) chosen = ~uint32_t(keys[place < n ? place : 0]);
            __syncthreads();
        } else {
            uint32_t *low = reinterpret_cast<uint32_t *>(keys), *high = low + BINS; // until the bins are added up
            if (some) {
                const uint32_t rank = kth_rank(top_k, [&](uint32_t rank) {
                    uint32_t own = 0;
                    for (uint32_t id = threadIdx.x; id < vocab; id += THREADS) own += rank_of(logits[id]) >= rank;
                    return uint32_t(block_total(own));
                });
                row.least = logit_of(rank);
            }
            for (uint32_t i = threadIdx.x; i < BINS; i += THREADS) low[i] = high[i] = 0;
            __syncthreads();
            for (uint32_t id = threadIdx.x; id < vocab; id += THREADS) {
                const float logit = logits[id];
                if (logit < row.least) continue;
                const uint64_t share = row.share(logit);
                row.shares[id] = share;
                const uint32_t bin = row.bin(logit), part = uint32_t(share);
                const uint32_t carry = atomicAdd(&low[bin], part) + part < part; // the add that wraps carries
                atomicAdd(&high[bin], uint32_t(share >> 32) + carry);
            }
            __syncthreads();
            for (uint32_t i = threadIdx.x; i < BINS; i += THREADS) masses[i] = uint64_t(high[i]) << 32 | low[i];
            running_sums(masses);
            const uint64_t bins[2] = {masses[2 * threadIdx.x], masses[2 * threadIdx.x + 1]};
            const uint64_t all = masses[BINS - 1];
            uint64_t total = all;
            if (top_p < 1.0) {
                total = locate(row, max(wanted(top_p, all), uint64_t(1)) - 1).upto;
                masses[2 * threadIdx.x] = bins[0], masses[2 * threadIdx.x + 1] = bins[1];
                __syncthreads();
            }
            const uint32_t id = locate(row, part_of(draw, total)).id;
            if (threadIdx.x == 0) chosen = id;
            __syncthreads();
        }
    }
    if (threadIdx.x == 0) {
        const uint32_t token = min(chosen, vocab - 1); // NaN everywhere would leave none
        tokens[which] = token;
        out[size_t(step[which]) * gridDim.x + which] = token;
        seen[size_t(which) * ((vocab + 31) / 32) + token / 32] |= 1u << token % 32;
        positions[which]++;
        step[which]++;
    }
}
