// Causal attention over packed sequences (Dao 2023) with Hopper's products and copies, in bf16 with f32 sums.
//
// A block takes a tile of 128 queries (or keys) of one head: one warp group fetches the other side's tiles, two warp groups of 64
// rows each compute, so that one's exponentials overlap the other's products (Shah et al. 2024). Backward makes two passes, one
// for dq and one for dk and dv, as in attention.cu: so every sum has one order. Rows of qkv are [q heads | k heads | v heads].
//
// Figures of each query that backward needs, its log-sum-exp in base 2 and its delta, lie by head in rows of whole 64s of each
// sequence; a query that is not there has (infinity, 0), so that its probabilities are 0.
#include "hopper.cuh"

using namespace hopper;

struct Tile {
    uint32_t first, length, start, figures; // of the sequence in the pack, its tokens, this tile's first row in it; where its figures begin
};

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f
#define GROUP 128
#define THREADS (3 * GROUP)

// Which of the two groups that compute: by way of a shuffle, so that the compiler knows it to be one for the whole warp and keeps
// addresses of operands where the products take them from.
__device__ __forceinline__ int computing_group() { return __shfl_sync(0xffffffff, threadIdx.x / GROUP, 0) - 1; }

// STAGES places for tiles, used in turn, a step each: a thread fills one once both computing groups have left what it held.
template <int STAGES> struct Ring {
    static constexpr uint32_t SIZE = STAGES * 16;
    uint32_t barriers; // of each stage: full, empty

    __device__ uint32_t full(int step) const { return barriers + step % STAGES * 16; }
    __device__ uint32_t empty(int step) const { return full(step) + 8; }
    __device__ void init() const {
        for (int stage = 0; stage < STAGES; stage++) barrier_init(full(stage), 1), barrier_init(empty(stage), LEAVING);
    }
    // The barrier at which copies of so many bytes must arrive.
    __device__ uint32_t fill(int step, uint32_t bytes) const {
        if (step >= STAGES) barrier_wait(empty(step), (step / STAGES - 1) % 2);
        barrier_expect(full(step), bytes);
        return full(step);
    }
    __device__ void wait_full(int step) const { barrier_wait(full(step), step / STAGES % 2); }
#ifndef RACECHECK
    static constexpr uint32_t LEAVING = 2 * GROUP / 32;
    // Each warp by itself, as each has read the stage by itself.
    __device__ void leave(int step) const {
        __syncwarp();
        if (threadIdx.x % 32 == 0) barrier_arrive(empty(step));
    }
#else
    // racecheck does not follow __syncwarp, and takes what the other lanes read for unfinished: there each lane says so itself.
    static constexpr uint32_t LEAVING = 2 * GROUP;
    __device__ void leave(int step) const { barrier_arrive(empty(step)); }
#endif
};

// Rows of 64 x D sums to bf16, `stride` apart; rows from `count` on are left out.
template <int D> __device__ __forceinline__ void store(bf16 *to, size_t stride, const float (&c)[D / 2], float low, float high, int count) {
    int lane = threadIdx.x % 32, row = threadIdx.x % GROUP / 32 * 16 + lane / 4, column = lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
        if (row < count) *reinterpret_cast<uint32_t *>(to + row * stride + n * 8 + column) = pack(c[4 * n] * low, c[4 * n + 1] * low);
        if (row + 8 < count) *reinterpret_cast<uint32_t *>(to + (row + 8) * stride + n * 8 + column) = pack(c[4 * n + 2] * high, c[4 * n + 3] * high);
    }
}

template <int D> struct Forward {
    static constexpr int KEYS = 128, STAGES = 2;
    static constexpr uint32_t SIZE = KEYS * D * 2, OWN = 128 * D * 2;
    static constexpr uint32_t K = OWN, V = K + STAGES * SIZE, BARRIERS = V + STAGES * SIZE;
};

