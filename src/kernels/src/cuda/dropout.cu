// Dropout by a key and the element's index; the bits are those of the CPU's mask.
#include "common.cuh"

#define DROPOUT(T, V, SUFFIX)                                                                              \
    extern "C" __global__ void dropout##SUFFIX(const T *x, T *y, size_t n, uint32_t threshold, float scale, uint64_t key) { \
        for (size_t i = FIRST * V; i < n; i += STRIDE * V) {                                               \
            auto a = Lanes<T, V>::load(x + i);                                                             \
            for (int k = 0; k < V; k++) a.v[k] = uint32_t(mix(key + i + k) >> 32) >= threshold ? a.v[k] * scale : 0.0f; \
            a.store(y + i);                                                                                \
        }                                                                                                  \
    }
EACH_TYPE(DROPOUT)
