// RMSNorm and LayerNorm, statistics in f32: a block of 256 threads a row, or a warp.
#include "common.cuh"

#define EACH_LANE(V) _Pragma("unroll") for (int k = 0; k < V; k++)

// Forward: x (N, C) -> y, rows `stride` apart.
// Backward: dy, rows `stride` apart -> dx (N, C) = the gradient + `residual` (N, C), unless null; and y again (N, C), unless null.

// saved: r (N).
#define RMS(T, V, SUFFIX)                                                                                      \
    extern "C" __global__ void rms_norm##SUFFIX(const T *x, const T *w, T *y, float *saved, uint32_t c, \
                                                uint32_t stride, float eps) {                                  \
        const T *row = x + size_t(blockIdx.x) * c;                                                             \
        float squares = 0.0f;                                                                                  \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(row + i);                                                               \
            EACH_LANE(V) squares += a.v[k] * a.v[k];                                                           \
        }                                                                                                      \
        float r = 1.0f / sqrtf(block_sum(squares) / c + eps);                                                  \
        if (threadIdx.x == 0) saved[blockIdx.x] = r;                                                           \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(row + i), b = Lanes<T, V>::load(w + i);                                 \
            EACH_LANE(V) a.v[k] = a.v[k] * r * b.v[k];                                                         \
            a.store(y + size_t(blockIdx.x) * stride + i);                                                      \
        }                                                                                                      \
    }
EACH_TYPE(RMS)

// saved: mean and r (N, 2).
#define LAYER(T, V, SUFFIX)                                                                                    \
    extern "C" __global__ void layer_norm##SUFFIX(const T *x, const T *w, const T *b, T *y, float *saved, uint32_t c, \
                                                  uint32_t stride, float eps) {                                \
        const T *row = x + size_t(blockIdx.x) * c;                                                             \
        float total = 0.0f, squares = 0.0f;                                                                    \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(row + i);                                                               \
            EACH_LANE(V) total += a.v[k];                                                                      \
        }                                                                                                      \
        float mean = block_sum(total) / c;                                                                     \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(row + i);                                                               \
            EACH_LANE(V) squares += (a.v[k] - mean) * (a.v[k] - mean);                                         \
        }                                                                                                      \
        float r = 1.0f / sqrtf(block_sum(squares) / c + eps);                                                  \
        if (threadIdx.x == 0) saved[2 * blockIdx.x] = mean, saved[2 * blockIdx.x + 1] = r;                     \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(row + i), f = Lanes<T, V>::load(w + i), g = Lanes<T, V>::load(b + i);   \
            EACH_LANE(V) a.v[k] = (a.v[k] - mean) * r * f.v[k] + g.v[k];                                       \
            a.store(y + size_t(blockIdx.x) * stride + i);                                                      \
        }                                                                                                      \
    }
EACH_TYPE(LAYER)

// The same for rows of at most HELD pieces of V a lane: a warp a row, which it reads once and adds up without a barrier.
#define HELD 8
#define LAYER_HELD(T, V, SUFFIX)                                                                               \
    extern "C" __global__ void __launch_bounds__(128) layer_norm_held##SUFFIX(                                 \
        const T *x, const T *w, const T *b, T *y, float *saved, uint32_t c, uint32_t stride, float eps, uint32_t n) { \
        const uint32_t row = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;                       \
        if (row >= n) return;                                                                                  \
        Lanes<T, V> a[HELD];                                                                                   \
        float total = 0.0f, squares = 0.0f;                                                                    \
        _Pragma("unroll") for (int j = 0; j < HELD; j++) {                                                     \
            const uint32_t i = (j * 32 + lane) * V;                                                            \
            if (i >= c) break;                                                                                 \
            a[j] = Lanes<T, V>::load(x + size_t(row) * c + i);                                                 \
            EACH_LANE(V) total += a[j].v[k];                                                                   \
        }                                                                                                      \
        const float mean = warp_sum(total) / c;                                                                \
        _Pragma("unroll") for (int j = 0; j < HELD; j++) {                                                     \
            if ((j * 32 + lane) * V >= c) break;                                                               \
            EACH_LANE(V) squares += (a[j].v[k] - mean) * (a[j].v[k] - mean);                                   \
        }                                                                                                      \
        const float r = 1.0f / sqrtf(warp_sum(squares) / c + eps);                                             \
        if (lane == 0) saved[2 * row] = mean, saved[2 * row + 1] = r;                                          \
        _Pragma("unroll") for (int j = 0; j < HELD; j++) {                                                     \
            const uint32_t i = (j * 32 + lane) * V;                                                            \
            if (i >= c) break;                                                                                 \
            auto f = Lanes<T, V>::load(w + i), g = Lanes<T, V>::load(b + i);                                   \
            EACH_LANE(V) f.v[k] = (a[j].v[k] - mean) * r * f.v[k] + g.v[k];                                    \
            f.store(y + size_t(row) * stride + i);                                                             \
        }                                                                                                      \
    }
LAYER_HELD(f32, 4, _f32_wide)
LAYER_HELD(bf16, 8, _bf16_wide)
LAYER_HELD(f16, 8, _f16_wide)

