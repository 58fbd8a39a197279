// GELU (tanh form) and SwiGLU, forward and backward, in f32 between their loads and stores.
//
// A block takes 256 V columns of a row, so that rows may lie apart. Backward works in place: the gradient takes the place of what forward
// took, and what forward gave (if `again`) that of its own gradient, so that forward's result need not be kept.
#include "tiles.cuh"

// GELU of x, and its slope there. tanh z = 1 - 2 / (1 + exp 2z), whose error is that of its last digit beside 1.
__device__ __forceinline__ float gelu(float x, float &slope) {
    float square = x * x, z = 0.7978845608028654f * x * (1.0f + 0.044715f * square);
    float t = 1.0f - __fdividef(2.0f, 1.0f + __expf(2.0f * z));
    slope = 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.7978845608028654f * (1.0f + 0.134145f * square);
    return 0.5f * x * (1.0f + t);
}
__device__ __forceinline__ float gelu(float x) {
    float slope;
    return gelu(x, slope);
}

#define PLACE(V)                                                         \
    size_t row = blockIdx.x;                                             \
    uint32_t i = (blockIdx.y * blockDim.x + threadIdx.x) * V;            \
    if (i >= width) return;

// x (N, width) -> y, rows `stride` apart.
#define GELU(T, V, SUFFIX)                                                                                             \
    extern "C" __global__ void gelu##SUFFIX(const T *x, T *y, uint32_t width, uint32_t stride) {                       \
        PLACE(V)                                                                                                       \
        auto a = Lanes<T, V>::load(x + row * width + i);                                                               \
        for (int k = 0; k < V; k++) a.v[k] = gelu(a.v[k]);                                                             \
        a.store(y + row * stride + i);                                                                                 \
    }
EACH_TYPE(GELU)

// A block takes blockDim.x V columns of `rows` neighbouring rows, two at a time, since the loads of one would wait for the stores of the
// one before; `partials` (gridDim.x, width), unless null, takes the sums of the gradient over these rows.
template <class T, int V>
__device__ void gelu_backward(T *dy, T *x, float *partials, uint32_t n, uint32_t width, uint32_t stride, uint32_t rows, uint32_t again) {
    constexpr int TOGETHER = 2;
    const uint32_t i = (blockIdx.y * blockDim.x + threadIdx.x) * V, end = min(n, (blockIdx.x + 1) * rows);
    if (i >= width) return;
    float sums[V] = {};
    for (uint32_t row = blockIdx.x * rows; row < end; row += TOGETHER) {
        Lanes<T, V> a[TOGETHER], d[TOGETHER];
#pragma unroll
        for (int k = 0; k < TOGETHER; k++)
            if (row + k < end) a[k] = Lanes<T, V>::load(x + size_t(row + k) * width + i), d[k] = Lanes<T, V>::load(dy + size_t(row + k) * stride + i);
#pragma unroll
        for (int k = 0; k < TOGETHER; k++) {
            if (row + k >= end) break;
#pragma unroll
            for (int v = 0; v < V; v++) {
                float slope;
                a[k].v[v] = gelu(a[k].v[v], slope);
                d[k].v[v] *= slope;
                sums[v] += d[k].v[v];
            }
            d[k].store(x + size_t(row + k) * width + i);
            if (again) a[k].store(dy + size_t(row + k) * stride + i);
        }
    }
    if (!partials) return;
    store_sums<V>(partials + size_t(blockIdx.x) * width + i, sums);
}
#define GELU_BACKWARD(T, V, SUFFIX)                                                                                    \
    extern "C" __global__ void gelu_backward##SUFFIX(T *dy, T *x, float *partials, uint32_t n, uint32_t width, uint32_t stride, \
                                                     uint32_t rows, uint32_t again) {                                  \
        gelu_backward<T, V>(dy, x, partials, n, width, stride, rows, again);                                           \
    }
EACH_TYPE(GELU_BACKWARD)

// gate and up become their gradients, where s = sigmoid(gate); -> what forward gave.
__device__ __forceinline__ float swiglu_gradients(float s, float dy, float &gate, float &up) {
    float silu = gate * s, slope = s * (1.0f + gate * (1.0f - s)), y = silu * up;
    gate = dy * up * slope;
    up = dy * silu;
    return y;
}

// Rows of gate_up are [gate | up], each `width` long.
#define SWIGLU(T, V, SUFFIX)                                                                                           \
    extern "C" __global__ void swiglu##SUFFIX(const T *gate_up, T *y, uint32_t width, uint32_t stride) {               \
        PLACE(V)                                                                                                       \
        const T *at = gate_up + row * 2 * width + i;                                                                   \
        auto g = Lanes<T, V>::load(at), u = Lanes<T, V>::load(at + width);                                             \
        for (int k = 0; k < V; k++) g.v[k] = g.v[k] / (1.0f + expf(-g.v[k])) * u.v[k];                                 \
        g.store(y + row * stride + i);                                                                                 \
    }                                                                                                                  \
    extern "C" __global__ void swiglu_backward##SUFFIX(T *dy, T *gate_up, uint32_t width, uint32_t stride, uint32_t again) { \
        PLACE(V)                                                                                                       \
        size_t at = row * 2 * width + i;                                                                               \
        auto g = Lanes<T, V>::load(gate_up + at), u = Lanes<T, V>::load(gate_up + at + width);                         \
        auto d = Lanes<T, V>::load(dy + row * stride + i);                                                             \
        Lanes<T, V> y;                                                                                                 \
        for (int k = 0; k < V; k++) y.v[k] = swiglu_gradients(1.0f / (1.0f + expf(-g.v[k])), d.v[k], g.v[k], u.v[k]);  \
        g.store(gate_up + at);                                                                                         \
        u.store(gate_up + at + width);                                                                                 \
        if (again) y.store(dy + row * stride + i);                                                                      \
    }
