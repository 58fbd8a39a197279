// Causal attention over packed sequences on tensor cores (Dao 2023), in bf16 or f16 with f32 sums; scores never leave the chip.
//
// In f16, scores, log-sum-exps and sums are f32 and probabilities at most 1. What can be beyond f16, and is infinite then, are the
// gradients: ds before the products with q and k, and what is written. Outputs are means of values, so never.
//
// A block of four warps takes 64 queries (or keys) of one head, 16 a warp. Backward makes two passes, one for dq and one for dk and
// dv, instead of adding dq from many blocks: so every sum has one order. Rows of qkv are [q heads | k heads | v heads].
#include "tiles.cuh"

struct Tile {
    uint32_t first, length, start, figures; // of the sequence in the pack, its tokens, this tile's first row in it; unused here
};

struct Shape {
    uint32_t stride, heads, kv;
    float scale;
    uint32_t width; // of a row of the output, or of its gradient
};
#define SHAPE uint32_t stride, uint32_t heads, uint32_t kv, float scale, uint32_t width
#define THE_SHAPE (Shape{stride, heads, kv, scale, width})

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

// Rows of 16 x D sums, `stride` apart; rows from `count` on are left out.
template <int D, class T> __device__ __forceinline__ void store(T *to, size_t stride, const float (&c)[D / 8][4], float low, float high, int count) {
    int lane = threadIdx.x % 32, row = lane / 4, column = lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < D / 8; n++) {
        if (row < count) *reinterpret_cast<uint32_t *>(to + row * stride + n * 8 + column) = pack<T>(c[n][0] * low, c[n][1] * low);
        if (row + 8 < count) *reinterpret_cast<uint32_t *>(to + (row + 8) * stride + n * 8 + column) = pack<T>(c[n][2] * high, c[n][3] * high);
    }
}

template <int D, class T> __device__ void forward(const T *qkv, T *out, float *lse, const Tile *tiles, Shape s) {
    extern __shared__ __align__(128) uint8_t memory[];
    constexpr uint32_t SIZE = 64 * D * 2;
    const uint32_t keys = shared_address(memory), values = keys + 2 * SIZE; // two stages each
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, head = blockIdx.x;
    const Tile tile = tiles[blockIdx.y];
    const T *base = qkv + size_t(tile.first) * s.stride;
    const T *k = base + (s.heads + head / (s.heads / s.kv)) * D, *v = k + s.kv * D;
    const int rows = tile.length - tile.start, blocks = tile.start / 64 + 1;

    copy_tile<D, 64>(keys + SIZE, base + size_t(tile.start) * s.stride + head * D, s.stride, rows);
    copy_tile<D, 64>(keys, k, s.stride, tile.length);
    copy_tile<D, 64>(values, v, s.stride, tile.length);
    commit();
    wait_all();
    __syncthreads();
    uint32_t q[D / 16][4];
#pragma unroll
    for (int d = 0; d < D / 16; d++) left<D>(q[d], keys + SIZE, warp * 16, d * 16);

    float o[D / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {};
    const float factor = s.scale * LOG2E;
    for (int block = 0; block < blocks; block++) {
        wait_all();
        __syncthreads(); // this stage is here, and nobody reads the other any more
        const uint32_t stage = block % 2 * SIZE;
        if (block + 1 < blocks) {
            size_t next = size_t(block + 1) * 64;
            copy_tile<D, 64>(keys + (SIZE - stage), k + next * s.stride, s.stride, tile.length - next);
            copy_tile<D, 64>(values + (SIZE - stage), v + next * s.stride, s.stride, tile.length - next);
            commit();
        }
        float p[8][4] = {};
#pragma unroll
        for (int d = 0; d < D / 16; d++)
#pragma unroll
            for (int n = 0; n < 4; n++) {
                uint32_t b[4];
                right_rows<D>(b, keys + stage, n * 16, d * 16);
                multiply<T>(p[2 * n], q[d], b[0], b[1]);
                multiply<T>(p[2 * n + 1], q[d], b[2], b[3]);
            }
        if (block + 1 == blocks) { // the diagonal
            int row = warp * 16 + lane / 4;
#pragma unroll
            for (int n = 0; n < 8; n++)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    if (n * 8 + lane % 4 * 2 + i % 2 > row + i / 2 * 8) p[n][i] = -INFINITY;
        }
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float most = top[half];
#pragma unroll
            for (int n = 0; n < 8; n++) most = fmaxf(most, fmaxf(p[n][2 * half], p[n][2 * half + 1]));
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 1));
            most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, 2));
            float shrink = exp2f((top[half] - most) * factor);
            top[half] = most;
            sum[half] *= shrink;
