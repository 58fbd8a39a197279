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

// Rows `blockIdx.y * rows ..` of each column: partial sums (chunks, C). A warp's threads read neighbouring columns; the 8 warps of
// a block take every eighth row.
template <class T> __device__ void column_partials(const T *x, float *partials, uint32_t n, uint32_t c, uint32_t rows) {
    __shared__ float sums[8][33];
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = blockIdx.x * 32 + lane;
    uint32_t end = min(n, (blockIdx.y + 1) * rows);
    float sum = 0.0f;
    if (column < c)
        for (uint32_t row = blockIdx.y * rows + warp; row < end; row += 8) sum += to_float(x[size_t(row) * c + column]);
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && column < c) {
        for (int i = 1; i < 8; i++) sum += sums[i][lane];
        partials[size_t(blockIdx.y) * c + column] = sum;
    }
}
extern "C" __global__ void column_partials_f32(const f32 *x, float *p, uint32_t n, uint32_t c, uint32_t rows) {
    column_partials(x, p, n, c, rows);
}
extern "C" __global__ void column_partials_bf16(const bf16 *x, float *p, uint32_t n, uint32_t c, uint32_t rows) {
    column_partials(x, p, n, c, rows);
}

// Adds up the partial sums of each column, in order.
extern "C" __global__ void column_totals(const float *partials, float *sums, uint32_t chunks, uint32_t c) {
    uint32_t column = FIRST;
    if (column >= c) return;
    float sum = 0.0f;
    for (uint32_t i = 0; i < chunks; i++) sum += partials[size_t(i) * c + column];
    sums[column] = sum;
}
