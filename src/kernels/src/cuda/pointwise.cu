// Sums of activations, element by element, and of columns.
#include "common.cuh"

#define ADD(T, V, SUFFIX)                                                                        \
    extern "C" __global__ void add##SUFFIX(T *into, const T *x, size_t n) {                      \
        for (size_t i = FIRST * V; i < n; i += STRIDE * V) {                                     \
            auto a = Lanes<T, V>::load(into + i), b = Lanes<T, V>::load(x + i);                  \
            for (int k = 0; k < V; k++) a.v[k] += b.v[k];                                        \
            a.store(into + i);                                                                   \
        }                                                                                        \
    }
EACH_TYPE(ADD)

#define ADD_BIAS(T, V, SUFFIX)                                                                   \
    extern "C" __global__ void add_bias##SUFFIX(T *into, const T *bias, size_t n, uint32_t c) {  \
        for (size_t i = FIRST * V; i < n; i += STRIDE * V) {                                     \
            auto a = Lanes<T, V>::load(into + i), b = Lanes<T, V>::load(bias + i % c);           \
            for (int k = 0; k < V; k++) a.v[k] += b.v[k];                                        \
            a.store(into + i);                                                                   \
        }                                                                                        \
    }
EACH_TYPE(ADD_BIAS)

// Partial sums (chunks, C) of the columns over `rows` rows each: a warp's threads read V neighbouring columns each, the 8 warps of a
// block take every eighth row.
template <class T, int V> __device__ void column_partials(const T *x, float *partials, uint32_t n, uint32_t c, uint32_t rows) {
    __shared__ float sums[8][V][32];
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = (blockIdx.x * 32 + lane) * V;
    uint32_t end = min(n, (blockIdx.y + 1) * rows);
    float sum[V] = {};
    if (column < c)
#pragma unroll 4
        for (uint32_t row = blockIdx.y * rows + warp; row < end; row += 8) {
            auto a = Lanes<T, V>::load(x + size_t(row) * c + column);
#pragma unroll
            for (int k = 0; k < V; k++) sum[k] += a.v[k];
        }
#pragma unroll
    for (int k = 0; k < V; k++) sums[warp][k][lane] = sum[k];
    __syncthreads();
    // The block's threads share out the V columns of each lane.
    for (uint32_t i = threadIdx.x; i < 32 * V; i += blockDim.x) {
        uint32_t own = (blockIdx.x * 32 + i / V) * V + i % V;
        if (own >= c) break;
        float total = 0.0f;
        for (int w = 0; w < 8; w++) total += sums[w][i % V][i / V];
        partials[size_t(blockIdx.y) * c + own] = total;
    }
}
#define COLUMN_PARTIALS(T, V, SUFFIX)                                                                                            \
    extern "C" __global__ void column_partials##SUFFIX(const T *x, float *p, uint32_t n, uint32_t c, uint32_t rows) {           \
        column_partials<T, V>(x, p, n, c, rows);                                                                                 \
    }
EACH_TYPE(COLUMN_PARTIALS)

// Partial sums (chunks, columns) of kinds of C columns each, and their totals (kinds, stride).
struct Shares {
    const float *partials;
    float *totals;
    uint32_t chunks, columns, c, stride;
};

// Totals of 32 V columns: the block's 32 warps share out the chunks, whose sums a thread reads of V neighbouring columns.
template <int V> __device__ void column_totals(const Shares &of, uint32_t block) {
    __shared__ float shares[V][32][33];
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = (block * 32 + lane) * V;
    float sum[V] = {};
    if (column < of.columns)
#pragma unroll 4
        for (uint32_t i = warp; i < of.chunks; i += 32) {
            auto a = Lanes<float, V>::load(of.partials + size_t(i) * of.columns + column);
#pragma unroll
            for (int k = 0; k < V; k++) sum[k] += a.v[k];
        }
#pragma unroll
    for (int k = 0; k < V; k++) shares[k][warp][lane] = sum[k];
    __syncthreads();
    // Transposed: each warp adds up V neighbouring columns.
    column = (block * 32 + warp) * V;
#pragma unroll
    for (int k = 0; k < V; k++) {
        float total = warp_sum(shares[k][lane][warp]);
        uint32_t own = column + k;
        if (lane == 0 && own < of.columns) of.totals[size_t(own / of.c) * of.stride + own % of.c] = total;
    }
}

// Adds up four lists of partial sums, of which some may be empty: a block of 1,024 threads 128 columns, or 32 where rows start anywhere.
extern "C" __global__ void column_totals(Shares a, Shares b, Shares c, Shares d) {
    uint32_t block = blockIdx.x;
    auto wide = [](const Shares &of) { return of.columns % 4 == 0; };
    auto blocks = [&](const Shares &of) { return wide(of) ? (of.columns + 127) / 128 : (of.columns + 31) / 32; };
    if (block >= blocks(a)) {
        block -= blocks(a), a = b;
        if (block >= blocks(a)) {
            block -= blocks(a), a = c;
            if (block >= blocks(a)) block -= blocks(a), a = d;
        }
    }
    if (wide(a)) column_totals<4>(a, block);
    else column_totals<1>(a, block);
}