EACH_TYPE(SWIGLU)

// swiglu_backward of dy + dh a, in bf16 or f16 on tensor cores: dh (N, depth), rows `dh_stride` apart, and a (depth, width).
//
// A warp takes 16 rows and 64 columns, and asks for all of them before it computes: 128 bytes of a row at a time, and enough on the way to
// keep memory busy. (To walk on through more rows, with a's part kept in registers, is slower: then each group of rows waits for the last.)
//
// The product is made transposed, a^T dh^T: for 8 rows of dy four tiles of 16 columns. Row g of tile j is column 8 g + 2 j, row g + 8 the
// next one, so that lane 4 g + t gets columns 8 g .. 8 g + 7 of rows 2 t and 2 t + 1: 16 bytes of each. Of a fragment's depth it holds
// 4 t .. 4 t + 3: not the order that `multiply` counts them in, but the same one for a and dh.
struct alignas(16) Eight {
    uint32_t pairs[4];
};

// Off by some 2^-21, which neither type keeps. The exact one's branches would cost more than the product does.
__device__ __forceinline__ float quick_sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }

template <class T>
__device__ __forceinline__ void swiglu_backward_with(T *dy, const T *dh, const T *a, T *gate_up, uint32_t n, uint32_t width, uint32_t depth,
                                                     uint32_t stride, uint32_t dh_stride, uint32_t again) {
    const uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const uint32_t column = (blockIdx.x * blockDim.x + threadIdx.x) / 4 * 8, first = blockIdx.y * 16;
    const bool inside = column < width;
    Eight d[2][2] = {}, gate[2][2] = {}, up[2][2] = {};
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint32_t row = first + m * 8 + t * 2 + i;
            if (!inside || row >= n) continue;
            const T *at = gate_up + size_t(row) * 2 * width + column;
            d[m][i] = *reinterpret_cast<const Eight *>(dy + size_t(row) * stride + column);
            gate[m][i] = *reinterpret_cast<const Eight *>(at);
            up[m][i] = *reinterpret_cast<const Eight *>(at + width);
        }

    float c[2][4][4] = {};
#pragma unroll 1
    for (uint32_t k = t * 4; k < depth + t * 4; k += 16) { // as often in every lane; beyond the depth there are zeros
        Eight part[4] = {};
        uint2 right[2] = {};
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (inside && k < depth) part[i] = *reinterpret_cast<const Eight *>(a + size_t(k + i) * width + column);
#pragma unroll
        for (int m = 0; m < 2; m++) {
            const uint32_t row = first + m * 8 + g;
            if (row < n && k < depth) right[m] = *reinterpret_cast<const uint2 *>(dh + size_t(row) * dh_stride + k);
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const uint32_t rows[4] = {part[0].pairs[j], part[1].pairs[j], part[2].pairs[j], part[3].pairs[j]};
            const uint32_t left[4] = {__byte_perm(rows[0], rows[1], 0x5410), __byte_perm(rows[0], rows[1], 0x7632),
                                      __byte_perm(rows[2], rows[3], 0x5410), __byte_perm(rows[2], rows[3], 0x7632)};
#pragma unroll
            for (int m = 0; m < 2; m++) multiply<T>(c[m][j], left, right[m].x, right[m].y);
        }
    }

#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const uint32_t row = first + m * 8 + t * 2 + i;
            if (!inside || row >= n) continue;
            Eight y;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                float2 gates = unpack<T>(gate[m][i].pairs[j]), ups = unpack<T>(up[m][i].pairs[j]), ds = unpack<T>(d[m][i].pairs[j]);
                float y0 = swiglu_gradients(quick_sigmoid(gates.x), ds.x + c[m][j][i], gates.x, ups.x);
                float y1 = swiglu_gradients(quick_sigmoid(gates.y), ds.y + c[m][j][2 + i], gates.y, ups.y);
                gate[m][i].pairs[j] = pack<T>(gates.x, gates.y);
                up[m][i].pairs[j] = pack<T>(ups.x, ups.y);
                y.pairs[j] = pack<T>(y0, y1);
            }
            T *at = gate_up + size_t(row) * 2 * width + column;
            *reinterpret_cast<Eight *>(at) = gate[m][i];
            *reinterpret_cast<Eight *>(at + width) = up[m][i];
            if (again) *reinterpret_cast<Eight *>(dy + size_t(row) * stride + column) = y;
        }
}
#define SWIGLU_WITH(T)                                                                                                            \
    extern "C" __global__ void __launch_bounds__(256, 2)                                                                          \
        swiglu_backward_with_##T(T *dy, const T *dh, const T *a, T *gate_up, uint32_t n, uint32_t width, uint32_t depth,          \
                                 uint32_t stride, uint32_t dh_stride, uint32_t again) {                                           \
        swiglu_backward_with(dy, dh, a, gate_up, n, width, depth, stride, dh_stride, again);                                      \
    }
SWIGLU_WITH(bf16)
SWIGLU_WITH(f16)
