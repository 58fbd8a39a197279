// AdamW over all parameters in one launch, and the sum of squares of all gradients: a block takes one chunk of one tensor.
#include "common.cuh"

struct Parameter {
    float *p; // the master; or, with `halves`, the low 16 bits of each of its elements
    float *m, *v;
    const void *g; // f32 or bf16
    const float *squares; // of each share of g the sum of its squares, where that is there already
    void *value; // what is computed with, where that is not p: p * scale, in bf16, f16 or f32, `width` in a row, rows `stride` apart
    uint64_t n;
    uint32_t width, stride;
    float scale;
    uint8_t bytes;      // of an element of value
    uint8_t grad_bytes; // of an element of g
    uint8_t halves;     // value is the master rounded to bf16, contiguous, and p what was rounded off
    uint8_t is_f16;     // a value's two bytes are f16, not bf16
};

// An f32 as the bf16 nearest to it (of two equally near the larger) and the low 16 bits of its own: together they are all of it.
__device__ __forceinline__ float join(uint16_t value, uint16_t low) {
    return __uint_as_float((uint32_t(value) << 16) + uint32_t(int32_t(int16_t(low))));
}
__device__ __forceinline__ void split(float master, uint16_t &value, uint16_t &low) {
    const uint32_t bits = __float_as_uint(master);
    value = (bits + 0x8000) >> 16;
    low = bits;
}

// V neighbouring gradients, of so many bytes each.
template <int V> __device__ __forceinline__ Lanes<f32, V> gradient(const void *from, uint8_t bytes, uint64_t i) {
    if (bytes == 4) return Lanes<f32, V>::load(static_cast<const float *>(from) + i);
    auto g = Lanes<bf16, V>::load(static_cast<const bf16 *>(from) + i);
    Lanes<f32, V> out;
#pragma unroll
    for (int k = 0; k < V; k++) out.v[k] = g.v[k];
    return out;
}

__device__ __forceinline__ size_t place(const Parameter &a, uint64_t i) { return a.width == a.stride ? i : i / a.width * a.stride + i % a.width; }

struct Factors {
    float decay, b1, c1, b2, c2, size, root, eps, grad_scale;
};

// Shares are of one parameter and CHUNK elements. A block takes a whole one, or with PIECES one piece of it: blocks that run at the same
// time then work on memory that lies close together, which the card reads and writes faster.
#define CHUNK 16384
#define PIECES 8
#define SHARE(pieces)                                                                                              \
    const uint2 share = shares[blockIdx.x / (pieces)];                                                             \
    const Parameter a = parameters[share.x];                                                                       \
    const uint64_t start = uint64_t(share.y) * CHUNK + blockIdx.x % (pieces) * (CHUNK / (pieces));                 \
    const uint64_t end = min(a.n, start + CHUNK / (pieces));

__device__ __forceinline__ void update(float &p, float &m, float &v, float g, const Factors &f) {
    g *= f.grad_scale;
    m = f.b1 * m + f.c1 * g;
    v = f.b2 * v + f.c2 * g * g;
    p = p * f.decay - f.size * m / (sqrtf(v) / f.root + f.eps);
}

template <class T, int V> __device__ __forceinline__ void store_value(const Parameter &a, uint64_t i, const Lanes<f32, V> &p) {
    Lanes<T, V> value;
#pragma unroll
    for (int k = 0; k < V; k++) value.v[k] = p.v[k];
    value.store(static_cast<T *>(a.value) + place(a, i));
}

// Writes V neighbouring values; a row holds whole Vs.
template <int V> __device__ __forceinline__ void refresh(const Parameter &a, uint64_t i, Lanes<f32, V> p) {
    if (!a.value) return;
#pragma unroll
    for (int k = 0; k < V; k++) p.v[k] *= a.scale;
    if (a.bytes == 4)
        store_value<f32>(a, i, p);
    else if (a.is_f16)
        store_value<f16>(a, i, p);
    else
        store_value<bf16>(a, i, p);
}

// V neighbouring elements of a parameter whose master is in halves.
template <int V> __device__ __forceinline__ void update_halves(const Parameter &a, uint64_t i, const Factors &f) {
    struct alignas(2 * V) Halves { uint16_t v[V]; };
    Halves *value = reinterpret_cast<Halves *>(static_cast<uint16_t *>(a.value) + i), *low = reinterpret_cast<Halves *>(reinterpret_cast<uint16_t *>(a.p) + i);
    Halves high = *value, rest = *low;
    auto m = Lanes<f32, V>::load(a.m + i), v = Lanes<f32, V>::load(a.v + i), g = gradient<V>(a.g, a.grad_bytes, i);
#pragma unroll
    for (int k = 0; k < V; k++) {
        float p = join(high.v[k], rest.v[k]);
        update(p, m.v[k], v.v[k], g.v[k], f);
        split(p, high.v[k], rest.v[k]);
    }
    *value = high;
    *low = rest;
    m.store(a.m + i);
    v.store(a.v + i);
}

