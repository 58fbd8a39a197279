// A few rows times a matrix, y = x w^T, at the speed of memory: every weight is read once for all rows, 16 bytes a lane, straight into
// the tensor cores' fragments. The sums of a row do not depend on which other rows there are.
#include "decode.cuh"

// Elements of a row that a warp takes at a time: 128 bytes of bf16. A block's warps take chunks in turn.
constexpr uint32_t CHUNK = 64;
// What is done to the sums before they are written.
enum Then : uint32_t { NOTHING, GELU, SWIGLU };

// y = then(x w^T + bias) + residual for x (rows, k), w (n, k); with SWIGLU w has 2 n rows, gate above up. With an adapter of k2
// columns: + h b^T before the bias, where h = x a^T in the rows from `tuned_from` on and 0 before, a (k2, k), b (n, k2).
template <class T> struct Product {
    const T *x, *w, *bias, *residual; // bias, residual: or null
    void *y;
    const T *a, *b;
    T *h;              // (rows, k2); in bf16 all MISSING at the start
    float *partials;   // of h: (blocks that make it, sums of a block)
    uint32_t *tickets; // (parts of h), zeros
    uint32_t ldx, ldw, k, k2, ldb, ldy, n, rows, tuned_from;
    uint32_t shares;     // of h's depth, a block each
    uint32_t then, wide; // wide: y is f32
};

__device__ __forceinline__ float silu(float x) { return x / (1.0f + expf(-x)); }
__device__ __forceinline__ float gelu_tanh(float x) {
    return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

// What an element of y is made of beside its sums.
struct Beside {
    float bias = 0.0f, up_bias = 0.0f, residual = 0.0f;
};
template <class T> __device__ __forceinline__ void fetch_bias(Beside &beside, const Product<T> &p, uint32_t column) {
    if (!p.bias) return;
    beside.bias = to_float(p.bias[column]);
    if (p.then == SWIGLU) beside.up_bias = to_float(p.bias[p.n + column]);
}
template <class T> __device__ __forceinline__ void fetch_residual(Beside &beside, const Product<T> &p, uint32_t row, uint32_t column) {
    if (p.residual) beside.residual = to_float(p.residual[size_t(row) * p.ldy + column]);
}
template <class T>
__device__ __forceinline__ void finish(const Product<T> &p, uint32_t row, uint32_t column, float sum, float up, const Beside &beside) {
    sum += beside.bias;
    if (p.then == GELU) sum = gelu_tanh(sum);
    if (p.then == SWIGLU) sum = silu(sum) * (up + beside.up_bias);
    sum += beside.residual;
    const size_t at = size_t(row) * p.ldy + column;
    if (p.wide)
        static_cast<float *>(p.y)[at] = sum;
    else
        static_cast<T *>(p.y)[at] = from_float<T>(sum);
}

__device__ __forceinline__ uint4 stream_in(const bf16 *from) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
    return v;
}

// Two elements of h that are still to be made: no sum is rounded to these bits, so h itself says when it is there.
constexpr uint32_t MISSING = 0xffffffff;

// 8 elements of h as they are now.
__device__ __forceinline__ uint4 look(const bf16 *from) {
    uint4 v;
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from) : "memory");
    return v;
}

// c (16 x 8) += a (16 x 16) b (16 x 8)
__device__ __forceinline__ void mma(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
#else
    __trap();
#endif
}

