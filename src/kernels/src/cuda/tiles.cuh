// Tensor-core products of bf16 or f16 tiles in shared memory (mma.sync): f16 from compute capability 7.5 on, bf16 from 8.0 on.
//
// A tile has rows of D elements; 16-byte pieces of a row are placed by piece ^ (row % 8), so that eight rows of one column of
// pieces lie in different banks.
#pragma once
#include "common.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 750
#error "these kernels need compute capability 7.5 or later"
#endif

template <class T> constexpr bool IS_BF16 = false;
template <> constexpr bool IS_BF16<bf16> = true;

template <int D> __device__ __forceinline__ uint32_t place(uint32_t tile, int row, int column) {
    return tile + (row * D + ((column / 8) ^ (row % 8)) * 8) * 2;
}

__device__ __forceinline__ uint32_t shared_address(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

// Copies that go on beside the threads' work from 8.0 on, and are done at once before it. What is not there becomes zeros.
#if __CUDA_ARCH__ >= 800
__device__ __forceinline__ void copy_16(uint32_t to, const void *from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0));
}
__device__ __forceinline__ void copy_4(uint32_t to, const void *from, bool there) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(there ? 4 : 0));
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;"); }
__device__ __forceinline__ void wait_all() { asm volatile("cp.async.wait_group 0;"); }
#else
__device__ __forceinline__ void copy_16(uint32_t to, const void *from, bool there) {
    uint4 v = there ? *static_cast<const uint4 *>(from) : uint4{};
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}
__device__ __forceinline__ void copy_4(uint32_t to, const void *from, bool there) {
    uint32_t v = there ? *static_cast<const uint32_t *>(from) : 0;
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(v) : "memory");
}
__device__ __forceinline__ void commit() {}
__device__ __forceinline__ void wait_all() {}
#endif

// Starts copying `ROWS` rows of D elements, `stride` apart, by 128 threads; rows from `count` on become zeros.
template <int D, int ROWS, class T> __device__ __forceinline__ void copy_tile(uint32_t tile, const T *from, size_t stride, int count) {
    constexpr int PIECES = D / 8;
#pragma unroll
    for (int i = threadIdx.x; i < ROWS * PIECES; i += 128) {
        int row = i / PIECES, piece = i % PIECES;
        bool there = row < count;
        copy_16(place<D>(tile, row, piece * 8), from + (there ? row * stride + piece * 8 : 0), there);
    }
}

__device__ __forceinline__ void load_4(uint32_t (&r)[4], uint32_t at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}
__device__ __forceinline__ void load_4_transposed(uint32_t (&r)[4], uint32_t at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
}

// The left operand: rows `row .. +16`, columns `column .. +16` of a tile.
template <int D> __device__ __forceinline__ void left(uint32_t (&a)[4], uint32_t tile, int row, int column) {
    int lane = threadIdx.x % 32;
    load_4(a, place<D>(tile, row + lane % 16, column + lane / 16 * 8));
}
// The right operand for `x tile^T`: 16 rows of the tile are 16 columns of the product; column .. +16 is its depth.
template <int D> __device__ __forceinline__ void right_rows(uint32_t (&b)[4], uint32_t tile, int row, int column) {
    int lane = threadIdx.x % 32;
    load_4(b, place<D>(tile, row + lane / 16 * 8 + lane % 8, column + lane / 8 % 2 * 8));
}
// The right operand for `x tile`: 16 rows are its depth, 16 columns the product's.
template <int D> __device__ __forceinline__ void right_columns(uint32_t (&b)[4], uint32_t tile, int row, int column) {
    int lane = threadIdx.x % 32;
    load_4_transposed(b, place<D>(tile, row + lane % 16, column + lane / 16 * 8));
}

#define MMA(SHAPE, TYPE, A, B) "mma.sync.aligned." SHAPE ".row.col.f32." TYPE "." TYPE ".f32 {%0,%1,%2,%3}, {" A "}, {" B "}, {%0,%1,%2,%3};"

// c (16 x 8) += a (16 x 16) b (16 x 8). A thread holds c at rows lane / 4 and + 8, columns lane % 4 * 2 and + 1.
template <class T> __device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
    if constexpr (IS_BF16<T>)
        asm volatile(MMA("m16n8k16", "bf16", "%4,%5,%6,%7", "%8,%9")
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm volatile(MMA("m16n8k16", "f16", "%4,%5,%6,%7", "%8,%9")
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    if constexpr (IS_BF16<T>) { // such a card is given no bf16: `refusal` in precision.rs
        __trap();
    } else { // the depth in two halves
        asm volatile(MMA("m16n8k8", "f16", "%4,%5", "%6") : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(b0));
        asm volatile(MMA("m16n8k8", "f16", "%4,%5", "%6") : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[2]), "r"(a[3]), "r"(b1));
    }
#endif
}

// Two neighbours as one word, and back.
template <class T> __device__ __forceinline__ uint32_t pack(float low, float high) {
    if constexpr (IS_BF16<T>) {
        __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
        return *reinterpret_cast<uint32_t *>(&both);
    } else {
        __half2 both = __floats2half2_rn(low, high);
        return *reinterpret_cast<uint32_t *>(&both);
    }
}
template <class T> __device__ __forceinline__ float2 unpack(uint32_t pair) {
    if constexpr (IS_BF16<T>)
        return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000));
    else
        return __half22float2(*reinterpret_cast<__half2 *>(&pair));
}

// A product's two neighbouring 16 x 8 results as the left operand of the next.
template <class T> __device__ __forceinline__ void as_left(uint32_t (&a)[4], const float (&c0)[4], const float (&c1)[4]) {
    a[0] = pack<T>(c0[0], c0[1]);
    a[1] = pack<T>(c0[2], c0[3]);
    a[2] = pack<T>(c1[0], c1[1]);
    a[3] = pack<T>(c1[2], c1[3]);
}