template <int D>
__device__ void forward(const TensorMap *qkv, bf16 *out, float *lse, const Tile *tiles, uint32_t heads, uint32_t kv, float scale, uint32_t width) {
    using L = Forward<D>;
    extern __shared__ __align__(1024) uint8_t memory[];
    const uint32_t base = shared_address(memory), own_full = base + L::BARRIERS;
    const Ring<L::STAGES> k_ring{own_full + 8}, v_ring{own_full + 8 + Ring<L::STAGES>::SIZE};
    const int head = blockIdx.x;
    const Tile tile = tiles[blockIdx.y];
    const int blocks = (min(tile.start + 128, tile.length) + L::KEYS - 1) / L::KEYS;
    if (threadIdx.x == 0) {
        barrier_init(own_full, 1);
        k_ring.init();
        v_ring.init();
        barriers_ready();
    }
    __syncthreads();
    if (threadIdx.x < GROUP) {
        give_registers<24>();
        if (threadIdx.x == 0) {
            const uint32_t shared_head = heads + head / (heads / kv);
            barrier_expect(own_full, L::OWN);
            copy_tile<128, D>(base, qkv, head * D, tile.first + tile.start, own_full);
            for (int block = 0; block < blocks; block++) {
                uint32_t at = base + block % L::STAGES * L::SIZE, from = tile.first + block * L::KEYS;
                copy_tile<L::KEYS, D>(at + L::K, qkv, shared_head * D, from, k_ring.fill(block, L::SIZE));
                copy_tile<L::KEYS, D>(at + L::V, qkv, (shared_head + kv) * D, from, v_ring.fill(block, L::SIZE));
            }
        }
        return;
    }
    take_registers<240>();
    const int group = computing_group(), lane = threadIdx.x % 32, row = group * 64 + threadIdx.x % GROUP / 32 * 16 + lane / 4;
    const float factor = scale * LOG2E;
    float o[D / 2] = {}, p[L::KEYS / 2], top[2] = {-INFINITY, -INFINITY}, sum[2] = {}, shrink[2];
    uint32_t a[L::KEYS / 16][4];
    auto scores = [&](int block) { // starts p = q k^T
        const uint32_t keys = base + L::K + block % L::STAGES * L::SIZE;
        k_ring.wait_full(block);
        settle(p);
        begin();
#pragma unroll
        for (int d = 0; d < D; d += 16) multiply(p, by_rows<128>(base, group * 64, d), by_rows<L::KEYS>(keys, 0, d), d != 0);
        commit();
    };
    auto weights = [&](int block) { // p to its exponentials, by which `shrink` older sums are now smaller
        settle(p);
        k_ring.leave(block);
        if (block + 1 == blocks) { // the diagonal
            int first = block * L::KEYS - tile.start;
#pragma unroll
            for (int i = 0; i < L::KEYS / 2; i++)
                if (first + i / 4 * 8 + lane % 4 * 2 + i % 2 > row + i / 2 % 2 * 8) p[i] = -INFINITY;
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float most = top[half];
#pragma unroll
            for (int n = 0; n < L::KEYS / 8; n++) most = fmaxf(most, fmaxf(p[4 * n + 2 * half], p[4 * n + 2 * half + 1]));
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 1));
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 2));
            float shift = most * factor;
            shrink[half] = exp2_fast((top[half] - most) * factor);
            top[half] = most;
            sum[half] *= shrink[half];
#pragma unroll
            for (int n = 0; n < L::KEYS / 8; n++)
#pragma unroll
                for (int i = 4 * n + 2 * half; i < 4 * n + 2 * half + 2; i++) {
                    p[i] = exp2_fast(p[i] * factor - shift);
                    sum[half] += p[i];
                }
        }
    };
    auto sums = [&](int block) { // starts o += p v
        const uint32_t values = base + L::V + block % L::STAGES * L::SIZE;
        v_ring.wait_full(block);
        settle(o);
        begin();
#pragma unroll
        for (int j = 0; j < L::KEYS / 16; j++) multiply(o, a[j], by_columns<L::KEYS>(values, j * 16), true);
        commit();
    };
    barrier_wait(own_full, 0);
    scores(0);
    wait<0>();
    weights(0);
#pragma unroll
    for (int j = 0; j < L::KEYS / 16; j++) as_left(a[j], p, j);
    // The next block's exponentials overlap this one's product with the values.
    for (int block = 1; block < blocks; block++) {
        scores(block);
        sums(block - 1);
        wait<1>();
        weights(block);
        wait<0>();
        settle(o);
        v_ring.leave(block - 1);
#pragma unroll
        for (int i = 0; i < D / 2; i++) o[i] *= shrink[i / 2 % 2];
#pragma unroll
        for (int j = 0; j < L::KEYS / 16; j++) as_left(a[j], p, j);
    }
    sums(blocks - 1);
    wait<0>();
    settle(o);
    const int rows = tile.length - tile.start;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        sum[half] += __shfl_xor_sync(0xffffffff, sum[half], 1);
        sum[half] += __shfl_xor_sync(0xffffffff, sum[half], 2);
        int at = row + half * 8;
        if (lane % 4 == 0 && at < rows) lse[size_t(tile.first + tile.start + at) * heads + head] = top[half] * scale + log2f(sum[half]) * LN2;
    }
    store<D>(out + size_t(tile.first + tile.start + group * 64) * width + head * D, width, o, 1.0f / sum[0], 1.0f / sum[1], rows - group * 64);
}