extern "C" __global__ void adamw(const Parameter *parameters, const uint2 *shares, const Factors *factors) {
    SHARE(PIECES)
    Factors f = *factors;
    if (start >= end || isnan(f.grad_scale)) return; // see `clip`
    if (a.halves) {
        uint64_t whole = start + (end - start) / 8 * 8;
        for (uint64_t i = start + threadIdx.x * 8; i < whole; i += blockDim.x * 8) update_halves<8>(a, i, f);
        for (uint64_t i = whole + threadIdx.x; i < end; i += blockDim.x) update_halves<1>(a, i, f);
        return;
    }
    uint64_t whole = a.width % 4 == 0 && a.stride % 4 == 0 ? start + (end - start) / 4 * 4 : start;
    for (uint64_t i = start + threadIdx.x * 4; i < whole; i += blockDim.x * 4) {
        auto p = Lanes<f32, 4>::load(a.p + i), m = Lanes<f32, 4>::load(a.m + i), v = Lanes<f32, 4>::load(a.v + i);
        auto g = gradient<4>(a.g, a.grad_bytes, i);
#pragma unroll
        for (int k = 0; k < 4; k++) update(p.v[k], m.v[k], v.v[k], g.v[k], f);
        p.store(a.p + i);
        m.store(a.m + i);
        v.store(a.v + i);
        refresh(a, i, p);
    }
    for (uint64_t i = whole + threadIdx.x; i < end; i += blockDim.x) {
        update(a.p[i], a.m[i], a.v[i], gradient<1>(a.g, a.grad_bytes, i).v[0], f);
        refresh(a, i, Lanes<f32, 1>::load(a.p + i));
    }
}

// The values alone, from the masters: after these were read from a file.
extern "C" __global__ void refresh_values(const Parameter *parameters, const uint2 *shares) {
    SHARE(1)
    for (uint64_t i = start + threadIdx.x; i < end; i += blockDim.x) refresh(a, i, Lanes<f32, 1>::load(a.p + i));
}

// The sum of the blocks' squares times grad_scale^2, to `total`; then grad_scale times the factor that clips the norm to `most` (0: no
// clipping), to grad_scale, which is NaN where the norm is not finite: then nothing is to be changed. One block.
extern "C" __global__ void clip(const float *sums, uint32_t blocks, Factors *factors, double *total, double most) {
    __shared__ double shares[32];
    double sum = 0.0;
    for (uint32_t i = threadIdx.x; i < blocks; i += blockDim.x) sum += sums[i];
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffff, sum, offset);
    if (threadIdx.x % 32 == 0) shares[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x > 0) return;
    sum = 0.0;
    for (uint32_t i = 0; i < blockDim.x / 32; i++) sum += shares[i];
    const double scale = factors->grad_scale;
    sum *= scale * scale;
    *total = sum;
    const double norm = sqrt(sum);
    factors->grad_scale = !isfinite(norm) ? NAN : (most > 0.0 ? fmin(most / (norm + 1e-6), 1.0) : 1.0) * scale;
}

// A master of n elements into its halves, and back.
extern "C" __global__ void split_halves(const float *master, uint16_t *value, uint16_t *low, size_t n) {
    for (size_t i = FIRST; i < n; i += STRIDE) split(master[i], value[i], low[i]);
}
extern "C" __global__ void join_halves(float *master, const uint16_t *value, const uint16_t *low, size_t n) {
    for (size_t i = FIRST; i < n; i += STRIDE) master[i] = join(value[i], low[i]);
}

// The sum of squares of the gradients start .. end, for every thread of the block.
__device__ __forceinline__ float sum_of_squares(const void *g, uint8_t bytes, uint64_t start, uint64_t end) {
    float sum = 0.0f;
    uint64_t whole = start + (end - start) / 4 * 4;
#pragma unroll 4
    for (uint64_t i = start + threadIdx.x * 4; i < whole; i += blockDim.x * 4) {
        auto v = gradient<4>(g, bytes, i);
#pragma unroll
        for (int k = 0; k < 4; k++) sum += v.v[k] * v.v[k];
    }
    for (uint64_t i = whole + threadIdx.x; i < end; i += blockDim.x) {
        float v = gradient<1>(g, bytes, i).v[0];
        sum += v * v;
    }
    return block_sum(sum);
}

extern "C" __global__ void squares(const Parameter *parameters, const uint2 *shares, float *sums) {
    SHARE(1)
    const float sum = a.squares ? a.squares[share.y] : sum_of_squares(a.g, a.grad_bytes, start, end);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The same for the shares of one gradient of n elements, a block each.
extern "C" __global__ void squares_of(const void *g, uint32_t bytes, uint64_t n, float *sums) {
    const uint64_t start = uint64_t(blockIdx.x) * CHUNK;
    const float sum = sum_of_squares(g, bytes, start, min(n, start + CHUNK));
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