#pragma unroll
            for (int n = 0; n < D / 8; n++) o[n][2 * half] *= shrink, o[n][2 * half + 1] *= shrink;
            float shift = most * factor;
#pragma unroll
            for (int n = 0; n < 8; n++)
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    p[n][i] = exp2f(p[n][i] * factor - shift);
                    sum[half] += p[n][i];
                }
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            uint32_t a[4];
            as_left<T>(a, p[2 * j], p[2 * j + 1]);
#pragma unroll
            for (int n = 0; n < D / 16; n++) {
                uint32_t b[4];
                right_columns<D>(b, values + stage, j * 16, n * 16);
                multiply<T>(o[2 * n], a, b[0], b[1]);
                multiply<T>(o[2 * n + 1], a, b[2], b[3]);
            }
        }
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
        sum[half] += __shfl_xor_sync(0xffffffff, sum[half], 1);
        sum[half] += __shfl_xor_sync(0xffffffff, sum[half], 2);
        int row = warp * 16 + lane / 4 + half * 8;
        if (lane % 4 == 0 && row < rows)
            lse[size_t(tile.first + tile.start + row) * s.heads + head] = top[half] * s.scale + log2f(sum[half]) * LN2;
    }
    store<D>(out + size_t(tile.first + tile.start + warp * 16) * s.width + head * D, s.width, o, 1.0f / sum[0], 1.0f / sum[1], rows - warp * 16);
}

// KEYS: keys a stage.
template <int D, int KEYS, class T>
__device__ void backward_q(const T *qkv, const T *dout, const float *lse, const float *delta, T *dqkv, const Tile *tiles, Shape s) {
    extern __shared__ __align__(128) uint8_t memory[];
    constexpr uint32_t SIZE = KEYS * D * 2;
    const uint32_t keys = shared_address(memory), values = keys + 2 * SIZE, own = values + 2 * SIZE; // own: q, then do
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, head = blockIdx.x;
    const Tile tile = tiles[blockIdx.y];
    const T *base = qkv + size_t(tile.first) * s.stride;
    const T *k = base + (s.heads + head / (s.heads / s.kv)) * D, *v = k + s.kv * D;
    const int rows = tile.length - tile.start, blocks = (min(tile.start + 64, tile.length) + KEYS - 1) / KEYS;
    const size_t token = tile.first + tile.start;

    copy_tile<D, 64>(own, base + size_t(tile.start) * s.stride + head * D, s.stride, rows);
    copy_tile<D, 64>(own + 64 * D * 2, dout + token * s.width + head * D, s.width, rows);
    copy_tile<D, KEYS>(keys, k, s.stride, tile.length);
    copy_tile<D, KEYS>(values, v, s.stride, tile.length);
    commit();
    wait_all();
    __syncthreads();
    uint32_t q[D / 16][4], dy[D / 16][4];
#pragma unroll
    for (int d = 0; d < D / 16; d++) {
        left<D>(q[d], own, warp * 16, d * 16);
        left<D>(dy[d], own + 64 * D * 2, warp * 16, d * 16);
    }
    float shift[2], along[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = warp * 16 + lane / 4 + half * 8;
        size_t at = (token + row) * s.heads + head;
        shift[half] = row < rows ? lse[at] * LOG2E : 0.0f;
        along[half] = row < rows ? delta[at] : 0.0f;
    }
    float dq[D / 8][4] = {};
    const float factor = s.scale * LOG2E;
    for (int block = 0; block < blocks; block++) {
        wait_all();
        __syncthreads();
        const uint32_t stage = block % 2 * SIZE;
        if (block + 1 < blocks) {
            size_t next = size_t(block + 1) * KEYS;
            copy_tile<D, KEYS>(keys + (SIZE - stage), k + next * s.stride, s.stride, tile.length - next);
            copy_tile<D, KEYS>(values + (SIZE - stage), v + next * s.stride, s.stride, tile.length - next);
            commit();
        }
        float p[KEYS / 8][4] = {}, ds[KEYS / 8][4] = {};
#pragma unroll
        for (int d = 0; d < D / 16; d++)
#pragma unroll
            for (int n = 0; n < KEYS / 16; n++) {
                uint32_t b[4];
                right_rows<D>(b, keys + stage, n * 16, d * 16);
                multiply<T>(p[2 * n], q[d], b[0], b[1]);
                multiply<T>(p[2 * n + 1], q[d], b[2], b[3]);
                right_rows<D>(b, values + stage, n * 16, d * 16);
                multiply<T>(ds[2 * n], dy[d], b[0], b[1]);
                multiply<T>(ds[2 * n + 1], dy[d], b[2], b[3]);
            }
        int row = tile.start + warp * 16 + lane / 4, first = block * KEYS + lane % 4 * 2;
        bool masked = (block + 1) * KEYS > int(tile.start);
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float e = exp2f(p[n][i] * factor - shift[i / 2]);
                if (masked && first + n * 8 + i % 2 > row + i / 2 * 8) e = 0.0f;
                ds[n][i] = e * (ds[n][i] - along[i / 2]);
            }
#pragma unroll
        for (int j = 0; j < KEYS / 16; j++) {
            uint32_t a[4];
            as_left<T>(a, ds[2 * j], ds[2 * j + 1]);
#pragma unroll
            for (int n = 0; n < D / 16; n++) {
                uint32_t b[4];
                right_columns<D>(b, keys + stage, j * 16, n * 16);
                multiply<T>(dq[2 * n], a, b[0], b[1]);
                multiply<T>(dq[2 * n + 1], a, b[2], b[3]);
            }
        }
    }
    store<D>(dqkv + (token + warp * 16) * s.stride + head * D, s.stride, dq, s.scale, s.scale, rows - warp * 16);
}