// A block takes M tiles of 16 rows of w (with SWIGLU: 8 of gate and their 8 of up) and up to 8 G rows of x. Of a fragment's 32 columns,
// lane 4 g + t holds 8 t .. 8 t + 7 of row g: not the order that `mma` counts them in, but the same one for w and x.
// The first blocks make h, each a share of the depth of 16 M of its columns; the others need it last.
// AHEAD: chunks of a warp that are on their way at one time.
template <int G, int M, int WARPS, int AHEAD> __device__ void few_rows(const Product<bf16> &p) {
    constexpr uint32_t THREADS = 32 * WARPS;
    __shared__ float sums[WARPS][16 * M][8 * G + 1];
    let_next_start();
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const uint32_t parts = (p.k2 + 16 * M - 1) / (16 * M), before = parts * p.shares;
    const bool thin = blockIdx.x < before, paired = !thin && p.then == SWIGLU;
    const uint32_t part = blockIdx.x / max(p.shares, 1u), tile = thin ? part : blockIdx.x - before, n = thin ? p.k2 : p.n;
    const uint32_t step = paired ? 8 : 16, first = tile * M * step, width = M * step;
    const bf16 *const weights = thin ? p.a : p.w;
    const uint32_t ldw = thin ? p.k : p.ldw;
    uint32_t low[M], high[M];
#pragma unroll
    for (int m = 0; m < M; m++) {
        const uint32_t at = first + m * step + g;
        low[m] = min(at, n - 1);
        high[m] = paired ? n + low[m] : min(at + 8, n - 1);
    }
    const uint32_t chunks = (p.k + CHUNK - 1) / CHUNK, share = thin ? (chunks + p.shares - 1) / p.shares : chunks;
    const uint32_t begin = thin ? min(chunks, blockIdx.x % p.shares * share) : 0, end = min(chunks, begin + share);

    float c[M][G][4] = {};
    // Both pieces of 32 columns of a chunk: 16 bytes of each of two rows a tile.
    auto load = [&](uint4 (&w)[M][4], const bf16 *from, uint32_t ld, uint32_t at, uint32_t depth) {
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int s = 0; s < 2; s++) {
                const bool there = at + 32 * s < depth;
                w[m][s] = there ? stream_in(from + size_t(low[m]) * ld + at + 32 * s) : make_uint4(0, 0, 0, 0);
                w[m][2 + s] = there ? stream_in(from + size_t(high[m]) * ld + at + 32 * s) : make_uint4(0, 0, 0, 0);
            }
    };
    auto multiply = [&](const uint4 (&w)[M][4], int s, int i, uint4 x) {
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma(c[m][i], w[m][s].x, w[m][2 + s].x, w[m][s].y, w[m][2 + s].y, x.x, x.y);
            mma(c[m][i], w[m][s].z, w[m][2 + s].z, w[m][s].w, w[m][2 + s].w, x.z, x.w);
        }
    };

    uint4 w[AHEAD][M][4];
    auto load_all = [&](uint32_t chunk) {
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const uint32_t own = chunk + u * WARPS;
            load(w[u], weights, ldw, own * CHUNK + 8 * t, own < end ? p.k : 0);
        }
    };
    uint32_t chunk = begin + warp;
    load_all(chunk);
    // An adapter's columns are chunks of their own, behind the others.
    const uint32_t more = thin ? 0 : (p.k2 + CHUNK - 1) / CHUNK;
    uint32_t extra = (warp + WARPS - chunks % WARPS) % WARPS;
    if (extra < more)
