// GELU (tanh form) and SwiGLU, forward and backward, in f32 between their loads and stores.
//
// A block takes 256 V columns of a row, so that rows may lie apart. Backward works in place: the gradient takes the place of what forward
// took, and what forward gave (if `again`) that of its own gradient, so that forward's result need not be kept.
#include "common.cuh"

__device__ __forceinline__ float gelu(float x) {
    float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
    return 0.5f * x * (1.0f + t);
}

__device__ __forceinline__ float gelu_slope(float x) {
    float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.7978845608028654f * (1.0f + 0.134145f * x * x);
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
    }                                                                                                                  \
    extern "C" __global__ void gelu_backward##SUFFIX(T *dy, T *x, uint32_t width, uint32_t stride, uint32_t again) { \
        PLACE(V)                                                                                                       \
        auto a = Lanes<T, V>::load(x + row * width + i), d = Lanes<T, V>::load(dy + row * stride + i);                 \
        for (int k = 0; k < V; k++) d.v[k] *= gelu_slope(a.v[k]);                                                      \
        d.store(x + row * width + i);                                                                                  \
        if (!again) return;                                                                                            \
        for (int k = 0; k < V; k++) a.v[k] = gelu(a.v[k]);                                                             \
        a.store(dy + row * stride + i);                                                                                \
    }
EACH_TYPE(GELU)

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
        for (int k = 0; k < V; k++) {                                                                                  \
            float s = 1.0f / (1.0f + expf(-g.v[k])), silu = g.v[k] * s;                                                \
            float slope = s * (1.0f + g.v[k] * (1.0f - s));                                                            \
            y.v[k] = silu * u.v[k];                                                                                    \
            g.v[k] = d.v[k] * u.v[k] * slope;                                                                          \
            u.v[k] = d.v[k] * silu;                                                                                    \
        }                                                                                                              \
        g.store(gate_up + at);                                                                                         \
        u.store(gate_up + at + width);                                                                                 \
        if (again) y.store(dy + row * stride + i);                                                                      \
    }
EACH_TYPE(SWIGLU)