// QUERIES: queries a stage. Where query heads share a key head, each one's part goes to `parts` (2, N, H, D) in f32.
template <int D, int QUERIES, class T>
__device__ void backward_kv(const T *qkv, const T *dout, const float *lse, const float *delta, T *dqkv, float *parts, const Tile *tiles,
                            Shape s, uint32_t tokens) {
    extern __shared__ __align__(128) uint8_t memory[];
    constexpr uint32_t SIZE = QUERIES * D * 2;
    const uint32_t keys = shared_address(memory), values = keys + 64 * D * 2, queries = values + 64 * D * 2, grads = queries + 2 * SIZE;
    float *figures = reinterpret_cast<float *>(memory + 128 * D * 2 + 4 * SIZE); // two stages of lse, then of delta
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, head = blockIdx.x;
    const Tile tile = tiles[blockIdx.y];
    const T *base = qkv + size_t(tile.first) * s.stride, *q = base + head * D;
    const uint32_t shared_head = s.heads + head / (s.heads / s.kv);
    const T *k = base + shared_head * D, *v = k + s.kv * D;
    const T *dy = dout + size_t(tile.first) * s.width + head * D;
    const int rows = tile.length - tile.start, blocks = (rows + QUERIES - 1) / QUERIES;

    auto fetch = [&](int block) {
        const uint32_t stage = block % 2;
        size_t from = tile.start + size_t(block) * QUERIES;
        int count = tile.length - from;
        copy_tile<D, QUERIES>(queries + stage * SIZE, q + from * s.stride, s.stride, count);
        copy_tile<D, QUERIES>(grads + stage * SIZE, dy + from * s.width, s.width, count);
        if (threadIdx.x < 2 * QUERIES) {
            int row = threadIdx.x % QUERIES, which = threadIdx.x / QUERIES;
            bool there = row < count;
            const float *source = which ? delta : lse;
            copy_4(shared_address(figures + (which * 2 + stage) * QUERIES + row), source + (there ? (tile.first + from + row) * s.heads + head : 0), there);
        }
        commit();
    };
    copy_tile<D, 64>(keys, k + size_t(tile.start) * s.stride, s.stride, rows);
    copy_tile<D, 64>(values, v + size_t(tile.start) * s.stride, s.stride, rows);
    fetch(0);

    float dk[D / 8][4] = {}, dv[D / 8][4] = {};
    const float factor = s.scale * LOG2E;
    for (int block = 0; block < blocks; block++) {
        wait_all();
        __syncthreads();
        const uint32_t stage = block % 2;
        if (block + 1 < blocks) fetch(block + 1);
        // Transposed: rows are this warp's 16 keys, columns the queries.
        float p[QUERIES / 8][4] = {}, ds[QUERIES / 8][4] = {};
#pragma unroll
        for (int d = 0; d < D / 16; d++) {
            uint32_t a[4], b[4];
            left<D>(a, keys, warp * 16, d * 16);
#pragma unroll
            for (int n = 0; n < QUERIES / 16; n++) {
                right_rows<D>(b, queries + stage * SIZE, n * 16, d * 16);
                multiply<T>(p[2 * n], a, b[0], b[1]);
                multiply<T>(p[2 * n + 1], a, b[2], b[3]);
            }
            left<D>(a, values, warp * 16, d * 16);
#pragma unroll
            for (int n = 0; n < QUERIES / 16; n++) {
                right_rows<D>(b, grads + stage * SIZE, n * 16, d * 16);
                multiply<T>(ds[2 * n], a, b[0], b[1]);
                multiply<T>(ds[2 * n + 1], a, b[2], b[3]);
            }
        }
        int row = warp * 16 + lane / 4, first = block * QUERIES + lane % 4 * 2; // both from the tile's start
        bool masked = block * QUERIES < 64;
#pragma unroll
        for (int n = 0; n < QUERIES / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int column = n * 8 + lane % 4 * 2 + i % 2;
                float e = exp2f(p[n][i] * factor - figures[stage * QUERIES + column] * LOG2E);
                if (masked && first + n * 8 + i % 2 < row + i / 2 * 8) e = 0.0f;
                p[n][i] = e;
                ds[n][i] = e * (ds[n][i] - figures[(2 + stage) * QUERIES + column]);
            }
#pragma unroll
        for (int j = 0; j < QUERIES / 16; j++) {
            uint32_t a[4], c[4];
            as_left<T>(a, p[2 * j], p[2 * j + 1]);
            as_left<T>(c, ds[2 * j], ds[2 * j + 1]);
#pragma unroll
            for (int n = 0; n < D / 16; n++) {
                uint32_t b[4];
                right_columns<D>(b, grads + stage * SIZE, j * 16, n * 16);
                multiply<T>(dv[2 * n], a, b[0], b[1]);
                multiply<T>(dv[2 * n + 1], a, b[2], b[3]);
                right_columns<D>(b, queries + stage * SIZE, j * 16, n * 16);
                multiply<T>(dk[2 * n], c, b[0], b[1]);
                multiply<T>(dk[2 * n + 1], c, b[2], b[3]);
            }
        }
    }
    const size_t token = tile.first + tile.start + warp * 16;
    const int count = rows - warp * 16;
    if (s.heads == s.kv) {
        store<D>(dqkv + token * s.stride + shared_head * D, s.stride, dk, s.scale, s.scale, count);
        store<D>(dqkv + token * s.stride + (shared_head + s.kv) * D, s.stride, dv, 1.0f, 1.0f, count);
        return;
    }
    const size_t width = size_t(s.heads) * D;
    float *to = parts + token * width + head * D, *to_v = to + tokens * width;
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = lane / 4 + half * 8;
            if (row >= count) continue;
            size_t at = row * width + n * 8 + lane % 4 * 2;
            *reinterpret_cast<float2 *>(to + at) = make_float2(dk[n][2 * half] * s.scale, dk[n][2 * half + 1] * s.scale);
            *reinterpret_cast<float2 *>(to_v + at) = make_float2(dv[n][2 * half], dv[n][2 * half + 1]);
        }
}

