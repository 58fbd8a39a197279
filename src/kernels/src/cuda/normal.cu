// Normal draws (Box and Muller 1958): one pair for each counter, from 64 mixed bits.
#include "common.cuh"

#define KERNEL(T, V, SUFFIX)                                                                          \
    extern "C" __global__ void normal##SUFFIX(T *out, size_t n, float std, uint64_t key) {            \
        for (size_t pair = FIRST; pair * 2 < n; pair += STRIDE) {                                     \
            uint64_t bits = mix(key + pair);                                                          \
            float u = (float(uint32_t(bits) >> 8) + 1.0f) * 0x1p-24f; /* (0, 1] */                    \
            float turn = float(uint32_t(bits >> 32) >> 8) * 0x1p-24f;                                 \
            float radius = sqrtf(-2.0f * logf(u)) * std, sine, cosine;                                \
            sincospif(2.0f * turn, &sine, &cosine);                                                   \
            out[pair * 2] = from_float<T>(radius * cosine);                                           \
            if (pair * 2 + 1 < n) out[pair * 2 + 1] = from_float<T>(radius * sine);                   \
        }                                                                                             \
    }
KERNEL(f32, 1, _f32)
KERNEL(bf16, 1, _bf16)
KERNEL(f16, 1, _f16)
