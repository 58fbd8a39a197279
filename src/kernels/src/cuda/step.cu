// One new token a row through a block, but for its products: the embedding, the norms, and attention with the rotation before it and
// the cache's new entry. Tokens and positions are read on the device, so that one captured graph serves every step.
#include "decode.cuh"

// ids (B), positions (B) -> x (B, C): the token's embedding, which may lie in the host's memory, and the position's where positions are
// learned; c is a multiple of 8. Sets all bits of the
// `count` words of `missing`.
template <class T>
__device__ void embed(const T *tokens, const T *places, const uint32_t *ids, const uint32_t *positions, T *x, uint32_t *missing, uint32_t c, uint32_t count) {
    constexpr int V = 16 / sizeof(T);
    let_next_start();
    wait_for_input();
    for (uint32_t i = FIRST; i < count; i += STRIDE) missing[i] = 0xffffffff;
    const T *token = tokens + size_t(ids[blockIdx.x]) * c, *place = places ? places + size_t(positions[blockIdx.x]) * c : nullptr;
    for (uint32_t i = threadIdx.x * V; i < c; i += blockDim.x * V) {
        auto a = Lanes<T, V>::load(token + i);
        if (place) {
            auto b = Lanes<T, V>::load(place + i);
#pragma unroll
            for (int k = 0; k < V; k++) a.v[k] += b.v[k];
        }
        a.store(x + size_t(blockIdx.x) * c + i);
    }
}

// x (B, C) -> y (B, C): LayerNorm, or RMSNorm without a bias. A block a row; c is a multiple of 8.
template <class T> __device__ void row_norm(const T *x, const T *w, const T *b, T *y, uint32_t c, float eps) {
    constexpr int V = 16 / sizeof(T), KEEP = 2;
    let_next_start();
    Lanes<T, V> weights[KEEP], biases[KEEP];
#pragma unroll
    for (int k = 0; k < KEEP; k++) {
        const uint32_t at = (threadIdx.x + k * blockDim.x) * V;
        if (at < c) weights[k] = Lanes<T, V>::load(w + at);
        if (at < c && b) biases[k] = Lanes<T, V>::load(b + at);
    }
    wait_for_input();
    const T *row = x + size_t(blockIdx.x) * c;
    Lanes<T, V> kept[KEEP]; // of a row that is wider, the rest is read again
    float sum = 0.0f, squares = 0.0f;
    auto at = [&](int k) { return (threadIdx.x + k * blockDim.x) * V; };
    auto piece = [&](int k) { return Lanes<T, V>::load(row + at(k)); };
#pragma unroll
    for (int k = 0; k < KEEP; k++)
        if (at(k) < c) {
            kept[k] = piece(k);
#pragma unroll
            for (int i = 0; i < V; i++) sum += kept[k].v[i];
        }
    for (int k = KEEP; at(k) < c; k++)
        for (float v : piece(k).v) sum += v;
    const float mean = b ? block_sum(sum) / c : 0.0f;
#pragma unroll
    for (int k = 0; k < KEEP; k++)
        if (at(k) < c)
#pragma unroll
            for (int i = 0; i < V; i++) squares += (kept[k].v[i] - mean) * (kept[k].v[i] - mean);
    for (int k = KEEP; at(k) < c; k++)
        for (float v : piece(k).v) squares += (v - mean) * (v - mean);
    const float r = 1.0f / sqrtf(block_sum(squares) / c + eps);
    auto write = [&](Lanes<T, V> a, const Lanes<T, V> &weight, const Lanes<T, V> &bias, int k) {
#pragma unroll
        for (int i = 0; i < V; i++) a.v[i] = (a.v[i] - mean) * r * weight.v[i] + (b ? bias.v[i] : 0.0f);
        a.store(y + size_t(blockIdx.x) * c + at(k));
    };
#pragma unroll
    for (int k = 0; k < KEEP; k++)
        if (at(k) < c) write(kept[k], weights[k], biases[k], k);
    for (int k = KEEP; at(k) < c; k++) write(piece(k), Lanes<T, V>::load(w + at(k)), Lanes<T, V>::load((b ? b : w) + at(k)), k);
}