// delta (N, H) = do . o, a warp a head.
template <int D, class T>
__device__ void products(const T *dout, const T *out, float *delta, uint32_t tokens, uint32_t heads, uint32_t dout_width, uint32_t out_width) {
    uint32_t item = FIRST / 32, lane = threadIdx.x % 32;
    if (item >= tokens * heads) return;
    constexpr int V = D / 32;
    size_t token = item / heads, at = item % heads * D + lane * V;
    auto a = Lanes<T, V>::load(dout + token * dout_width + at), b = Lanes<T, V>::load(out + token * out_width + at);
    float sum = 0.0f;
    for (int k = 0; k < V; k++) sum += a.v[k] * b.v[k];
    sum = warp_sum(sum);
    if (lane == 0) delta[item] = sum;
}

// The shares of each key (and value) head, added up in order: parts (2, N, KV group, D) -> columns of dqkv.
template <class T>
__device__ void shares(const float *parts, T *dqkv, uint32_t tokens, uint32_t stride, uint32_t heads, uint32_t kv, uint32_t group, uint32_t d) {
    size_t n = size_t(tokens) * kv * d;
    for (size_t i = FIRST * 4; i < 2 * n; i += STRIDE * 4) {
        size_t which = i / n, item = i % n, token = item / (kv * d), head = item / d % kv, at = item % d;
        const float *from = parts + ((which * tokens + token) * kv * group + head * group) * d + at;
        auto sum = Lanes<f32, 4>::load(from);
        for (uint32_t g = 1; g < group; g++) {
            auto more = Lanes<f32, 4>::load(from + g * d);
            for (int k = 0; k < 4; k++) sum.v[k] += more.v[k];
        }
        Lanes<T, 4> out;
        for (int k = 0; k < 4; k++) out.v[k] = sum.v[k];
        out.store(dqkv + token * stride + (heads + which * kv + head) * d + at);
    }
}