#pragma unroll
        for (int m = 0; m < M; m++) {
            asm volatile("prefetch.global.L2 [%0];" ::"l"(p.b + size_t(low[m]) * p.ldb + min(extra * CHUNK + 8 * t, p.k2 - 8)));
            asm volatile("prefetch.global.L2 [%0];" ::"l"(p.b + size_t(high[m]) * p.ldb + min(extra * CHUNK + 8 * t, p.k2 - 8)));
        }
    // What this thread's first element needs at the end.
    const uint32_t own_row = threadIdx.x / width, own_column = first + threadIdx.x % width;
    const bool own = !thin && own_row < p.rows && own_column < n;
    Beside beside;
    if (own) fetch_bias(beside, p, own_column);
    wait_for_input();
    if (own) fetch_residual(beside, p, own_row, own_column);

    for (; chunk < end; chunk += AHEAD * WARPS) {
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const uint32_t now = chunk + u * WARPS, at = now * CHUNK + 8 * t, depth = now < end ? p.k : 0;
#pragma unroll
            for (int s = 0; s < 2; s++)
#pragma unroll
                for (int i = 0; i < G; i++) {
                    uint4 x = make_uint4(0, 0, 0, 0);
                    if (8 * i + g < p.rows && at + 32 * s < depth) x = *reinterpret_cast<const uint4 *>(p.x + size_t(8 * i + g) * p.ldx + at + 32 * s);
                    multiply(w[u], s, i, x);
                }
        }
        if (chunk + AHEAD * WARPS < end) load_all(chunk + AHEAD * WARPS);
    }
    for (; extra < more; extra += WARPS) {
        const uint32_t at = extra * CHUNK + 8 * t;
        load(w[0], p.b, p.ldb, at, p.k2);
        uint4 h[2][G];
        for (bool missing = true; missing;) {
            missing = false;
#pragma unroll
            for (int s = 0; s < 2; s++)
#pragma unroll
                for (int i = 0; i < G; i++) {
                    const bool there = 8 * i + g < p.rows && at + 32 * s < p.k2;
                    h[s][i] = there ? look(p.h + size_t(8 * i + g) * p.k2 + at + 32 * s) : make_uint4(0, 0, 0, 0);
                }
#pragma unroll
            for (int s = 0; s < 2; s++)
#pragma unroll
                for (int i = 0; i < G; i++) missing |= h[s][i].x == MISSING || h[s][i].y == MISSING || h[s][i].z == MISSING || h[s][i].w == MISSING;
        }
#pragma unroll
        for (int s = 0; s < 2; s++)
#pragma unroll
            for (int i = 0; i < G; i++) multiply(w[0], s, i, h[s][i]);
    }
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int i = 0; i < G; i++)
#pragma unroll
            for (int e = 0; e < 4; e++) sums[warp][16 * m + g + 8 * (e / 2)][8 * i + 2 * t + e % 2] = c[m][i][e];
    __syncthreads();

    // The warps' sums, in order.
    auto total = [&](uint32_t r, uint32_t row) {
        float sum = 0.0f;
#pragma unroll
        for (uint32_t k = 0; k < WARPS; k++) sum += sums[k][r][row];
        return sum;
    };
    if (!thin) {
        for (uint32_t i = threadIdx.x; i < width * p.rows; i += THREADS) {
            const uint32_t at = i % width, row = i / width, r = paired ? at / 8 * 16 + at % 8 : at;
            if (first + at >= n) continue;
            if (i != threadIdx.x) {
                fetch_bias(beside, p, first + at);
                fetch_residual(beside, p, row, first + at);
            }
            finish(p, row, first + at, total(r, row), paired ? total(r + 8, row) : 0.0f, beside);
        }
        return;
    }
    // Two columns at once: a reader knows them by their bits.
    auto write_h = [&](uint32_t i, float low, float high) {
        const uint32_t column = first + i % (16 * M), row = i / (16 * M);
        if (column >= n || row >= p.rows) return;
        const __nv_bfloat162 two = row < p.tuned_from ? __floats2bfloat162_rn(0.0f, 0.0f) : __floats2bfloat162_rn(low, high);
        const uint32_t bits = *reinterpret_cast<const uint32_t *>(&two);
        asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p.h + size_t(row) * p.k2 + column), "r"(bits) : "memory");
    };
    constexpr uint32_t COUNT = 16 * M * 8 * G;
    if (p.shares == 1) {
        for (uint32_t i = 2 * threadIdx.x; i < COUNT; i += 2 * THREADS)
            write_h(i, total(i % (16 * M), i / (16 * M)), total(i % (16 * M) + 1, i / (16 * M)));
        return;
    }
    float *partials = p.partials + size_t(part) * p.shares * COUNT;
    for (uint32_t i = threadIdx.x; i < COUNT; i += THREADS) partials[blockIdx.x % p.shares * COUNT + i] = total(i % (16 * M), i / (16 * M));
    if (!last_to_come(p.tickets + part, p.shares)) return;
    for (uint32_t i = 2 * threadIdx.x; i < COUNT; i += 2 * THREADS) {
        float low = 0.0f, high = 0.0f;
        for (uint32_t k = 0; k < p.shares; k++) {
            const float2 sums = __ldcg(reinterpret_cast<const float2 *>(partials + k * COUNT + i));
            low += sums.x, high += sums.y;
        }
        write_h(i, low, high);
    }
}

