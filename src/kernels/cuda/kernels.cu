// What candle leaves slow on CUDA cards: attention without the full score matrix, norms, gates and bytes in one launch.
//
// Compiled at run time by NVRTC (../cuda.rs), so there is no build step and no header is included: numbers of 16 bits are
// unsigned shorts, and what has no spelling in plain C++ is PTX. With EMULATED, a C++ compiler takes the same source and
// tests/cuda/ runs it on the CPU.
//
// Attention goes after Dao, FlashAttention-2 (arXiv 2307.08691): 64 queries a block, 16 a warp; the keys pass by, 64 at a
// time, with running largest score and sum. Products are those of tensor cores, mma.m16n8k16, whose fragments lie as in
// the PTX manual, "Matrix Fragments for mma.m16n8k16": with g = lane / 4 and t = lane % 4, a thread holds of the left
// matrix rows g and g + 8 at columns 2 t, 2 t + 1, 2 t + 8, 2 t + 9, of the right one rows like these columns at column g,
// and of the result rows g and g + 8 at columns 2 t and 2 t + 1.

typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;

#ifdef EMULATED
#include "emulated.h"
#else

struct F16 {
    typedef u16 Stored;
    static __device__ float get(u16 v) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v)); return f; }
    static __device__ u16 put(float f) { u16 v; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(v) : "f"(f)); return v; }
    static __device__ u32 pack(float low, float high) {
        u32 v;
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
        return v;
    }
    static __device__ void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};

struct BF16 {
    typedef u16 Stored;
    static __device__ float get(u16 v) { return __uint_as_float((u32)v << 16); }
    static __device__ u16 put(float f) { return (u16)pack(f, 0.0f); }
    static __device__ u32 pack(float low, float high) {
        u32 v;
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
        return v;
    }
    static __device__ void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};

