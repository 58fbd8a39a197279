// AdamW over all parameters in one launch, and the sum of squares of all gradients: a block takes one chunk of one tensor.
#include "common.cuh"

struct Parameter {
    float *p, *m, *v;
    const float *g;
    bf16 *value; // what is computed with, where that is not p
    uint64_t n;
};

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

extern "C" __global__ void adamw(const Parameter *parameters, const uint2 *shares, const Factors *factors) {
    SHARE
    Factors f = *factors;
    uint64_t whole = start + (end - start) / 4 * 4;
    for (uint64_t i = start + threadIdx.x * 4; i < whole; i += blockDim.x * 4) {
        auto p = Lanes<f32, 4>::load(a.p + i), m = Lanes<f32, 4>::load(a.m + i), v = Lanes<f32, 4>::load(a.v + i);
        auto g = Lanes<f32, 4>::load(a.g + i);
#pragma unroll
        for (int k = 0; k < 4; k++) update(p.v[k], m.v[k], v.v[k], g.v[k], f);
        p.store(a.p + i);
        m.store(a.m + i);
        v.store(a.v + i);
        if (a.value) {
            Lanes<bf16, 4> value;
            for (int k = 0; k < 4; k++) value.v[k] = p.v[k];
            value.store(a.value + i);
        }
    }
    for (uint64_t i = whole + threadIdx.x; i < end; i += blockDim.x) {
        update(a.p[i], a.m[i], a.v[i], a.g[i], f);
        if (a.value) a.value[i] = from_float<bf16>(a.p[i]);
    }
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