#define KERNELS(D, T, KEYS, QUERIES)                                                                                              \
    extern "C" __global__ void __launch_bounds__(128, 3)                                                                          \
        attention_forward_##D##_##T(const T *qkv, T *out, float *lse, const Tile *tiles, SHAPE) {                                 \
        forward<D>(qkv, out, lse, tiles, THE_SHAPE);                                                                              \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(128, 2) attention_backward_q_##D##_##T(                                          \
        const T *qkv, const T *dout, const float *lse, const float *delta, T *dqkv, const Tile *tiles, SHAPE) {                   \
        backward_q<D, KEYS>(qkv, dout, lse, delta, dqkv, tiles, THE_SHAPE);                                                       \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(128, 2)                                                                          \
        attention_backward_kv_##D##_##T(const T *qkv, const T *dout, const float *lse, const float *delta, T *dqkv,               \
                                        float *parts, const Tile *tiles, SHAPE, uint32_t tokens) {                                \
        backward_kv<D, QUERIES>(qkv, dout, lse, delta, dqkv, parts, tiles, THE_SHAPE, tokens);                                    \
    }                                                                                                                             \
    extern "C" __global__ void attention_products_##D##_##T(const T *dout, const T *out, float *delta, uint32_t tokens,           \
                                                            uint32_t heads, uint32_t dout_width, uint32_t out_width) {            \
        products<D>(dout, out, delta, tokens, heads, dout_width, out_width);                                                      \
    }

#define SHARES(T)                                                                                                                 \
    extern "C" __global__ void attention_shares_##T(const float *parts, T *dqkv, uint32_t tokens, uint32_t stride, uint32_t heads, \
                                                    uint32_t kv, uint32_t group, uint32_t d) {                                    \
        shares(parts, dqkv, tokens, stride, heads, kv, group, d);                                                                 \
    }

// Rows of a stage: as in attention.rs. Before 8.0 a block has 64 KiB of shared memory, so that heads of 128 leave room for few queries.
#if __CUDA_ARCH__ >= 800
#define FEW_QUERIES 32
#else
#define FEW_QUERIES 16
#endif

#define EACH_SIZE(T)                    \
    KERNELS(64, T, 64, 64)              \
    KERNELS(128, T, 32, FEW_QUERIES)    \
    SHARES(T)
EACH_SIZE(bf16)
EACH_SIZE(f16)
