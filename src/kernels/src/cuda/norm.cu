// RMSNorm and LayerNorm: a block of 256 threads a row, statistics in f32.
#include "common.cuh"

#define EACH_LANE(V) _Pragma("unroll") for (int k = 0; k < V; k++)

// Forward: x (N, C) -> y, rows `stride` apart. With `more` (N, C) the norm is of x + more, which goes to `sum`.
// Backward: dy, rows `stride` apart -> dx (N, C) = the gradient + `residual` (N, C), unless null; and y again (N, C), unless null.

// What forward normalises: the row itself, or its sum with `more`, as it is stored.
#define ROW(T, V)                                                                                              \
    const T *row = x + size_t(blockIdx.x) * c;                                                                 \
    if (more) {                                                                                                \
        T *into = sum + size_t(blockIdx.x) * c;                                                                \
        const T *other = more + size_t(blockIdx.x) * c;                                                        \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(row + i), b = Lanes<T, V>::load(other + i);                             \
            EACH_LANE(V) a.v[k] += b.v[k];                                                                     \
            a.store(into + i);                                                                                 \
        }                                                                                                      \
        row = into; /* a thread reads back what it wrote itself */                                             \
    }

// saved: r (N).
#define RMS(T, V, SUFFIX)                                                                                      \
    extern "C" __global__ void rms_norm##SUFFIX(const T *x, const T *more, T *sum, const T *w, T *y, float *saved, uint32_t c, \
                                                uint32_t stride, float eps) {                                  \
        ROW(T, V)                                                                                              \
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
    }                                                                                                          \
    extern "C" __global__ void rms_norm_backward##SUFFIX(const T *dy, const T *x, const T *w, const T *b, const float *saved, \
                                                         const T *residual, T *dx, T *again, uint32_t c, uint32_t stride) { \
        size_t at = size_t(blockIdx.x) * c;                                                                    \
        const T *gradient = dy + size_t(blockIdx.x) * stride;                                                  \
        float r = saved[blockIdx.x], along = 0.0f;                                                             \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(x + at + i), f = Lanes<T, V>::load(w + i), d = Lanes<T, V>::load(gradient + i); \
            EACH_LANE(V) along += d.v[k] * f.v[k] * a.v[k];                                                    \
        }                                                                                                      \
        along = block_sum(along) * r / c;                                                                      \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(x + at + i), f = Lanes<T, V>::load(w + i), d = Lanes<T, V>::load(gradient + i); \
            EACH_LANE(V) d.v[k] = r * (d.v[k] * f.v[k] - a.v[k] * r * along);                                  \
            if (residual) {                                                                                    \
                auto more = Lanes<T, V>::load(residual + at + i);                                              \
                EACH_LANE(V) d.v[k] += more.v[k];                                                              \
            }                                                                                                  \
            d.store(dx + at + i);                                                                              \
            if (again) {                                                                                       \
                EACH_LANE(V) a.v[k] = a.v[k] * r * f.v[k];                                                     \
                a.store(again + at + i);                                                                       \
            }                                                                                                  \
        }                                                                                                      \
    }
EACH_TYPE(RMS)

// saved: mean and r (N, 2).
#define LAYER(T, V, SUFFIX)                                                                                    \
    extern "C" __global__ void layer_norm##SUFFIX(const T *x, const T *more, T *sum, const T *w, const T *b, T *y, float *saved, uint32_t c, \
                                                  uint32_t stride, float eps) {                                \
        ROW(T, V)                                                                                              \
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
    }                                                                                                          \
    extern "C" __global__ void layer_norm_backward##SUFFIX(const T *dy, const T *x, const T *w, const T *b, const float *saved, \
                                                           const T *residual, T *dx, T *again, uint32_t c, uint32_t stride) { \
        size_t at = size_t(blockIdx.x) * c;                                                                    \
        const T *gradient = dy + size_t(blockIdx.x) * stride;                                                  \
        float mean = saved[2 * blockIdx.x], r = saved[2 * blockIdx.x + 1], sum = 0.0f, along = 0.0f;           \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(x + at + i), f = Lanes<T, V>::load(w + i), d = Lanes<T, V>::load(gradient + i); \
            EACH_LANE(V) {                                                                                     \
                float g = d.v[k] * f.v[k];                                                                     \
                sum += g;                                                                                      \
                along += g * (a.v[k] - mean) * r;                                                              \
            }                                                                                                  \
        }                                                                                                      \
        sum = block_sum(sum) / c;                                                                              \
        along = block_sum(along) / c;                                                                          \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {                                       \
            auto a = Lanes<T, V>::load(x + at + i), f = Lanes<T, V>::load(w + i), d = Lanes<T, V>::load(gradient + i); \
            EACH_LANE(V) d.v[k] = r * (d.v[k] * f.v[k] - sum - (a.v[k] - mean) * r * along);                   \
            if (residual) {                                                                                    \
                auto more = Lanes<T, V>::load(residual + at + i);                                              \
                EACH_LANE(V) d.v[k] += more.v[k];                                                              \
            }                                                                                                  \
            d.store(dx + at + i);                                                                              \
            if (again) {                                                                                       \
                auto g = Lanes<T, V>::load(b + i);                                                             \
                EACH_LANE(V) a.v[k] = (a.v[k] - mean) * r * f.v[k] + g.v[k];                                   \
                a.store(again + at + i);                                                                       \
            }                                                                                                  \
        }                                                                                                      \
    }
EACH_TYPE(LAYER)

// Partial sums (chunks, C) of dy x' and of dy over `rows` rows each; x' = (x - mean) r. saved holds `of` figures a row: r alone
// (RMSNorm; db is null), or mean and r.
template <class T>
__device__ void partials(const T *dy, const T *x, const float *saved, float *dw, float *db, uint32_t n, uint32_t c, uint32_t rows, uint32_t of) {
    __shared__ float sums[2][8][33];
    uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, column = blockIdx.x * 32 + lane;
    uint32_t end = min(n, (blockIdx.y + 1) * rows);
    float weight = 0.0f, bias = 0.0f;
    if (column < c)
        for (uint32_t row = blockIdx.y * rows + warp; row < end; row += 8) {
            float mean = of == 2 ? saved[2 * row] : 0.0f, r = saved[of * row + of - 1];
            float d = to_float(dy[size_t(row) * c + column]);
            weight += d * (to_float(x[size_t(row) * c + column]) - mean) * r;
            bias += d;
        }
    sums[0][warp][lane] = weight;
    sums[1][warp][lane] = bias;
    __syncthreads();
    if (warp == 0 && column < c) {
        for (int i = 1; i < 8; i++) weight += sums[0][i][lane], bias += sums[1][i][lane];
        dw[size_t(blockIdx.y) * c + column] = weight;
        if (db) db[size_t(blockIdx.y) * c + column] = bias;
    }
}
#define PARTIALS(T, SUFFIX)                                                                                    \
    extern "C" __global__ void norm_partials##SUFFIX(const T *dy, const T *x, const float *saved, float *dw, float *db, uint32_t n, \
                                                     uint32_t c, uint32_t rows, uint32_t of) {                 \
        partials(dy, x, saved, dw, db, n, c, rows, of);                                                        \
    }
PARTIALS(f32, _f32)
PARTIALS(bf16, _bf16)