// 8 neighbouring elements as they lie in memory, in whole registers.
template <class T> struct alignas(16) Eight {
    uint32_t words[2 * sizeof(T)];

    __device__ __forceinline__ float operator[](int i) const {
        if (sizeof(T) == 4) return __uint_as_float(words[i]);
        const uint32_t two = words[i / 2];
        return __uint_as_float(i % 2 ? two & 0xffff0000u : two << 16);
    }
    static __device__ __forceinline__ Eight of(const float (&v)[8]) {
        Eight out;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            if (sizeof(T) == 4)
                out.words[i] = __float_as_uint(v[i]);
            else if (i % 2)
                out.words[i / 2] = uint32_t(__bfloat16_as_ushort(__float2bfloat16_rn(v[i]))) << 16 | __bfloat16_as_ushort(__float2bfloat16_rn(v[i - 1]));
        }
        return out;
    }
};
template <class T> __device__ __forceinline__ Eight<T> eight(const T *from) { return *reinterpret_cast<const Eight<T> *>(from); }
// Past the L1 cache, which may hold what was there before.
template <class T> __device__ __forceinline__ Eight<T> fresh_eight(const T *from) {
    Eight<T> out;
#pragma unroll
    for (int i = 0; i < int(sizeof(T)) / 2; i++) reinterpret_cast<uint4 *>(out.words)[i] = __ldcg(reinterpret_cast<const uint4 *>(from) + i);
    return out;
}

// Keys that a block takes: 64, or as many as leave 64 blocks. It depends on the length alone, so a row's sums do not depend on others.
__device__ __forceinline__ uint32_t keys_a_block(uint32_t length) {
    uint32_t keys = 64;
    while (keys * 64 < length) keys *= 2;
    return keys;
}

constexpr uint32_t ATTEND_WARPS = 8;
// Of a score that stands for nothing yet: finite, so that no difference of two is NaN.
#define LOW -1e30f

// qkv (B, H + 2 KV heads of D), before the rotation -> out (B, H, D), and the new key and value at `position` of their caches
// (B, KV, capacity, D). A block takes P query heads that share keys, and a share of the keys; the last block of a row's head to come
// puts the shares together, in order. cosines, sines (positions, D / 2): or null. Blocks: (rows times H / P, shares).
template <class T, int D, int P>
__device__ void attend(const T *qkv, T *keys, T *values, T *out, const float *cosines, const float *sines, const uint32_t *positions, float *partials,
                       uint32_t *tickets, uint32_t capacity, uint32_t heads, uint32_t kv, float scale) {
    constexpr int LANES = D / 8, SLOTS = 32 / LANES; // lanes of a key, keys of a warp's load
    constexpr int AHEAD = P == 4 ? 2 : 4;            // loads in flight; as many more are on their way to the L2 cache
    __shared__ float parts[ATTEND_WARPS][P][D], tops[ATTEND_WARPS][P], sums[ATTEND_WARPS][P];
    let_next_start();
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, slot = lane / LANES, e = lane % LANES * 8;
    const uint32_t groups = heads / P, row = blockIdx.x / groups, head = blockIdx.x % groups * P, shared = head / (heads / kv), other = (e + D / 2) % D;
    const size_t cache = (size_t(row) * kv + shared) * capacity * D;
    // Positions and all older keys were written a step ago, so they may be read before the wait.
    const uint32_t position = __ldcg(positions + row), length = position + 1, share = keys_a_block(length);
    const uint32_t shares = (length + share - 1) / share, start = blockIdx.y * share, end = min(length, start + share);
    if (blockIdx.y >= shares) {
        wait_for_input();
        return;
    }
    Lanes<float, 8> cosine, sine;
    if (cosines) {
        const size_t angle = size_t(position) * (D / 2) + e % (D / 2);
        cosine = Lanes<float, 8>::load(cosines + angle), sine = Lanes<float, 8>::load(sines + angle);
    }
    Eight<T> k[AHEAD], v[AHEAD];
    auto load = [&](uint32_t base) {
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const size_t at = cache + size_t(min(base + u * ATTEND_WARPS * SLOTS, end - 1)) * D + e;
            k[u] = fresh_eight(keys + at);
            v[u] = fresh_eight(values + at);
            const size_t later = cache + size_t(min(base + (AHEAD + u) * ATTEND_WARPS * SLOTS, end - 1)) * D + e;
            asm volatile("prefetch.global.L2 [%0];" ::"l"(keys + later));
            asm volatile("prefetch.global.L2 [%0];" ::"l"(values + later));
        }
    };
    load(start + warp * SLOTS + slot);
    wait_for_input();

    const T *own = qkv + size_t(row) * (heads + 2 * kv) * D;
    // Of a head, elements e .. e + 7 after the rotation, rounded as the cache rounds them.
    auto rotated = [&](uint32_t head) {
        const Eight<T> a = eight(own + head * D + e), b = eight(own + head * D + other);
        if (!cosines) return a;
        float turned[8];
#pragma unroll
        for (int i = 0; i < 8; i++) turned[i] = a[i] * cosine.v[i] + (e < D / 2 ? -b[i] : b[i]) * sine.v[i];
        return Eight<T>::of(turned);
    };
    Eight<T> q[P];