// Four 8x8 matrices of 16-bit numbers, transposed: lane l gives the address of row l % 8 of matrix l / 8, and gets of each
// matrix rows 2 t and 2 t + 1 at column g.
static __device__ void load_transposed(u32 (&r)[4], const u16 *row) {
    u32 address;
    asm("{ .reg .u64 wide; cvta.to.shared.u64 wide, %1; cvt.u32.u64 %0, wide; }" : "=r"(address) : "l"(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

// The number that the lane whose number differs in the bits of `mask` holds.
static __device__ float from_lane(float v, int mask) { return __shfl_xor_sync(0xffffffffu, v, mask); }

#endif

struct F32 {
    typedef float Stored;
    static __device__ float get(float v) { return v; }
    static __device__ float put(float f) { return f; }
};

// Eight numbers of 16 bits at once.
struct alignas(16) Eight { u32 part[4]; };

static const int QUERIES = 64;
static const int KEYS = 64;
// Below every score.
static const float LOWEST = -3.0e38f;

// `q` and `out` are (batch, n, c), `k` and `v` (batch or 1, m, c), with heads of `d` channels one after the other; d is a
// multiple of 8 up to D. `scale` is that of the scores times log2(e). Grid: (n / 64, heads, batch), blocks of 128 threads.
template <class N, int D>
static __device__ void attend(const u16 *q, const u16 *k, const u16 *v, u16 *out, int n, int m, int c, int d, int one_text,
                              float scale) {
    // Rows begin in banks of their own.
    const int ROW = D + 8;
    __shared__ Eight shared_keys[KEYS * ROW / 8], shared_values[KEYS * ROW / 8];
    u16 *const keys = (u16 *)shared_keys, *const values = (u16 *)shared_values;
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    const int g = lane >> 2, t = lane & 3;
    const i64 batch = blockIdx.z, head = blockIdx.y;
    const int first = blockIdx.x * QUERIES + warp * 16;
    q += batch * n * c + head * d;
    out += batch * n * c + head * d;
    k += (one_text ? 0 : batch) * m * c + head * d;
    v += (one_text ? 0 : batch) * m * c + head * d;

    u32 a[D / 16][4];
#pragma unroll
    for (int part = 0; part < D / 16; part++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = first + g + (i & 1) * 8, column = part * 16 + 2 * t + (i >> 1) * 8;
            a[part][i] = row < n && column < d ? *(const u32 *)(q + (i64)row * c + column) : 0;
        }
    }
    float o[D / 8][4];
#pragma unroll
    for (int i = 0; i < D / 8; i++) {
        o[i][0] = o[i][1] = o[i][2] = o[i][3] = 0.0f;
    }
    float largest[2] = {LOWEST, LOWEST}, sum[2] = {0.0f, 0.0f};

    for (int base = 0; base < m; base += KEYS) {
        __syncthreads();
        for (int i = threadIdx.x; i < KEYS * (D / 8); i += 128) {
            const int row = i / (D / 8), column = i % (D / 8) * 8;
            Eight key = {{0, 0, 0, 0}}, value = {{0, 0, 0, 0}};
            if (base + row < m && column < d) {
                key = *(const Eight *)(k + (i64)(base + row) * c + column);
                value = *(const Eight *)(v + (i64)(base + row) * c + column);
            }
            *(Eight *)(keys + row * ROW + column) = key;
            *(Eight *)(values + row * ROW + column) = value;
        }
        __syncthreads();

        float s[KEYS / 8][4];
#pragma unroll
        for (int i = 0; i < KEYS / 8; i++) {
            s[i][0] = s[i][1] = s[i][2] = s[i][3] = 0.0f;
#pragma unroll
            for (int part = 0; part < D / 16; part++) {
                const u16 *key = keys + (i * 8 + g) * ROW + part * 16 + 2 * t;
                N::mma(s[i], a[part], *(const u32 *)key, *(const u32 *)(key + 8));
            }
        }
        // Rows g and g + 8, each in four lanes.
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float best = largest[r];
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    float &score = s[i][2 * r + j];
                    score = base + i * 8 + 2 * t + j < m ? score * scale : LOWEST;
                    best = fmaxf(best, score);
                }
            }
            best = fmaxf(best, from_lane(best, 1));
            best = fmaxf(best, from_lane(best, 2));
            const float share = exp2f(largest[r] - best);
            largest[r] = best;
            sum[r] *= share;
#pragma unroll
            for (int i = 0; i < KEYS / 8; i++) {
#pragma unroll
                for (int j = 0; j < 2; j++) {
                    const float weight = exp2f(s[i][2 * r + j] - best);
                    s[i][2 * r + j] = weight;
                    sum[r] += weight;
                }
            }
#pragma unroll
            for (int i = 0; i < D / 8; i++) {
                o[i][2 * r] *= share;
                o[i][2 * r + 1] *= share;
            }
        }
        // A result's fragments of two neighbours are the left matrix's of the next product.
#pragma unroll
        for (int part = 0; part < KEYS / 16; part++) {
            const float(&x)[4] = s[2 * part], (&y)[4] = s[2 * part + 1];
            const u32 p[4] = {N::pack(x[0], x[1]), N::pack(x[2], x[3]), N::pack(y[0], y[1]), N::pack(y[2], y[3])};
            const u16 *row = values + (part * 16 + (lane & 15)) * ROW + (lane >> 4) * 8;
#pragma unroll
            for (int i = 0; i < D / 8; i += 2) {
                u32 b[4];
                load_transposed(b, row + i * 8);
                N::mma(o[i], p, b[0], b[1]);
                N::mma(o[i + 1], p, b[2], b[3]);
            }
        }
    }

#pragma unroll
    for (int r = 0; r < 2; r++) {
        float all = sum[r] + from_lane(sum[r], 1);
        all += from_lane(all, 2);
        const float share = 1.0f / all;
        const int row = first + g + r * 8;
#pragma unroll
        for (int i = 0; i < D / 8; i++) {
            const int column = i * 8 + 2 * t;
            if (row < n && column < d) {
                *(u32 *)(out + (i64)row * c + column) = N::pack(o[i][2 * r] * share, o[i][2 * r + 1] * share);
            }
        }
    }
}

