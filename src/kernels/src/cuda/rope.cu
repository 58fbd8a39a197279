// Rotary positions in place: pairs (i, i + D/2) of the first heads of each row of x (N, stride).
#include "common.cuh"

// items: V pairs each.
#define ROPE(T, V, SUFFIX)                                                                                        \
    extern "C" __global__ void rope##SUFFIX(T *x, const uint32_t *positions, const float *cosines, const float *sines, uint32_t items, \
                                            uint32_t stride, uint32_t heads, uint32_t half, float sign) {         \
        for (uint32_t i = FIRST; i < items; i += STRIDE) {                                                        \
            uint32_t pair = i % (half / V) * V, rest = i / (half / V), head = rest % heads, row = rest / heads;   \
            T *first = x + size_t(row) * stride + head * 2 * half + pair;                                         \
            size_t angle = size_t(positions[row]) * half + pair;                                                  \
            auto a = Lanes<T, V>::load(first), b = Lanes<T, V>::load(first + half);                               \
            auto cosine = Lanes<f32, V>::load(cosines + angle), sine = Lanes<f32, V>::load(sines + angle);        \
            _Pragma("unroll") for (int k = 0; k < V; k++) {                                                       \
                float low = a.v[k], high = b.v[k], s = sine.v[k] * sign;                                          \
                a.v[k] = low * cosine.v[k] - high * s;                                                            \
                b.v[k] = high * cosine.v[k] + low * s;                                                            \
            }                                                                                                     \
            a.store(first);                                                                                       \
            b.store(first + half);                                                                                \
        }                                                                                                         \
    }
ROPE(f32, 1, _f32)
ROPE(f32, 4, _f32_wide)
ROPE(bf16, 1, _bf16)
ROPE(bf16, 4, _bf16_wide)
ROPE(f16, 1, _f16)
ROPE(f16, 4, _f16_wide)
