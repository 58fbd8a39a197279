// What the kernels share: 16-byte accesses, sums over a block in a fixed order, one kernel for each type and width.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

typedef float f32;
typedef __nv_bfloat16 bf16;
typedef __half f16;

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float to_float(f16 x) { return __half2float(x); }
template <class T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) { return __float2bfloat16_rn(x); }

// Beyond 65,504 an f16 is infinite. It is left so, for whoever adds up the gradients to see: nothing is clamped.
template <> __device__ __forceinline__ f16 from_float<f16>(float x) { return __float2half_rn(x); }

// V neighbouring elements of type T, in f32.
template <class T, int V> struct Lanes {
    float v[V];

    static __device__ __forceinline__ Lanes load(const T *from) {
        struct alignas(sizeof(T) * V) Raw { T v[V]; };
        Raw raw = *reinterpret_cast<const Raw *>(from);
        Lanes out;
#pragma unroll
        for (int i = 0; i < V; i++) out.v[i] = to_float(raw.v[i]);
        return out;
    }

    __device__ __forceinline__ void store(T *to) const {
        struct alignas(sizeof(T) * V) Raw { T v[V]; };
        Raw raw;
#pragma unroll
        for (int i = 0; i < V; i++) raw.v[i] = from_float<T>(v[i]);
        *reinterpret_cast<Raw *>(to) = raw;
    }
};

// V neighbouring sums, whose place is a multiple of V floats from a 16-byte boundary.
template <int V> __device__ __forceinline__ void store_sums(float *to, const float (&sums)[V]) {
    if (V % 4 == 0) {
#pragma unroll
        for (int k = 0; k + 3 < V; k += 4) *reinterpret_cast<float4 *>(to + k) = make_float4(sums[k], sums[k + 1], sums[k + 2], sums[k + 3]);
    } else {
#pragma unroll
        for (int k = 0; k < V; k++) to[k] = sums[k];
    }
}

// The first item of a thread, and the items of all threads: loops in strides of the grid.
#define FIRST (size_t(blockIdx.x) * blockDim.x + threadIdx.x)
#define STRIDE (size_t(gridDim.x) * blockDim.x)

// The kernel NAME for each type, alone and in 16-byte accesses.
#define EACH_TYPE(KERNEL)         \
    KERNEL(f32, 1, _f32)          \
    KERNEL(f32, 4, _f32_wide)     \
    KERNEL(bf16, 1, _bf16)        \
    KERNEL(bf16, 8, _bf16_wide)   \
    KERNEL(f16, 1, _f16)          \
    KERNEL(f16, 8, _f16_wide)

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffff, x, offset);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffff, x, offset));
    return x;
}

// The sum over a block of at most 1,024 threads, for every thread of it.
__device__ __forceinline__ float block_sum(float x) {
    __shared__ float sums[32];
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
    __syncthreads();
    int lane = threadIdx.x % 32;
    return warp_sum(lane < (blockDim.x + 31) / 32 ? sums[lane] : 0.0f);
}

// 64 well-mixed bits of a counter (SplitMix64; Steele et al. 2014).
__device__ __forceinline__ uint64_t mix(uint64_t counter) {
    uint64_t z = counter * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}
