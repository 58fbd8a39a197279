// Hopper's own instructions (compute capability 9.0, target sm_90a): products by a group of four warps whose right operand, and
// maybe left, lies in shared memory (wgmma), and the copy engine that fills it (TMA).
//
// A tile of D columns lies in panels of 64 columns: rows of 128 bytes, whose 16-byte pieces the copy engine places by
// piece ^ (row % 8) ("128-byte swizzle"). Panels start at multiples of 1,024 bytes.
#pragma once
#include "common.cuh"

struct alignas(64) TensorMap {
    uint64_t opaque[16];
};

namespace hopper {

__device__ __forceinline__ uint32_t shared_address(const void *p) { return uint32_t(__cvta_generic_to_shared(p)); }

__device__ __forceinline__ uint32_t pack(float low, float high) {
    __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<uint32_t *>(&both);
}

// 2^x by the unit for it alone; exp2f adds steps for results below 2^-126, which are 0 here.
__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Barriers: `count` arrivals and all announced bytes end a phase; phases alternate between 0 and 1.
__device__ __forceinline__ void barrier_init(uint32_t barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
__device__ __forceinline__ void barrier_expect(uint32_t barrier, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ __forceinline__ void barrier_arrive(uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ void barrier_wait(uint32_t barrier, uint32_t phase) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@done bra over;\n"
                 "bra again;\n"
                 "over:\n"
                 "}" ::"r"(barrier),
                 "r"(phase)
                 : "memory");
}
__device__ __forceinline__ void barriers_ready() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

// 64 rows of 64 columns from (row, column) of a matrix; rows after its last become zeros.
__device__ __forceinline__ void copy_panel(uint32_t to, const TensorMap *from, uint32_t column, uint32_t row, uint32_t barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to), "l"(from),
                 "r"(column), "r"(row), "r"(barrier)
                 : "memory");
}
// A tile of ROWS x D.
template <int ROWS, int D>
__device__ __forceinline__ void copy_tile(uint32_t to, const TensorMap *from, uint32_t column, uint32_t row, uint32_t barrier) {
#pragma unroll
    for (int panel = 0; panel < D / 64; panel++)
#pragma unroll
        for (int rows = 0; rows < ROWS; rows += 64) copy_panel(to + panel * ROWS * 128 + rows * 128, from, column + panel * 64, row + rows, barrier);
}
// `bytes` in one piece; addresses and size are multiples of 16.
__device__ __forceinline__ void copy_piece(uint32_t to, const void *from, uint32_t bytes, uint32_t barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier)
                 : "memory");
}

// Blocks of a cluster run at the same time and reach each other's shared memory. A block without one is a cluster by itself.
__device__ __forceinline__ uint32_t cluster_size() {
    uint32_t size;
    asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(size));
    return size;
}
__device__ __forceinline__ uint32_t cluster_rank() {
    uint32_t rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
// All threads of the cluster that have not ended come here; what they wrote before is there for all after.
__device__ __forceinline__ void cluster_meet() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
// To the same place in the shared memory of the cluster's block `rank`.
__device__ __forceinline__ void store_at(uint32_t at, uint32_t rank, float4 v) {
    asm volatile("{\n.reg .b32 there;\n"
                 "mapa.shared::cluster.u32 there, %0, %1;\n"
                 "st.shared::cluster.v4.f32 [there], {%2, %3, %4, %5};\n"
                 "}" ::"r"(at),
                 "r"(rank), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
                 : "memory");
}

template <int REGISTERS> __device__ __forceinline__ void take_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS)); }
template <int REGISTERS> __device__ __forceinline__ void give_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS)); }