// The sum of a number of each thread, in all of them. `warps` has room for one number a warp.
static __device__ float summed(float v, float *warps) {
#pragma unroll
    for (int mask = 1; mask < 32; mask *= 2) {
        v += from_lane(v, mask);
    }
    __syncthreads();
    if ((threadIdx.x & 31) == 0) {
        warps[threadIdx.x >> 5] = v;
    }
    __syncthreads();
    float all = 0.0f;
    for (int i = 0; i < (int)(blockDim.x >> 5); i++) {
        all += warps[i];
    }
    return all;
}

static __device__ float silu(float v) { return v / (1.0f + expf(-v)); }

// Four numbers at once.
template <class N> struct alignas(4 * sizeof(typename N::Stored)) Four { typename N::Stored part[4]; };

// A block a group of a row: `len` numbers that lie together, `area` of each channel, a multiple of 4.
template <class N>
static __device__ void group_norm(const typename N::Stored *x, const typename N::Stored *weight,
                                  const typename N::Stored *bias, typename N::Stored *out, int groups, int len, int area,
                                  float epsilon, int with_silu) {
    __shared__ float warps[32];
    const i64 begin = (i64)blockIdx.x * len;
    const int channel = (blockIdx.x % groups) * (len / area);
    const Four<N> *from = (const Four<N> *)(x + begin);
    Four<N> *to = (Four<N> *)(out + begin);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < len / 4; i += blockDim.x) {
        const Four<N> four = from[i];
        sum += (N::get(four.part[0]) + N::get(four.part[1])) + (N::get(four.part[2]) + N::get(four.part[3]));
    }
    const float mean = summed(sum, warps) / len;
    float squares = 0.0f;
    for (int i = threadIdx.x; i < len / 4; i += blockDim.x) {
        const Four<N> four = from[i];
        for (int j = 0; j < 4; j++) {
            const float away = N::get(four.part[j]) - mean;
            squares += away * away;
        }
    }
    const float inverse = 1.0f / sqrtf(summed(squares, warps) / len + epsilon);
    for (int i = threadIdx.x; i < len / 4; i += blockDim.x) {
        Four<N> four = from[i];
        const int at = channel + i * 4 / area;
        const float factor = inverse * N::get(weight[at]), term = N::get(bias[at]);
        for (int j = 0; j < 4; j++) {
            const float y = (N::get(four.part[j]) - mean) * factor + term;
            four.part[j] = N::put(with_silu ? silu(y) : y);
        }
        to[i] = four;
    }
}

// A block a row of `width` numbers, a multiple of 4.
template <class N>
static __device__ void layer_norm(const typename N::Stored *x, const typename N::Stored *weight,
                                  const typename N::Stored *bias, typename N::Stored *out, int width, float epsilon) {
    __shared__ float warps[32];
    const Four<N> *from = (const Four<N> *)(x + (i64)blockIdx.x * width);
    Four<N> *to = (Four<N> *)(out + (i64)blockIdx.x * width);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < width / 4; i += blockDim.x) {
        const Four<N> four = from[i];
        sum += (N::get(four.part[0]) + N::get(four.part[1])) + (N::get(four.part[2]) + N::get(four.part[3]));
    }
    const float mean = summed(sum, warps) / width;
    float squares = 0.0f;
    for (int i = threadIdx.x; i < width / 4; i += blockDim.x) {
        const Four<N> four = from[i];
        for (int j = 0; j < 4; j++) {
            const float away = N::get(four.part[j]) - mean;
            squares += away * away;
        }
    }
    const float inverse = 1.0f / sqrtf(summed(squares, warps) / width + epsilon);
    for (int i = threadIdx.x; i < width / 4; i += blockDim.x) {
        Four<N> four = from[i];
        const Four<N> factor = ((const Four<N> *)weight)[i], term = ((const Four<N> *)bias)[i];
        for (int j = 0; j < 4; j++) {
            four.part[j] = N::put((N::get(four.part[j]) - mean) * inverse * N::get(factor.part[j]) + N::get(term.part[j]));
        }
        to[i] = four;
    }
}