// Backward of `rows` neighbouring rows, a power of two up to twice the 8 warps of a block. First the warps share them out for the sums along
// them; then each thread takes columns of its own through all of them. `partials` (blocks, kinds, C) takes the sums over these rows of
// dy x' with x' = (x - mean) r (if `weights`), of dy (LayerNorm's, with them), and of dx (if `sums`), in this order. Without SUMS there are
// none.
template <bool LAYER, bool SUMS, class T, int V>
__device__ void backward(const T *dy, const T *x, const T *w, const T *b, const float *saved, const T *residual, T *dx, T *again,
                         float *partials, uint32_t n, uint32_t c, uint32_t stride, uint32_t rows, uint32_t weights, uint32_t sums) {
    __shared__ float shares[2][16];
    const uint32_t first = blockIdx.x * rows, count = min(rows, n - first), warp = threadIdx.x / 32, a_row = rows < 8 ? 8 / rows : 1;
    auto mean_of = [&](uint32_t row) { return LAYER ? saved[2 * row] : 0.0f; };
    auto r_of = [&](uint32_t row) { return LAYER ? saved[2 * row + 1] : saved[row]; };
    for (uint32_t own = warp / a_row; own < count; own += 8 / a_row) {
        const uint32_t row = first + own;
        const float mean = mean_of(row), r = r_of(row);
        float sum = 0.0f, along = 0.0f;
        for (uint32_t i = (warp % a_row * 32 + threadIdx.x % 32) * V; i < c; i += a_row * 32 * V) {
            auto a = Lanes<T, V>::load(x + size_t(row) * c + i), f = Lanes<T, V>::load(w + i), d = Lanes<T, V>::load(dy + size_t(row) * stride + i);
            EACH_LANE(V) {
                float g = d.v[k] * f.v[k];
                sum += g;
                along += g * (a.v[k] - mean) * r;
            }
        }
        sum = warp_sum(sum);
        along = warp_sum(along);
        const uint32_t share = own * a_row + warp % a_row;
        if (threadIdx.x % 32 == 0) shares[0][share] = sum / c, shares[1][share] = along / c;
    }
    __syncthreads();
    const uint32_t of_weights = weights ? (LAYER ? 2 : 1) : 0, kinds = of_weights + (sums ? 1 : 0);
    for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {
        auto f = Lanes<T, V>::load(w + i);
        float dw[V] = {}, db[V] = {}, total[V] = {};
        for (uint32_t row = first; row < first + count; row++) {
            auto a = Lanes<T, V>::load(x + size_t(row) * c + i), d = Lanes<T, V>::load(dy + size_t(row) * stride + i);
            const float mean = mean_of(row), r = r_of(row);
            float sum = 0.0f, along = 0.0f;
            for (uint32_t share = (row - first) * a_row; share < (row - first + 1) * a_row; share++) {
                if (LAYER) sum += shares[0][share];
                along += shares[1][share];
            }
            EACH_LANE(V) {
                const float hat = (a.v[k] - mean) * r;
                if (SUMS) dw[k] += d.v[k] * hat, db[k] += d.v[k];
                d.v[k] = r * (d.v[k] * f.v[k] - sum - hat * along);
                a.v[k] = hat * f.v[k];
            }
            if (residual) {
                auto more = Lanes<T, V>::load(residual + size_t(row) * c + i);
                EACH_LANE(V) d.v[k] += more.v[k];
            }
            if (SUMS) EACH_LANE(V) total[k] += d.v[k];
            d.store(dx + size_t(row) * c + i);
            if (!again) continue;
            if (LAYER) {
                auto g = Lanes<T, V>::load(b + i);
                EACH_LANE(V) a.v[k] += g.v[k];
            }
            a.store(again + size_t(row) * c + i);
        }
        if (!SUMS) continue;
        float *own = partials + size_t(blockIdx.x) * kinds * c + i;
        if (weights) store_sums<V>(own, dw);
        if (LAYER && weights) store_sums<V>(own + c, db);
        if (sums) store_sums<V>(own + size_t(of_weights) * c, total);
    }
}
// Blocks that a multiprocessor is to have room for: before 8.0 it runs 1,024 threads at most.
#if __CUDA_ARCH__ >= 800
#define MOST_BLOCKS 6
#else
#define MOST_BLOCKS 4
#endif
#define BACKWARD_OF(NAME, LAYER, SUMS, T, V)                                                                   \
    extern "C" __global__ void __launch_bounds__(256, SUMS ? 2 : MOST_BLOCKS) NAME(const T *dy, const T *x, const T *w, const T *b, const float *saved, const T *residual, T *dx, \
                                    T *again, float *partials, uint32_t n, uint32_t c, uint32_t stride, uint32_t rows, \
                                    uint32_t weights, uint32_t sums) {                                         \
        backward<LAYER, SUMS, T, V>(dy, x, w, b, saved, residual, dx, again, partials, n, c, stride, rows, weights, sums); \
    }
#define BACKWARD(T, V, SUFFIX)                                      \
    BACKWARD_OF(rms_norm_backward##SUFFIX, false, false, T, V)      \
    BACKWARD_OF(rms_norm_backward_sums##SUFFIX, false, true, T, V)  \
    BACKWARD_OF(layer_norm_backward##SUFFIX, true, false, T, V)     \
    BACKWARD_OF(layer_norm_backward_sums##SUFFIX, true, true, T, V)
EACH_TYPE(BACKWARD)