// figures (H, padded): D / 8 lanes a query and head of each 64-row tile. Rows of `out` may begin at any 8 bytes.
template <int D>
__device__ void figures(const bf16 *dout, const bf16 *out, const float *lse, float2 *to, const Tile *tiles, uint32_t count, uint32_t heads, uint32_t padded,
                        uint32_t dout_width, uint32_t out_width) {
    constexpr int LANES = D / 8;
    uint32_t item = FIRST / LANES, lane = threadIdx.x % LANES;
    if (item >= count * 64 * heads) return; // whole warps
    const Tile tile = tiles[item / (64 * heads)];
    uint32_t row = item / heads % 64, head = item % heads;
    float shift = INFINITY, sum = 0.0f;
    if (tile.start + row < tile.length) {
        size_t token = tile.first + tile.start + row, at = head * D + lane * 8;
        auto a = Lanes<bf16, 8>::load(dout + token * dout_width + at);
        auto b = Lanes<bf16, 4>::load(out + token * out_width + at), c = Lanes<bf16, 4>::load(out + token * out_width + at + 4);
        for (int k = 0; k < 4; k++) sum += a.v[k] * b.v[k] + a.v[k + 4] * c.v[k];
        shift = lse[token * heads + head] * LOG2E;
    }
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffff, sum, offset);
    if (lane == 0) to[size_t(head) * padded + tile.figures + tile.start + row] = make_float2(shift, sum);
}

template <int D> struct BackwardQ {
    static constexpr int KEYS = 64, STAGES = D == 128 ? 3 : 4;
    static constexpr uint32_t SIZE = KEYS * D * 2, OWN = 128 * D * 2;
    static constexpr uint32_t Q = 0, DY = OWN, K = 2 * OWN, V = K + STAGES * SIZE, BARRIERS = V + STAGES * SIZE;
};