// The same in f32, with h made before: a warp two rows of w (with SWIGLU: of gate and its one of up), four rows of x
// at a time.
__device__ void few_rows_f32(const Product<float> &p) {
    let_next_start();
    wait_for_input();
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const bool paired = p.then == SWIGLU;
    const uint32_t low = blockIdx.x * (paired ? 8 : 16) + warp, high = paired ? p.n + low : low + 8, last = (paired ? 2 * p.n : p.n) - 1;
    if (low >= p.n) return;
    for (uint32_t first = 0; first < p.rows; first += 4) {
        float a[4] = {}, b[4] = {};
        for (int second = 0; second < 2; second++) {
            const float *x = second ? p.h : p.x, *w = second ? p.b : p.w;
            const uint32_t ldx = second ? p.k2 : p.ldx, ldw = second ? p.ldb : p.ldw, depth = second ? p.k2 : p.k;
            for (uint32_t at = lane * 4; at < depth; at += 128) {
                auto u = Lanes<float, 4>::load(w + size_t(low) * ldw + at), v = Lanes<float, 4>::load(w + size_t(min(high, last)) * ldw + at);
#pragma unroll
                for (int r = 0; r < 4; r++) {
                    if (first + r >= p.rows) break;
                    auto y = Lanes<float, 4>::load(x + size_t(first + r) * ldx + at);
#pragma unroll
                    for (int i = 0; i < 4; i++) a[r] += y.v[i] * u.v[i], b[r] += y.v[i] * v.v[i];
                }
            }
        }
#pragma unroll
        for (int r = 0; r < 4; r++) {
            const float one = warp_sum(a[r]), two = warp_sum(b[r]);
            if (lane != 0 || first + r >= p.rows) continue;
            auto write = [&](uint32_t column, float sum, float up) {
                Beside beside;
                fetch_bias(beside, p, column);
                fetch_residual(beside, p, first + r, column);
                finish(p, first + r, column, sum, up, beside);
            };
            write(low, one, two);
            if (!paired && high < p.n) write(high, two, 0.0f);
        }
    }
}

#define PRODUCT(T, NAME, THREADS, BLOCKS, BODY)                                                                                     \
    extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                                                                   \
        NAME(const T *x, const T *w, const T *bias, const T *residual, void *y, const T *a, const T *b, T *h, float *partials, uint32_t *tickets, \
             uint32_t ldx, uint32_t ldw, uint32_t k, uint32_t k2, uint32_t ldb, uint32_t ldy, uint32_t n, uint32_t rows, \
             uint32_t tuned_from, uint32_t shares, uint32_t then, uint32_t wide) {                                                  \
        BODY(Product<T>{x, w, bias, residual, y, a, b, h, partials, tickets, ldx, ldw, k, k2, ldb, ldy, n, rows, tuned_from, shares, then, wide}); \
    }
PRODUCT(f32, gemv_f32, 256, 1, few_rows_f32)
PRODUCT(bf16, gemv_8x16, 256, 2, (few_rows<1, 1, 8, 4>))
PRODUCT(bf16, gemv_16x16, 256, 2, (few_rows<2, 1, 8, 4>))
PRODUCT(bf16, gemv_16x32, 256, 2, (few_rows<2, 2, 8, 2>))
// For few tiles: as many loads in flight with one block a multiprocessor.
PRODUCT(bf16, gemv_8x16_deep, 512, 1, (few_rows<1, 1, 16, 4>))
PRODUCT(bf16, gemv_16x16_deep, 512, 1, (few_rows<2, 1, 16, 4>))
