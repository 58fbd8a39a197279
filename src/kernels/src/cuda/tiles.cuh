// Tensor-core products of bf16 tiles in shared memory (mma.sync, compute capability 8.0 and later).
//
// A tile has rows of D elements; 16-byte pieces of a row are placed by piece ^ (row % 8), so that eight rows of one column of
// pieces lie in different banks.
#pragma once
#include "common.cuh"

template <int D> __device__ __forceinline__ uint32_t place(uint32_t tile, int row, int column) {
    return tile + (row * D + ((column / 8) ^ (row % 8)) * 8) * 2;
}

__device__ __forceinline__ uint32_t shared_address(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

#if __CUDA_ARCH__ >= 800

__device__ __forceinline__ void copy_16(uint32_t to, const void *from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0));
}
__device__ __forceinline__ void copy_4(uint32_t to, const void *from, bool there) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(there ? 4 : 0));
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;"); }
__device__ __forceinline__ void wait_all() { asm volatile("cp.async.wait_group 0;"); }

// Starts copying `ROWS` rows of D elements, `stride` apart, by 128 threads; rows from `count` on become zeros.
template <int D, int ROWS> __device__ __forceinline__ void copy_tile(uint32_t tile, const bf16 *from, size_t stride, int count) {
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

// c (16 x 8) += a (16 x 16) b (16 x 8). A thread holds c at rows lane / 4 and + 8, columns lane % 4 * 2 and + 1.
__device__ __forceinline__ void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ uint32_t pack(float low, float high) {
    __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t *>(&both);
}

// A product's two neighbouring 16 x 8 results as the left operand of the next.
__device__ __forceinline__ void as_left(uint32_t (&a)[4], const float (&c0)[4], const float (&c1)[4]) {
    a[0] = pack(c0[0], c0[1]);
    a[1] = pack(c0[2], c0[3]);
    a[2] = pack(c1[0], c1[1]);
    a[3] = pack(c1[2], c1[3]);
}

#endif
