// GELU (tanh form) and SwiGLU, forward and backward, in f32 between their loads and stores.
#include "common.cuh"

__device__ __forceinline__ float gelu(float x) {
    float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
    return 0.5f * x * (1.0f + t);
}

__device__ __forceinline__ float gelu_slope(float x) {
    float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * 0.7978845608028654f * (1.0f + 0.134145f * x * x);
}

#define GELU(T, V, SUFFIX)                                                                          \
    extern "C" __global__ void gelu##SUFFIX(const T *x, T *y, size_t n) {                           \
        for (size_t i = FIRST * V; i < n; i += STRIDE * V) {                                        \
            auto a = Lanes<T, V>::load(x + i);                                                      \
            for (int k = 0; k < V; k++) a.v[k] = gelu(a.v[k]);                                      \
            a.store(y + i);                                                                         \
        }                                                                                           \
    }                                                                                               \
    extern "C" __global__ void gelu_backward##SUFFIX(const T *dy, const T *x, T *dx, size_t n) {    \
        for (size_t i = FIRST * V; i < n; i += STRIDE * V) {                                        \
            auto a = Lanes<T, V>::load(x + i), d = Lanes<T, V>::load(dy + i);                       \
            for (int k = 0; k < V; k++) a.v[k] = d.v[k] * gelu_slope(a.v[k]);                       \
            a.store(dx + i);                                                                        \
        }                                                                                           \
    }
EACH_TYPE(GELU)

// gate_up rows are [gate | up], each `width` long; n counts the elements of y.
#define SWIGLU(T, V, SUFFIX)                                                                                       \
    extern "C" __global__ void swiglu##SUFFIX(const T *gate_up, T *y, size_t n, uint32_t width) {                  \
        for (size_t i = FIRST * V; i < n; i += STRIDE * V) {                                                       \
            const T *at = gate_up + i + i / width * width;                                                         \
            auto g = Lanes<T, V>::load(at), u = Lanes<T, V>::load(at + width);                                     \
            for (int k = 0; k < V; k++) g.v[k] = g.v[k] / (1.0f + expf(-g.v[k])) * u.v[k];                         \
            g.store(y + i);                                                                                        \
        }                                                                                                          \
    }                                                                                                              \
    extern "C" __global__ void swiglu_backward##SUFFIX(const T *dy, const T *gate_up, T *dx, size_t n, uint32_t width) { \
        for (size_t i = FIRST * V; i < n; i += STRIDE * V) {                                                       \
            size_t at = i + i / width * width;                                                                     \
            auto g = Lanes<T, V>::load(gate_up + at), u = Lanes<T, V>::load(gate_up + at + width);                 \
            auto d = Lanes<T, V>::load(dy + i);                                                                    \
            for (int k = 0; k < V; k++) {                                                                          \
                float s = 1.0f / (1.0f + expf(-g.v[k])), silu = g.v[k] * s;                                        \
                float slope = s * (1.0f + g.v[k] * (1.0f - s));                                                    \
                g.v[k] = d.v[k] * u.v[k] * slope;                                                                  \
                u.v[k] = d.v[k] * silu;                                                                            \
            }                                                                                                      \
            g.store(dx + at);                                                                                      \
            u.store(dx + at + width);                                                                              \
        }                                                                                                          \
    }
EACH_TYPE(SWIGLU)