template <int D>
__device__ void backward_q(const TensorMap *qkv, const TensorMap *dout, const float2 *figures, bf16 *dqkv, const Tile *tiles, uint32_t stride, uint32_t heads,
                           uint32_t kv, float scale, uint32_t padded) {
    using L = BackwardQ<D>;
    extern __shared__ __align__(1024) uint8_t memory[];
    const uint32_t base = shared_address(memory), own_full = base + L::BARRIERS;
    const Ring<L::STAGES> ring{own_full + 8};
    const int head = blockIdx.x;
    const Tile tile = tiles[blockIdx.y];
    const int blocks = (min(tile.start + 128, tile.length) + L::KEYS - 1) / L::KEYS;
    if (threadIdx.x == 0) {
        barrier_init(own_full, 1);
        ring.init();
        barriers_ready();
    }
    __syncthreads();
    if (threadIdx.x < GROUP) {
        give_registers<24>();
        if (threadIdx.x == 0) {
            const uint32_t shared_head = heads + head / (heads / kv);
            barrier_expect(own_full, 2 * L::OWN);
            copy_tile<128, D>(base + L::Q, qkv, head * D, tile.first + tile.start, own_full);
            copy_tile<128, D>(base + L::DY, dout, head * D, tile.first + tile.start, own_full);
            for (int block = 0; block < blocks; block++) {
                uint32_t at = base + block % L::STAGES * L::SIZE, from = tile.first + block * L::KEYS, full = ring.fill(block, 2 * L::SIZE);
                copy_tile<L::KEYS, D>(at + L::K, qkv, shared_head * D, from, full);
                copy_tile<L::KEYS, D>(at + L::V, qkv, (shared_head + kv) * D, from, full);
            }
        }
        return;
    }
    take_registers<240>();
    const int group = computing_group(), thread = threadIdx.x % GROUP, lane = thread % 32, row = group * 64 + thread / 32 * 16 + lane / 4;
    const int rows = tile.length - tile.start;
    const float factor = scale * LOG2E;
    float2 figure[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int at = row + half * 8;
        figure[half] = at < rows ? figures[size_t(head) * padded + tile.figures + tile.start + at] : make_float2(INFINITY, 0.0f);
    }
    float dq[D / 2] = {};
    barrier_wait(own_full, 0);
    for (int block = 0; block < blocks; block++) {
        const int stage = block % L::STAGES, first = block * L::KEYS - int(tile.start) - group * 64; // from this group's first query
        ring.wait_full(block);
        if (first <= 63) {
            const uint32_t keys = base + L::K + stage * L::SIZE, values = base + L::V + stage * L::SIZE;
            float p[L::KEYS / 2], ds[L::KEYS / 2];
            begin();
#pragma unroll
            for (int d = 0; d < D; d += 16) multiply(p, by_rows<128>(base + L::Q, group * 64, d), by_rows<L::KEYS>(keys, 0, d), d != 0);
            commit();
#pragma unroll
            for (int d = 0; d < D; d += 16) multiply(ds, by_rows<128>(base + L::DY, group * 64, d), by_rows<L::KEYS>(values, 0, d), d != 0);
            commit();
            wait<1>();
            settle(p);
#pragma unroll
            for (int i = 0; i < L::KEYS / 2; i++) p[i] = exp2_fast(p[i] * factor - figure[i / 2 % 2].x);
            if (first + 63 > 0) { // the diagonal
#pragma unroll
                for (int i = 0; i < L::KEYS / 2; i++)
                    if (first + i / 4 * 8 + lane % 4 * 2 + i % 2 > row - group * 64 + i / 2 % 2 * 8) p[i] = 0.0f;
            }
            wait<0>();
            settle(ds);
            uint32_t a[L::KEYS / 16][4];
#pragma unroll
            for (int i = 0; i < L::KEYS / 2; i++) ds[i] = p[i] * (ds[i] - figure[i / 2 % 2].y);
#pragma unroll
            for (int j = 0; j < L::KEYS / 16; j++) as_left(a[j], ds, j);
            settle(dq);
            begin();
#pragma unroll
            for (int j = 0; j < L::KEYS / 16; j++) multiply(dq, a[j], by_columns<L::KEYS>(keys, j * 16), true);
            commit();
            wait<0>();
            settle(dq);
        }
        ring.leave(block);
    }
    store<D>(dqkv + size_t(tile.first + tile.start + group * 64) * stride + head * D, stride, dq, scale, scale, rows - group * 64);
}

template <int D> struct BackwardKV {
    static constexpr int QUERIES = 64, STAGES = 3;
    static constexpr uint32_t SIZE = QUERIES * D * 2, OWN = 128 * D * 2, FIGURES = QUERIES * 8;
    static constexpr uint32_t K = 0, V = OWN, Q = 2 * OWN, DY = Q + STAGES * SIZE, FIGURE = DY + STAGES * SIZE, BARRIERS = FIGURE + STAGES * FIGURES;
};

// Adds up dk and dv over the CLUSTER blocks of a cluster, which hold the same 128 keys of other query heads. The thread's sums are
// pieces of four of 8 columns, those of dk before those of dv; each block gets its share of them from all, at the start of its
// shared memory as (CLUSTER, SHARE, 256), adds in the order of the ranks and writes its columns.
template <int D, int CLUSTER>
__device__ __forceinline__ void meet(const float (&dk)[D / 2], const float (&dv)[D / 2], bf16 *to_k, bf16 *to_v, size_t stride, float scale, int count) {
    constexpr int SHARE = 2 * D / 8 / CLUSTER, COMPUTING = 2 * GROUP;
    static_assert(2 * D / 8 * COMPUTING * sizeof(float4) <= BackwardKV<D>::FIGURE, "the pieces fit where the tiles were");
    extern __shared__ __align__(1024) uint8_t memory[];
    const int thread = threadIdx.x - GROUP, lane = thread % 32, row = thread / 32 * 16 + lane / 4, own = cluster_rank();
    float4 *pieces = reinterpret_cast<float4 *>(memory) + thread;
    cluster_meet(); // nobody reads the tiles any more
#pragma unroll
    for (int n = 0; n < SHARE; n++)
#pragma unroll
        for (int rank = 0; rank < CLUSTER; rank++) {
            const int piece = rank * SHARE + n;
            const float *c = piece < D / 8 ? dk + 4 * piece : dv + 4 * (piece - D / 8);
            store_at(shared_address(pieces + (own * SHARE + n) * COMPUTING), rank, make_float4(c[0], c[1], c[2], c[3]));
        }
    cluster_meet();
    const int first = own * SHARE % (D / 8);
    const bool keys = own * SHARE < D / 8; // a share is all of dk or all of dv
    const float factor = keys ? scale : 1.0f;
    bf16 *to = (keys ? to_k : to_v) + row * stride + first * 8 + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < SHARE; n++) {
        float4 sum = pieces[n * COMPUTING];
#pragma unroll
        for (int rank = 1; rank < CLUSTER; rank++) {
            float4 more = pieces[(rank * SHARE + n) * COMPUTING];
            sum = make_float4(sum.x + more.x, sum.y + more.y, sum.z + more.z, sum.w + more.w);
        }
        if (row < count) *reinterpret_cast<uint32_t *>(to + n * 8) = pack(sum.x * factor, sum.y * factor);
        if (row + 8 < count) *reinterpret_cast<uint32_t *>(to + 8 * stride + n * 8) = pack(sum.z * factor, sum.w * factor);
    }
}

