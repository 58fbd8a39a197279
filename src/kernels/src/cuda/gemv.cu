// A few rows times a matrix, as decoding has them: a warp an output column, so that every weight is read once, 16 bytes a lane.
#include "common.cuh"

// x (B, K), w (N, K) -> y (B, N) = x w^T, sums in f32.
template <class T, int B> __device__ void gemv(const T *x, const T *w, T *y, uint32_t n, uint32_t k) {
    constexpr int V = 16 / sizeof(T), AHEAD = 4;
    uint32_t column = FIRST / 32, lane = threadIdx.x % 32;
    if (column >= n) return;
    const T *weights = w + size_t(column) * k;
    float sums[B] = {};
    for (uint32_t start = lane * V; start < k; start += 32 * V * AHEAD) {
        uint4 raw[AHEAD];
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            uint32_t at = start + a * 32 * V;
            raw[a] = at < k ? __ldcs(reinterpret_cast<const uint4 *>(weights + at)) : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            uint32_t at = start + a * 32 * V;
            if (at >= k) break;
            const T *piece = reinterpret_cast<const T *>(&raw[a]);
#pragma unroll
            for (int b = 0; b < B; b++) {
                auto row = Lanes<T, V>::load(x + size_t(b) * k + at);
#pragma unroll
                for (int i = 0; i < V; i++) sums[b] += row.v[i] * to_float(piece[i]);
            }
        }
    }
#pragma unroll
    for (int b = 0; b < B; b++) {
        float sum = warp_sum(sums[b]);
        if (lane == 0) y[size_t(b) * n + column] = from_float<T>(sum);
    }
}

#define GEMV(B, T, SUFFIX)                                                                                             \
    extern "C" __global__ void gemv_##B##SUFFIX(const T *x, const T *w, T *y, uint32_t n, uint32_t k) { gemv<T, B>(x, w, y, n, k); }
#define EACH_ROWS(T, SUFFIX) GEMV(1, T, SUFFIX) GEMV(2, T, SUFFIX) GEMV(3, T, SUFFIX) GEMV(4, T, SUFFIX)
EACH_ROWS(f32, _f32)
EACH_ROWS(bf16, _bf16)
