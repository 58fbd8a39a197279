// What the kernels of decoding share. They run one after the other many times a token, so each is let start before the one before
// it has ended (programmatic dependent launch, capability 9.0): it may read weights at once, but nothing that a kernel before it writes
// until it has waited. Every kernel waits, in every block, so a kernel that has waited knows all before it to be done.
#pragma once
#include "common.cuh"

__device__ __forceinline__ void let_next_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

__device__ __forceinline__ void wait_for_input() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// For blocks that leave partial sums in device memory: true in all threads of the last of `of` blocks to come, and everything that
// the others wrote before is visible to it. The ticket is 0 again afterwards.
__device__ __forceinline__ bool last_to_come(uint32_t *ticket, uint32_t of) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(ticket, 1) == of - 1;
        if (last) *ticket = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}