// A block adds up `together` query heads of one key head. Where that is not the whole group, its cluster has the others.
template <int D>
__device__ void backward_kv(const TensorMap *qkv, const TensorMap *dout, const float2 *figures, bf16 *dqkv, const Tile *tiles, uint32_t stride, uint32_t heads,
                            uint32_t kv, float scale, uint32_t padded, uint32_t together) {
    using L = BackwardKV<D>;
    extern __shared__ __align__(1024) uint8_t memory[];
    const uint32_t base = shared_address(memory), own_full = base + L::BARRIERS;
    const Ring<L::STAGES> ring{own_full + 8};
    const int head = blockIdx.x * together, shared_head = heads + head / (heads / kv);
    const Tile tile = tiles[blockIdx.y];
    const int rows = tile.length - tile.start, blocks = (rows + L::QUERIES - 1) / L::QUERIES, steps = blocks * together;
    if (threadIdx.x == 0) {
        barrier_init(own_full, 1);
        ring.init();
        barriers_ready();
    }
    __syncthreads();
    if (threadIdx.x < GROUP) {
        give_registers<24>();
        if (threadIdx.x == 0) {
            barrier_expect(own_full, 2 * L::OWN);
            copy_tile<128, D>(base + L::K, qkv, shared_head * D, tile.first + tile.start, own_full);
            copy_tile<128, D>(base + L::V, qkv, (shared_head + kv) * D, tile.first + tile.start, own_full);
            for (int step = 0; step < steps; step++) {
                uint32_t stage = step % L::STAGES, at = base + stage * L::SIZE, full = ring.fill(step, 2 * L::SIZE + L::FIGURES);
                uint32_t query_head = head + step / blocks, from = tile.start + step % blocks * L::QUERIES;
                copy_tile<L::QUERIES, D>(at + L::Q, qkv, query_head * D, tile.first + from, full);
                copy_tile<L::QUERIES, D>(at + L::DY, dout, query_head * D, tile.first + from, full);
                copy_piece(base + L::FIGURE + stage * L::FIGURES, figures + size_t(query_head) * padded + tile.figures + from, L::FIGURES, full);
            }
        }
        return;
    }
    take_registers<240>();
    const int group = computing_group(), thread = threadIdx.x % GROUP, lane = thread % 32, row = thread / 32 * 16 + lane / 4;
    const float factor = scale * LOG2E;
    float dk[D / 2] = {}, dv[D / 2] = {};
    barrier_wait(own_full, 0);
    for (int step = 0, block = 0; step < steps; step++, block = block + 1 < blocks ? block + 1 : 0) {
        const int stage = step % L::STAGES, first = block * L::QUERIES - group * 64; // from this group's first key
        ring.wait_full(step);
        if (first >= 0) {
            const uint32_t queries = base + L::Q + stage * L::SIZE, grads = base + L::DY + stage * L::SIZE;
            const float4 *figure = reinterpret_cast<const float4 *>(memory + L::FIGURE + stage * L::FIGURES);
            // Transposed: rows are this group's 64 keys, columns the queries.
            float p[L::QUERIES / 2], ds[L::QUERIES / 2];
            begin();
#pragma unroll
            for (int d = 0; d < D; d += 16) multiply(p, by_rows<128>(base + L::K, group * 64, d), by_rows<L::QUERIES>(queries, 0, d), d != 0);
            commit();
#pragma unroll
            for (int d = 0; d < D; d += 16) multiply(ds, by_rows<128>(base + L::V, group * 64, d), by_rows<L::QUERIES>(grads, 0, d), d != 0);
            commit();
            wait<1>();
            settle(p);
#pragma unroll
            for (int n = 0; n < L::QUERIES / 8; n++) {
                float4 two = figure[n * 4 + lane % 4]; // of two neighbouring queries
#pragma unroll
                for (int i = 0; i < 4; i++) p[4 * n + i] = exp2_fast(p[4 * n + i] * factor - (i % 2 ? two.z : two.x));
            }
            if (first < 64) { // the diagonal
#pragma unroll
                for (int i = 0; i < L::QUERIES / 2; i++)
                    if (first + i / 4 * 8 + lane % 4 * 2 + i % 2 < row + i / 2 % 2 * 8) p[i] = 0.0f;
            }
            uint32_t a[L::QUERIES / 16][4], b[L::QUERIES / 16][4];
#pragma unroll
            for (int j = 0; j < L::QUERIES / 16; j++) as_left(a[j], p, j);
            settle(dv);
            begin();
#pragma unroll
            for (int j = 0; j < L::QUERIES / 16; j++) multiply(dv, a[j], by_columns<L::QUERIES>(grads, j * 16), true);
            commit();
            wait<1>();
            settle(ds);
#pragma unroll
            for (int n = 0; n < L::QUERIES / 8; n++) {
                float4 two = figure[n * 4 + lane % 4];
#pragma unroll
                for (int i = 0; i < 4; i++) ds[4 * n + i] = p[4 * n + i] * (ds[4 * n + i] - (i % 2 ? two.w : two.y));
            }
#pragma unroll
            for (int j = 0; j < L::QUERIES / 16; j++) as_left(b[j], ds, j);
            settle(dk);
            begin();
#pragma unroll
            for (int j = 0; j < L::QUERIES / 16; j++) multiply(dk, b[j], by_columns<L::QUERIES>(queries, j * 16), true);
            commit();
            wait<0>();
            settle(dk);
            settle(dv);
        }
        ring.leave(step);
    }
    bf16 *to_k = dqkv + size_t(tile.first + tile.start) * stride + shared_head * D, *to_v = to_k + kv * D;
    const uint32_t cluster = cluster_size();
    if (cluster == 2) return meet<D, 2>(dk, dv, to_k, to_v, stride, scale, rows);
    if (cluster == 4) return meet<D, 4>(dk, dv, to_k, to_v, stride, scale, rows);
    if (cluster == 8) return meet<D, 8>(dk, dv, to_k, to_v, stride, scale, rows);
    store<D>(to_k + group * 64 * stride, stride, dk, scale, scale, rows - group * 64);
    store<D>(to_v + group * 64 * stride, stride, dv, 1.0f, 1.0f, rows - group * 64);
}

