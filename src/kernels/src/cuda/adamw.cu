// AdamW over all parameters in one launch, and the sum of squares of all gradients: a block takes one chunk of one tensor.
#include "common.cuh"

struct Parameter {
    float *p, *m, *v;
    const float *g;
    void *value; // what is computed with, where that is not p: p * scale, in bf16 or f32, `width` in a row, rows `stride` apart
    uint64_t n;
    uint32_t width, stride;
    float scale;
    uint32_t bytes; // of an element of value
};

__device__ __forceinline__ size_t place(const Parameter &a, uint64_t i) { return a.width == a.stride ? i : i / a.width * a.stride + i % a.width; }

struct Factors {
    float decay, b1, c1, b2, c2, size, root, eps, grad_scale;
};

// A block's share: which parameter, and which chunk of it.
#define CHUNK 65536
#define SHARE                                                             \
    Parameter a = parameters[shares[blockIdx.x].x];                       \
    uint64_t start = uint64_t(shares[blockIdx.x].y) * CHUNK, end = min(a.n, start + CHUNK);

__device__ __forceinline__ void update(float &p, float &m, float &v, float g, const Factors &f) {
    g *= f.grad_scale;
    m = f.b1 * m + f.c1 * g;
    v = f.b2 * v + f.c2 * g * g;
    p = p * f.decay - f.size * m / (sqrtf(v) / f.root + f.eps);
}

// Writes V neighbouring values; a row holds whole Vs.
template <int V> __device__ __forceinline__ void refresh(const Parameter &a, uint64_t i, Lanes<f32, V> p) {
    if (!a.value) return;
#pragma unroll
    for (int k = 0; k < V; k++) p.v[k] *= a.scale;
    if (a.bytes == 4) {
        p.store(static_cast<float *>(a.value) + place(a, i));
        return;
    }
    Lanes<bf16, V> value;
#pragma unroll
    for (int k = 0; k < V; k++) value.v[k] = p.v[k];
    value.store(static_cast<bf16 *>(a.value) + place(a, i));
}

extern "C" __global__ void adamw(const Parameter *parameters, const uint2 *shares, const Factors *factors) {
    SHARE
    Factors f = *factors;
    uint64_t whole = a.width % 4 == 0 && a.stride % 4 == 0 ? start + (end - start) / 4 * 4 : start;
    for (uint64_t i = start + threadIdx.x * 4; i < whole; i += blockDim.x * 4) {
        auto p = Lanes<f32, 4>::load(a.p + i), m = Lanes<f32, 4>::load(a.m + i), v = Lanes<f32, 4>::load(a.v + i);
        auto g = Lanes<f32, 4>::load(a.g + i);
#pragma unroll
        for (int k = 0; k < 4; k++) update(p.v[k], m.v[k], v.v[k], g.v[k], f);
        p.store(a.p + i);
        m.store(a.m + i);
        v.store(a.v + i);
        refresh(a, i, p);
    }
    for (uint64_t i = whole + threadIdx.x; i < end; i += blockDim.x) {
        update(a.p[i], a.m[i], a.v[i], a.g[i], f);
        refresh(a, i, Lanes<f32, 1>::load(a.p + i));
    }
}

// The values alone, from the masters: after these were read from a file.
extern "C" __global__ void refresh_values(const Parameter *parameters, const uint2 *shares) {
    SHARE
    for (uint64_t i = start + threadIdx.x; i < end; i += blockDim.x) refresh(a, i, Lanes<f32, 1>::load(a.p + i));
}

extern "C" __global__ void squares(const Parameter *parameters, const uint2 *shares, float *sums) {
    SHARE
    float sum = 0.0f;
    uint64_t whole = start + (end - start) / 4 * 4;
    for (uint64_t i = start + threadIdx.x * 4; i < whole; i += blockDim.x * 4) {
        auto g = Lanes<f32, 4>::load(a.g + i);
#pragma unroll
        for (int k = 0; k < 4; k++) sum += g.v[k] * g.v[k];
    }
    for (uint64_t i = whole + threadIdx.x; i < end; i += blockDim.x) sum += a.g[i] * a.g[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