// (rows, 2 width) to (rows, width): the first half times the GELU of the second. A thread four numbers, `count` of them.
template <class N>
static __device__ void gelu_gate(const typename N::Stored *x, typename N::Stored *out, int width, i64 count) {
    const i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) {
        return;
    }
    const i64 row = i / (width / 4), column = i % (width / 4);
    const Four<N> *from = (const Four<N> *)(x + row * 2 * width);
    Four<N> value = from[column];
    const Four<N> gate = from[width / 4 + column];
    for (int j = 0; j < 4; j++) {
        const float z = N::get(gate.part[j]);
        value.part[j] = N::put(N::get(value.part[j]) * (0.5f * z * (1.0f + erff(z * 0.70710678f))));
    }
    ((Four<N> *)out)[i] = value;
}

// A number added to each: `shifts` of them, each for `area` numbers that lie together, over and over: a bias by columns
// (area 1, shifts a multiple of 4) or by channels (area a multiple of 4), or another one for each channel of each row. A
// thread four numbers, `count` of them.
template <class N>
static __device__ void shift(const typename N::Stored *x, const typename N::Stored *by, typename N::Stored *out, int area,
                             int shifts, i64 count) {
    const i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) {
        return;
    }
    Four<N> four = ((const Four<N> *)x)[i];
    const int at = (int)(i * 4 / area % shifts);
    for (int j = 0; j < 4; j++) {
        four.part[j] = N::put(N::get(four.part[j]) + N::get(by[area == 1 ? at + j : at]));
    }
    ((Four<N> *)out)[i] = four;
}

// Planes (3, area) of -1..1 to bytes of red, green, blue and 255.
extern "C" __global__ void rgba8(const float *x, u32 *out, int area) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= area) {
        return;
    }
    u32 pixel = 255u << 24;
    for (int plane = 0; plane < 3; plane++) {
        const float v = fminf(fmaxf(x[(i64)plane * area + i] * 0.5f + 0.5f, 0.0f), 1.0f) * 255.0f;
        pixel |= (u32)(v + 0.5f) << (8 * plane);
    }
    out[i] = pixel;
}

#define ATTEND(name, N, D)                                                                                                \
    extern "C" __global__ void __launch_bounds__(128)                                                                     \
        attend_##name##_##D(const u16 *q, const u16 *k, const u16 *v, u16 *out, int n, int m, int c, int d, int one_text, \
                            float scale) {                                                                                \
        attend<N, D>(q, k, v, out, n, m, c, d, one_text, scale);                                                          \
    }

#define OF_EACH(name, N)                                                                                                  \
    extern "C" __global__ void group_norm_##name(const N::Stored *x, const N::Stored *weight, const N::Stored *bias,      \
                                                 N::Stored *out, int groups, int len, int area, float epsilon,            \
                                                 int with_silu) {                                                         \
        group_norm<N>(x, weight, bias, out, groups, len, area, epsilon, with_silu);                                       \
    }                                                                                                                     \
    extern "C" __global__ void layer_norm_##name(const N::Stored *x, const N::Stored *weight, const N::Stored *bias,      \
                                                 N::Stored *out, int width, float epsilon) {                              \
        layer_norm<N>(x, weight, bias, out, width, epsilon);                                                              \
    }                                                                                                                     \
    extern "C" __global__ void gelu_gate_##name(const N::Stored *x, N::Stored *out, int width, i64 count) {               \
        gelu_gate<N>(x, out, width, count);                                                                               \
    }                                                                                                                     \
    extern "C" __global__ void shift_##name(const N::Stored *x, const N::Stored *by, N::Stored *out, int area, int shifts, \
                                            i64 count) {                                                                  \
        shift<N>(x, by, out, area, shifts, count);                                                                        \
    }

ATTEND(f16, F16, 48)
ATTEND(f16, F16, 64)
ATTEND(f16, F16, 80)
ATTEND(f16, F16, 160)
ATTEND(bf16, BF16, 48)
ATTEND(bf16, BF16, 64)
ATTEND(bf16, BF16, 80)
ATTEND(bf16, BF16, 160)
OF_EACH(f32, F32)
OF_EACH(f16, F16)
OF_EACH(bf16, BF16)