#pragma unroll
    for (int h = 0; h < P; h++) q[h] = rotated(head + h);
    // The new key and value, where they belong here: into the cache, and into the place that was read too early.
    const bool newest = end == length;
    Eight<T> new_key, new_value;
    if (newest) {
        new_key = rotated(heads + shared), new_value = eight(own + (heads + kv + shared) * D + e);
        if (threadIdx.x < LANES) {
            *reinterpret_cast<Eight<T> *>(keys + cache + size_t(position) * D + e) = new_key;
            *reinterpret_cast<Eight<T> *>(values + cache + size_t(position) * D + e) = new_value;
        }
    }

    const float log2_scale = scale * 1.4426950408889634f;
    float top[P], sum[P] = {}, o[P][8] = {};
#pragma unroll
    for (int h = 0; h < P; h++) top[h] = LOW;
    for (uint32_t base = start + warp * SLOTS + slot; base - slot - warp * SLOTS < end; base += ATTEND_WARPS * SLOTS * AHEAD) {
#pragma unroll
        for (int u = 0; u < AHEAD; u++) {
            const uint32_t at = base + u * ATTEND_WARPS * SLOTS;
            if (newest && at >= position) k[u] = new_key, v[u] = new_value;
#pragma unroll
            for (int h = 0; h < P; h++) {
                float dot = 0.0f;
#pragma unroll
                for (int i = 0; i < 8; i++) dot += q[h][i] * k[u][i];
#pragma unroll
                for (int offset = LANES / 2; offset > 0; offset /= 2) dot += __shfl_xor_sync(0xffffffff, dot, offset);
                const float score = at < end ? dot * log2_scale : -INFINITY, most = fmaxf(top[h], score);
                const float shrink = exp2f(top[h] - most), p = exp2f(score - most);
                top[h] = most;
                sum[h] = sum[h] * shrink + p;
#pragma unroll
                for (int i = 0; i < 8; i++) o[h][i] = o[h][i] * shrink + p * v[u][i];
            }
        }
        if (base - slot - warp * SLOTS + ATTEND_WARPS * SLOTS * AHEAD < end) load(base + ATTEND_WARPS * SLOTS * AHEAD);
    }

    // A warp's keys, then the warps', then the blocks'.
