// An embedding: its rows by id, and its gradient.
#include "common.cuh"

// table (V, C), which may lie in the host's memory, ids (N) -> rows (N, C), a block each.
#define EMBEDDED(T, V, SUFFIX)                                                                                       \
    extern "C" __global__ void embedded##SUFFIX(const T *table, const uint32_t *ids, T *rows, uint32_t c) {          \
        const T *from = table + size_t(ids[blockIdx.x]) * c;                                                         \
        for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V)                                               \
            Lanes<T, V>::load(from + i).store(rows + size_t(blockIdx.x) * c + i);                                    \
    }
EACH_TYPE(EMBEDDED)

// The gradient: a block sums one id's rows of dy, in the order of their positions, onto its row of the gradient.
// starts (ids + 1): where each id's positions begin in `positions`.
#define EMBEDDING(T, SUFFIX)                                                                                         \
    extern "C" __global__ void embedding##SUFFIX(float *grad, const uint32_t *ids, const uint32_t *starts, const uint32_t *positions, \
                                                 const T *dy, uint32_t c) {                                          \
        float *row = grad + size_t(ids[blockIdx.x]) * c;                                                             \
        uint32_t start = starts[blockIdx.x], end = starts[blockIdx.x + 1];                                           \
        for (uint32_t i = threadIdx.x; i < c; i += blockDim.x) {                                                     \
            float sum = row[i];                                                                                      \
            for (uint32_t at = start; at < end; at++) sum += to_float(dy[size_t(positions[at]) * c + i]);            \
            row[i] = sum;                                                                                            \
        }                                                                                                            \
    }
EMBEDDING(f32, _f32)
EMBEDDING(bf16, _bf16)
EMBEDDING(f16, _f16)
