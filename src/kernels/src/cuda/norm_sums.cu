// Backward of RMSNorm and LayerNorm with sums over rows, for rows that 256 threads hold in 16-byte pieces: what a block reads is on its
// way to shared memory while it works on the rows before. norm.cu has the same for any rows, and what the arguments are.
#include "tiles.cuh"

#define THREADS 256
// Rows that are worked on at a time, each by as many warps.
#define ROWS 2
#define WARPS_A_ROW (THREADS / 32 / ROWS)

#if __CUDA_ARCH__ >= 800
template <bool LAYER>
__device__ void backward(const bf16 *dy, const bf16 *x, const bf16 *w, const float *saved, const bf16 *residual, bf16 *dx, float *partials,
                         uint32_t n, uint32_t c, uint32_t stride, uint32_t rows, uint32_t weights, uint32_t sums) {
    extern __shared__ __align__(16) bf16 room[]; // (2 stages, 3, ROWS, C): x, dy and the residual
    __shared__ float shares[2][ROWS][WARPS_A_ROW];
    const uint32_t first = blockIdx.x * rows, count = min(rows, n - first), warp = threadIdx.x / 32, column = threadIdx.x * 8;
    auto mean_of = [&](uint32_t row) { return LAYER ? saved[2 * row] : 0.0f; };
    auto r_of = [&](uint32_t row) { return LAYER ? saved[2 * row + 1] : saved[row]; };
    auto fetch = [&](uint32_t from) {
        const uint32_t to = shared_address(room + size_t(from / ROWS % 2) * 3 * ROWS * c + column);
        if (column < c && from < count)
#pragma unroll
            for (uint32_t k = 0; k < ROWS; k++) {
                const size_t row = first + min(from + k, count - 1);
                copy_16(to + k * c * 2, x + row * c + column, true);
                copy_16(to + (ROWS + k) * c * 2, dy + row * stride + column, true);
                if (residual) copy_16(to + (2 * ROWS + k) * c * 2, residual + row * c + column, true);
            }
        commit();
    };
    float dw[8] = {}, db[8] = {}, total[8] = {};
    fetch(0);
    for (uint32_t done = 0; done < count; done += ROWS) {
        fetch(done + ROWS);
        asm volatile("cp.async.wait_group 1;");
        __syncthreads();
        const bf16 *stage = room + size_t(done / ROWS % 2) * 3 * ROWS * c;
        {
            const uint32_t k = warp / WARPS_A_ROW, part = warp % WARPS_A_ROW, row = first + min(done + k, count - 1);
            const float mean = mean_of(row), r = r_of(row);
            float sum = 0.0f, along = 0.0f;
            for (uint32_t i = (part * 32 + threadIdx.x % 32) * 8; i < c; i += WARPS_A_ROW * 32 * 8) {
                auto a = Lanes<bf16, 8>::load(stage + k * c + i), d = Lanes<bf16, 8>::load(stage + (ROWS + k) * c + i);
                auto f = Lanes<bf16, 8>::load(w + i);
#pragma unroll
                for (int j = 0; j < 8; j++) {
                    const float g = d.v[j] * f.v[j];
                    sum += g;
                    along += g * (a.v[j] - mean) * r;
                }
            }
            sum = warp_sum(sum);
            along = warp_sum(along);
            if (threadIdx.x % 32 == 0) shares[0][k][part] = sum / c, shares[1][k][part] = along / c;
        }
        __syncthreads();
        if (column < c) {
            auto f = Lanes<bf16, 8>::load(w + column);
#pragma unroll
            for (uint32_t k = 0; k < ROWS; k++) {
                if (done + k >= count) break;
                const uint32_t row = first + done + k;
                const float mean = mean_of(row), r = r_of(row);
                float sum = 0.0f, along = 0.0f;
#pragma unroll
                for (int part = 0; part < WARPS_A_ROW; part++) {
                    if (LAYER) sum += shares[0][k][part];
                    along += shares[1][k][part];
                }
                auto a = Lanes<bf16, 8>::load(stage + k * c + column), d = Lanes<bf16, 8>::load(stage + (ROWS + k) * c + column);
#pragma unroll
                for (int j = 0; j < 8; j++) {
                    const float hat = (a.v[j] - mean) * r;
                    dw[j] += d.v[j] * hat, db[j] += d.v[j];
                    d.v[j] = r * (d.v[j] * f.v[j] - sum - hat * along);
                }
                if (residual) {
                    auto more = Lanes<bf16, 8>::load(stage + (2 * ROWS + k) * c + column);
#pragma unroll
                    for (int j = 0; j < 8; j++) d.v[j] += more.v[j];
                }
#pragma unroll
                for (int j = 0; j < 8; j++) total[j] += d.v[j];
                d.store(dx + size_t(row) * c + column);
            }
        }
        __syncthreads(); // the next rows but one are fetched over these
    }
    if (column >= c) return;
    const uint32_t of_weights = weights ? (LAYER ? 2 : 1) : 0, kinds = of_weights + (sums ? 1 : 0);
    float *own = partials + size_t(blockIdx.x) * kinds * c + column;
    if (weights) store_sums<8>(own, dw);
    if (LAYER && weights) store_sums<8>(own + c, db);
    if (sums) store_sums<8>(own + size_t(of_weights) * c, total);
}
#endif

#if __CUDA_ARCH__ >= 800
#define BODY(LAYER) backward<LAYER>(dy, x, w, saved, residual, dx, partials, n, c, stride, rows, weights, sums);
#else
#define BODY(LAYER) __trap(); // the host does not launch it there
#endif
#define BACKWARD(NAME, LAYER)                                                                                                        \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                                                         \
        NAME(const bf16 *dy, const bf16 *x, const bf16 *w, const bf16 *b, const float *saved, const bf16 *residual, bf16 *dx,        \
             bf16 *again, float *partials, uint32_t n, uint32_t c, uint32_t stride, uint32_t rows, uint32_t weights, uint32_t sums) { \
        BODY(LAYER)                                                                                                                  \
    }
BACKWARD(rms_norm_backward_staged, false)
BACKWARD(layer_norm_backward_staged, true)