#pragma unroll
    for (int h = 0; h < P; h++) {
#pragma unroll
        for (int offset = LANES; offset < 32; offset *= 2) {
            const float other = __shfl_xor_sync(0xffffffff, top[h], offset), most = fmaxf(top[h], other);
            const float mine = exp2f(top[h] - most), theirs = exp2f(other - most);
            // Both sides add the lower slot's share first.
            const bool lower = (lane & offset) == 0;
            auto join = [&](float a) {
                const float b = __shfl_xor_sync(0xffffffff, a, offset);
                return lower ? fmaf(b, theirs, a * mine) : fmaf(a, mine, b * theirs);
            };
            sum[h] = join(sum[h]);
#pragma unroll
            for (int i = 0; i < 8; i++) o[h][i] = join(o[h][i]);
            top[h] = most;
        }
        if (slot == 0)
#pragma unroll
            for (int i = 0; i < 8; i++) parts[warp][h][e + i] = o[h][i];
        if (lane == 0) tops[warp][h] = top[h], sums[warp][h] = sum[h];
    }
    __syncthreads();
    constexpr uint32_t WIDTH = D + 2; // a share: D sums, their top, their total
    float *mine = partials + (size_t(row) * heads + head) * gridDim.y * WIDTH;
    auto put = [&](uint32_t h, uint32_t i, float value) { out[(size_t(row) * heads + head + h) * D + i] = from_float<T>(value); };
    for (uint32_t i = threadIdx.x; i < P * D; i += blockDim.x) {
        const uint32_t h = i / D;
        float most = LOW, total = 0.0f, value = 0.0f;
#pragma unroll
        for (uint32_t w = 0; w < ATTEND_WARPS; w++) most = fmaxf(most, tops[w][h]);
#pragma unroll
        for (uint32_t w = 0; w < ATTEND_WARPS; w++) {
            const float weight = exp2f(tops[w][h] - most);
            total += sums[w][h] * weight;
            value += parts[w][h][i % D] * weight;
        }
        if (shares == 1) {
            put(h, i % D, value / total);
            continue;
        }
        float *to = mine + (size_t(h) * gridDim.y + blockIdx.y) * WIDTH;
        to[i % D] = value;
        if (i % D == 0) to[D] = most, to[D + 1] = total;
    }
    if (shares == 1 || !last_to_come(tickets + blockIdx.x, shares)) return;
    for (uint32_t i = threadIdx.x; i < P * D; i += blockDim.x) {
        const float *from = mine + size_t(i / D) * gridDim.y * WIDTH;
        float most = LOW, total = 0.0f, value = 0.0f;
#pragma unroll 4
        for (uint32_t k = 0; k < shares; k++, from += WIDTH) {
            const float top = __ldcg(from + D), sum = __ldcg(from + D + 1), part = __ldcg(from + i % D);
            const float higher = fmaxf(most, top), old = exp2f(most - higher), weight = exp2f(top - higher);
            total = total * old + sum * weight;
            value = value * old + part * weight;
            most = higher;
        }
        put(i / D, i % D, value / total);
    }
}

#define STEP(T)                                                                                                                     \
    extern "C" __global__ void embed_##T(const T *tokens, const T *places, const uint32_t *ids, const uint32_t *positions, T *x, \
                                         uint32_t *missing, uint32_t c, uint32_t count) {                                           \
        embed(tokens, places, ids, positions, x, missing, c, count);                                                                                 \
    }                                                                                                                               \
    extern "C" __global__ void __launch_bounds__(512) row_norm_##T(const T *x, const T *w, const T *b, T *y, uint32_t c, float eps) { \
        row_norm(x, w, b, y, c, eps);                                                                                               \
    }
STEP(f32)
STEP(bf16)

#define ATTEND(T, D, P, BLOCKS)                                                                                                             \
    extern "C" __global__ void __launch_bounds__(32 * ATTEND_WARPS, BLOCKS)                                                                \
        attend_##D##_##P##_##T(const T *qkv, T *keys, T *values, T *out, const float *cosines, const float *sines, const uint32_t *positions, \
                               float *partials, uint32_t *tickets, uint32_t capacity, uint32_t heads, uint32_t kv, float scale) {   \
        attend<T, D, P>(qkv, keys, values, out, cosines, sines, positions, partials, tickets, capacity, heads, kv, scale);          \
    }
#define EACH_HEADS(T, BLOCKS)                                                                                                       \
    ATTEND(T, 64, 1, BLOCKS) ATTEND(T, 64, 2, BLOCKS) ATTEND(T, 64, 4, BLOCKS) ATTEND(T, 128, 1, BLOCKS) ATTEND(T, 128, 2, BLOCKS) ATTEND(T, 128, 4, BLOCKS)
EACH_HEADS(f32, 1)
EACH_HEADS(bf16, 2)
