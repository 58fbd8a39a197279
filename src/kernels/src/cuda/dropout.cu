// Dropout by a key and the element's index in (N, width); the bits are those of the CPU's mask. A block takes 256 V columns of a row.
#include "common.cuh"

// y = dropout(x), or y += dropout(x) where `add`; rows of x and y lie x_stride and y_stride apart.
#define DROPOUT(T, V, SUFFIX)                                                                                          \
    extern "C" __global__ void dropout##SUFFIX(const T *x, T *y, uint32_t width, uint32_t x_stride, uint32_t y_stride, uint32_t threshold, \
                                               float scale, uint64_t key, uint32_t add) {                              \
        size_t row = blockIdx.x;                                                                                       \
        uint32_t i = (blockIdx.y * blockDim.x + threadIdx.x) * V;                                                      \
        if (i >= width) return;                                                                                        \
        auto a = Lanes<T, V>::load(x + row * x_stride + i);                                                            \
        for (int k = 0; k < V; k++) a.v[k] = uint32_t(mix(key + row * width + i + k) >> 32) >= threshold ? a.v[k] * scale : 0.0f; \
        if (add) {                                                                                                     \
            auto b = Lanes<T, V>::load(y + row * y_stride + i);                                                        \
            for (int k = 0; k < V; k++) a.v[k] += b.v[k];                                                              \
        }                                                                                                              \
        a.store(y + row * y_stride + i);                                                                               \
    }
EACH_TYPE(DROPOUT)
