// Attention of one new token a row against the cached keys and values: a block a row and query head, its warps take keys in turn.
#include "common.cuh"

#define WARPS 8
#define AT_ONCE 4

// q (B, H, D) in rows `stride` apart, keys and values (B, KV, capacity, D) -> out (B, H, D). A lane holds E neighbouring elements of a head.
template <class T, int E>
__device__ void decode(const T *q, const T *keys, const T *values, T *out, uint32_t stride, uint32_t length, uint32_t capacity, uint32_t heads, uint32_t kv,
                       float scale) {
    constexpr int D = 32 * E;
    __shared__ float tops[WARPS], sums[WARPS], parts[WARPS][D];
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, head = blockIdx.x, row = blockIdx.y;
    const size_t cache = (size_t(row) * kv + head / (heads / kv)) * capacity * D + lane * E, own = (size_t(row) * heads + head) * D;
    auto query = Lanes<T, E>::load(q + size_t(row) * stride + head * D + lane * E);
    float top = -INFINITY, sum = 0.0f, o[E] = {};
    for (uint32_t key = warp; key < length; key += WARPS * AT_ONCE) {
        Lanes<T, E> k[AT_ONCE], v[AT_ONCE];
        float score[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            size_t at = cache + size_t(min(key + i * WARPS, length - 1)) * D;
            k[i] = Lanes<T, E>::load(keys + at);
            v[i] = Lanes<T, E>::load(values + at);
        }
        float most = top;
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            float dot = 0.0f;
            for (int e = 0; e < E; e++) dot += query.v[e] * k[i].v[e];
            dot = warp_sum(dot) * scale;
            score[i] = key + i * WARPS < length ? dot : -INFINITY;
            most = fmaxf(most, score[i]);
        }
        float shrink = expf(top - most);
        top = most;
        sum *= shrink;
        for (int e = 0; e < E; e++) o[e] *= shrink;
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            float p = expf(score[i] - top);
            sum += p;
            for (int e = 0; e < E; e++) o[e] += p * v[i].v[e];
        }
    }
    for (int e = 0; e < E; e++) parts[warp][lane * E + e] = o[e];
    if (lane == 0) tops[warp] = top, sums[warp] = sum;
    __syncthreads();
    float most = tops[0], total = 0.0f;
    for (int w = 1; w < WARPS; w++) most = fmaxf(most, tops[w]);
    for (int w = 0; w < WARPS; w++) total += sums[w] == 0.0f ? 0.0f : sums[w] * expf(tops[w] - most);
    for (uint32_t i = threadIdx.x; i < D; i += blockDim.x) {
        float value = 0.0f;
        for (int w = 0; w < WARPS; w++) value += sums[w] == 0.0f ? 0.0f : parts[w][i] * expf(tops[w] - most);
        out[own + i] = from_float<T>(value / total);
    }
}

#define DECODE(T, E, NAME)                                                                                                        \
    extern "C" __global__ void NAME(const T *q, const T *keys, const T *values, T *out, uint32_t stride, uint32_t length,         \
                                    uint32_t capacity, uint32_t heads, uint32_t kv, float scale) {                                                   \
        decode<T, E>(q, keys, values, out, stride, length, capacity, heads, kv, scale);                                                   \
    }
DECODE(f32, 2, decode_64_f32)
DECODE(f32, 4, decode_128_f32)
DECODE(bf16, 2, decode_64_bf16)
DECODE(bf16, 4, decode_128_bf16)

// The keys and values of qkv (B, stride) into position `at` of their caches (B, KV, capacity, D).
template <class T> __device__ void append(const T *qkv, T *keys, T *values, uint32_t rows, uint32_t stride, uint32_t at, uint32_t capacity, uint32_t heads, uint32_t kv, uint32_t d) {
    uint32_t width = kv * d;
    for (uint32_t i = FIRST; i < rows * width; i += STRIDE) {
        uint32_t row = i / width, head = i % width / d, element = i % d;
        const T *from = qkv + size_t(row) * stride + heads * d + i % width;
        size_t to = ((size_t(row) * kv + head) * capacity + at) * d + element;
        keys[to] = from[0];
        values[to] = from[width];
    }
}
extern "C" __global__ void append_f32(const f32 *qkv, f32 *k, f32 *v, uint32_t rows, uint32_t stride, uint32_t at, uint32_t capacity, uint32_t heads, uint32_t kv, uint32_t d) {
    append(qkv, k, v, rows, stride, at, capacity, heads, kv, d);
}
extern "C" __global__ void append_bf16(const bf16 *qkv, bf16 *k, bf16 *v, uint32_t rows, uint32_t stride, uint32_t at, uint32_t capacity, uint32_t heads, uint32_t kv, uint32_t d) {
    append(qkv, k, v, rows, stride, at, capacity, heads, kv, d);
}