#define MAP const __grid_constant__ TensorMap
#define KERNELS(D)                                                                                                                \
    extern "C" __global__ void __launch_bounds__(THREADS, 1) hopper_forward_##D(MAP qkv, bf16 *out, float *lse, const Tile *tiles, \
                                                                                uint32_t heads, uint32_t kv, float scale, uint32_t width) { \
        forward<D>(&qkv, out, lse, tiles, heads, kv, scale, width);                                                                    \
    }                                                                                                                             \
    extern "C" __global__ void hopper_figures_##D(const bf16 *dout, const bf16 *out, const float *lse, float2 *to, const Tile *tiles, \
                                                  uint32_t count, uint32_t heads, uint32_t padded, uint32_t dout_width, uint32_t out_width) { \
        figures<D>(dout, out, lse, to, tiles, count, heads, padded, dout_width, out_width);                                                            \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS, 1)                                                                      \
        hopper_backward_q_##D(MAP qkv, MAP dout, const float2 *figures, bf16 *dqkv, const Tile *tiles, uint32_t stride, uint32_t heads, \
                              uint32_t kv, float scale, uint32_t padded) {                                                        \
        backward_q<D>(&qkv, &dout, figures, dqkv, tiles, stride, heads, kv, scale, padded);                                       \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS, 1)                                                                      \
        hopper_backward_kv_##D(MAP qkv, MAP dout, const float2 *figures, bf16 *dqkv, const Tile *tiles, uint32_t stride, uint32_t heads, \
                               uint32_t kv, float scale, uint32_t padded, uint32_t together) {                                    \
        backward_kv<D>(&qkv, &dout, figures, dqkv, tiles, stride, heads, kv, scale, padded, together);                            \
    }
KERNELS(64)
KERNELS(128)
