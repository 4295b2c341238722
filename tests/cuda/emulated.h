// CUDA on a CPU, for tests: the threads of a block are fibres that run one after the other up to the next place where they
// meet (a barrier, a product of a warp, an exchange between lanes), so that what depends on the order shows as a wrong
// number or as a deadlock. Numbers of 16 bits are rounded as on a card, to nearest and to even.
#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#define __device__
#define __global__
#define __shared__ static
#define __launch_bounds__(threads)

struct Dim { unsigned x, y, z; };
inline Dim threadIdx, blockIdx, blockDim;

namespace emulated {

struct Fibre {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(1 << 18);
    // How often it has met the others: of the block, of its warp.
    uint64_t block_meetings = 0, warp_meetings = 0;
    bool done = false;
};

inline std::vector<std::unique_ptr<Fibre>> fibres;
inline ucontext_t scheduler;
inline unsigned current = 0;
inline std::function<void()> body;

inline void rest() { swapcontext(&fibres[current]->context, &scheduler); }

inline void meet_block() {
    const uint64_t meeting = ++fibres[current]->block_meetings;
    for (;;) {
        bool all = true;
        for (auto &fibre : fibres) all &= fibre->block_meetings >= meeting;
        if (all) return;
        rest();
    }
}

inline void meet_warp() {
    const uint64_t meeting = ++fibres[current]->warp_meetings;
    const unsigned first = current / 32 * 32;
    for (;;) {
        bool all = true;
        for (unsigned i = first; i < first + 32 && i < fibres.size(); i++) all &= fibres[i]->warp_meetings >= meeting;
        if (all) return;
        rest();
    }
}

inline void enter() {
    body();
    fibres[current]->done = true;
    // Who has left meets nobody and keeps nobody waiting.
    fibres[current]->block_meetings = fibres[current]->warp_meetings = UINT64_MAX;
    rest();
}

// Runs a grid, block after block.
inline void launch(Dim grid, unsigned threads, std::function<void()> kernel) {
    body = std::move(kernel);
    blockDim = {threads, 1, 1};
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                fibres.clear();
                for (unsigned i = 0; i < threads; i++) {
                    fibres.push_back(std::make_unique<Fibre>());
                    Fibre &fibre = *fibres.back();
                    getcontext(&fibre.context);
                    fibre.context.uc_stack = {fibre.stack.data(), 0, fibre.stack.size()};
                    fibre.context.uc_link = nullptr;
                    makecontext(&fibre.context, enter, 0);
                }
                for (uint64_t rounds = 0;; rounds++) {
                    bool over = true;
                    for (current = 0; current < threads; current++) {
                        if (fibres[current]->done) continue;
                        over = false;
                        threadIdx = {current, 0, 0};
                        blockIdx = {x, y, z};
                        swapcontext(&scheduler, &fibres[current]->context);
                    }
                    if (over) break;
                    if (rounds > 1000000) {
                        fprintf(stderr, "the threads wait for each other\n");
                        exit(1);
                    }
                }
            }
}

// What lanes of a block show to each other.
inline uint32_t shown[1024][8];
inline const u16 *rows[1024];

inline float float_of(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }
inline uint32_t bits_of(float f) { uint32_t bits; memcpy(&bits, &f, 4); return bits; }

template <class N> void product(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    const unsigned me = current, first = me / 32 * 32, lane = me % 32;
    const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
    memcpy(shown[me], mine, sizeof mine);
    meet_warp();
    auto half = [](uint32_t pair, int which) { return N::get((u16)(pair >> (16 * which))); };
    // The number at a row and column of the left matrix, a row and column of the right one.
    auto left = [&](int row, int column) {
        const int owner = row % 8 * 4 + column % 8 / 2;
        return half(shown[first + owner][row / 8 + 2 * (column / 8)], column % 2);
    };
    auto right = [&](int row, int column) {
        const int owner = column * 4 + row % 8 / 2;
        return half(shown[first + owner][4 + row / 8], row % 2);
    };
    for (int i = 0; i < 4; i++) {
        const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        float sum = d[i];
        for (int k = 0; k < 16; k++) sum += left(row, k) * right(k, column);
        d[i] = sum;
    }
    meet_warp();
}

}  // namespace emulated

inline void __syncthreads() { emulated::meet_block(); }

static inline float from_lane(float v, int mask) {
    const unsigned me = emulated::current;
    emulated::shown[me][7] = emulated::bits_of(v);
    emulated::meet_warp();
    const float found = emulated::float_of(emulated::shown[me ^ mask][7]);
    emulated::meet_warp();
    return found;
}

static inline void load_transposed(u32 (&r)[4], const u16 *row) {
    const unsigned me = emulated::current, first = me / 32 * 32, lane = me % 32;
    if ((uintptr_t)row % 16 != 0) {
        fprintf(stderr, "a row of a matrix lies askew\n");
        exit(1);
    }
    emulated::rows[me] = row;
    emulated::meet_warp();
    for (int i = 0; i < 4; i++) {
        const u16 *const *matrix = &emulated::rows[first + 8 * i];
        const int g = lane / 4, t = lane % 4;
        r[i] = matrix[2 * t][g] | (u32)matrix[2 * t + 1][g] << 16;
    }
    emulated::meet_warp();
}

struct F16 {
    typedef u16 Stored;
    static float get(u16 v) { _Float16 f; memcpy(&f, &v, 2); return (float)f; }
    static u16 put(float x) { _Float16 f = (_Float16)x; u16 v; memcpy(&v, &f, 2); return v; }
    static u32 pack(float low, float high) { return put(low) | (u32)put(high) << 16; }
    static void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { emulated::product<F16>(d, a, b0, b1); }
};

struct BF16 {
    typedef u16 Stored;
    static float get(u16 v) { return emulated::float_of((uint32_t)v << 16); }
    static u16 put(float x) {
        const uint32_t bits = emulated::bits_of(x);
        return (u16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    static u32 pack(float low, float high) { return put(low) | (u32)put(high) << 16; }
    static void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) { emulated::product<BF16>(d, a, b0, b1); }
};