// Where an operand lies: its address (without the rank that it begins with in a cluster), the distance of its panels and of its
// groups of eight rows. What is constant in a tile is added last, so that one addition leads from one operand to the next.
__device__ __forceinline__ uint64_t descriptor(uint32_t address, uint32_t offset, uint32_t panels) {
    uint32_t low = (address & 0x3FFFF) / 16 + (panels / 16 << 16) + offset / 16, high = 1024 / 16 | 1 << 30;
    return uint64_t(high) << 32 | low;
}
// 64 rows (left) or all rows (right, for `x tile^T`) from `row` of a tile of ROWS rows, depth column .. +16.
template <int ROWS> __device__ __forceinline__ uint64_t by_rows(uint32_t tile, int row, int column) {
    return descriptor(tile + row * 128, column / 64 * ROWS * 128 + column % 64 * 2, 16);
}
// The right operand for `x tile`: rows row .. +16 are its depth, all columns the product's.
template <int ROWS> __device__ __forceinline__ uint64_t by_columns(uint32_t tile, int row) { return descriptor(tile, row * 128, ROWS * 128); }

__device__ __forceinline__ void begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int LEFT> __device__ __forceinline__ void wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory"); }
// Keeps the compiler from moving sums across a wait.
template <int N> __device__ __forceinline__ void settle(float (&c)[N]) {
#pragma unroll
    for (int i = 0; i < N; i++) asm volatile("" : "+f"(c[i])::"memory");
}

#define SUMS_8(c, i) "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), "+f"(c[i + 6]), "+f"(c[i + 7])
#define SUMS_32(c, i) SUMS_8(c, i), SUMS_8(c, i + 8), SUMS_8(c, i + 16), SUMS_8(c, i + 24)
#define NAMES_32                                                                                                                  \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define NAMES_64                                                                                                                  \
    NAMES_32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,"  \
             "%60,%61,%62,%63"

// c (64 x N) = a b, or += where `add`: one group's products of depth 16 in bf16. A thread holds c at rows warp * 16 + lane / 4 (and
// + 8), columns n * 8 + lane % 4 * 2 (and + 1) as c[4 n ..], like mma.sync's m16n8.

// Both operands in shared memory, both by rows: `a b^T`.
__device__ __forceinline__ void multiply(float (&c)[32], uint64_t a, uint64_t b, bool add) {
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" NAMES_32 "}, %32, %33, add, 1, 1, 0, 0;\n}"
                 : SUMS_32(c, 0)
                 : "l"(a), "l"(b), "r"(int(add)));
}
__device__ __forceinline__ void multiply(float (&c)[64], uint64_t a, uint64_t b, bool add) {
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" NAMES_64 "}, %64, %65, add, 1, 1, 0, 0;\n}"
                 : SUMS_32(c, 0), SUMS_32(c, 32)
                 : "l"(a), "l"(b), "r"(int(add)));
}
// The left operand in registers, the right one by columns: `a b`.
__device__ __forceinline__ void multiply(float (&c)[32], const uint32_t (&a)[4], uint64_t b, bool add) {
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %37, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" NAMES_32 "}, {%32,%33,%34,%35}, %36, add, 1, 1, 1;\n}"
                 : SUMS_32(c, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)));
}
__device__ __forceinline__ void multiply(float (&c)[64], const uint32_t (&a)[4], uint64_t b, bool add) {
    asm volatile("{\n.reg .pred add;\nsetp.ne.b32 add, %69, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" NAMES_64 "}, {%64,%65,%66,%67}, %68, add, 1, 1, 1;\n}"
                 : SUMS_32(c, 0), SUMS_32(c, 32)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(add)));
}

// 16 columns of sums, from the n-th on, as a left operand.
template <int N> __device__ __forceinline__ void as_left(uint32_t (&a)[4], const float (&c)[N], int n) {
    a[0] = pack(c[8 * n], c[8 * n + 1]);
    a[1] = pack(c[8 * n + 2], c[8 * n + 3]);
    a[2] = pack(c[8 * n + 4], c[8 * n + 5]);
    a[3] = pack(c[8 * n + 6], c[8 * n + 7]);
}

} // namespace hopper
