// Cross-entropy and its gradient, in place of the logits: a block of 1,024 threads a row, sums in f32.
//
// Rows are `stride` apart and may start anywhere: the elements before the first 16-byte boundary and after the last are taken one by one.
#include "common.cuh"

// Calls each(index of the first element, lanes) over a row of v elements.
template <class T, class Each> __device__ __forceinline__ void walk(T *row, uint32_t v, Each each) {
    constexpr uint32_t WIDE = 16 / sizeof(T);
    uint32_t head = min(v, uint32_t((16 - uintptr_t(row) % 16) % 16 / sizeof(T))), middle = (v - head) / WIDE * WIDE;
    for (uint32_t i = threadIdx.x; i < head; i += blockDim.x) each(i, Lanes<T, 1>::load(row + i));
    for (uint32_t i = head + threadIdx.x * WIDE; i < head + middle; i += blockDim.x * WIDE) each(i, Lanes<T, WIDE>::load(row + i));
    for (uint32_t i = head + middle + threadIdx.x; i < v; i += blockDim.x) each(i, Lanes<T, 1>::load(row + i));
}

__device__ __forceinline__ float block_max(float x) {
    __shared__ float tops[32];
    x = warp_max(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) tops[threadIdx.x / 32] = x;
    __syncthreads();
    return warp_max(tops[threadIdx.x % 32]);
}

// The largest logit and the sum of e^(l - it): in one pass, each thread with a running maximum of its own.
template <class T> __device__ float2 totals(T *row, uint32_t v) {
    float top = -INFINITY, sum = 0.0f;
    walk(row, v, [&](uint32_t, auto lanes) {
        float most = lanes.v[0];
        for (float l : lanes.v) most = fmaxf(most, l);
        if (most > top) {
            sum *= __expf(top - most);
            top = most;
        }
        for (float l : lanes.v) sum += __expf(l - top);
    });
    float all = block_max(top);
    return make_float2(all, block_sum(sum == 0.0f ? 0.0f : sum * __expf(top - all)));
}

// loss (N): ln(sum e^l) - l_target, not scaled. The logits become scale (softmax - onehot).
template <class T> __device__ void forward_backward(T *logits, const uint32_t *targets, float *loss, uint32_t v, uint32_t stride, float scale) {
    T *row = logits + size_t(blockIdx.x) * stride;
    uint32_t target = targets[blockIdx.x];
    float logit = to_float(row[target]);
    float2 total = totals(row, v); // its barriers stand between this read and the writes below
    if (threadIdx.x == 0) loss[blockIdx.x] = total.x + logf(total.y) - logit;
    float factor = scale / total.y;
    walk(row, v, [&](uint32_t at, auto lanes) {
        constexpr int COUNT = sizeof(lanes.v) / sizeof(float);
        for (int k = 0; k < COUNT; k++) lanes.v[k] = __expf(lanes.v[k] - total.x) * factor - (at + k == target ? scale : 0.0f);
        lanes.store(row + at);
    });
}

// out (N): ln softmax(l)_target.
template <class T> __device__ void logprobs(T *logits, const uint32_t *targets, float *out, uint32_t v, uint32_t stride) {
    T *row = logits + size_t(blockIdx.x) * stride;
    float2 total = totals(row, v);
    if (threadIdx.x == 0) out[blockIdx.x] = to_float(row[targets[blockIdx.x]]) - total.x - logf(total.y);
}

#define KERNELS(T, SUFFIX)                                                                                                         \
    extern "C" __global__ void cross_entropy##SUFFIX(T *l, const uint32_t *t, float *loss, uint32_t v, uint32_t stride, float scale) { \
        forward_backward(l, t, loss, v, stride, scale);                                                                            \
    }                                                                                                                              \
    extern "C" __global__ void logprobs##SUFFIX(T *l, const uint32_t *t, float *out, uint32_t v, uint32_t stride) {                \
        logprobs(l, t, out, v, stride);                                                                                            \
    }
KERNELS(f32, _f32)
KERNELS(bf16, _bf16)
KERNELS(f16, _f16)
