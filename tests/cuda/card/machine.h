// What kernels of PTX run on here (ptx.py): numbers of each type, and threads that are fibres, one after the other up to the
// next place where they meet.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
typedef int8_t i8; typedef int16_t i16; typedef int32_t i32; typedef int64_t i64;
typedef float f32; typedef double f64; typedef _Float16 f16;
struct bf16 { u16 stored; };

// Shared memory of a kernel's own, before that of a launch.
constexpr u32 MOST_STATIC = 49152;

struct Dim { u32 x, y, z; };

struct Thread {
    Dim tid, ntid, ctaid, nctaid;
    char *shared, *local;
    const char *param;
    u64 nothing;
    u32 carry, number;
    void *block;
    // Of the driver: a kernel is a library of its own.
    void (*meet_all)(Thread &);
    void (*meet_lanes)(Thread &);
    u64 *(*shown_by)(Thread &, u32 lane);

    u32 lane() const { return number % 32; }
    void meet_block() { meet_all(*this); }
    void meet_warp() { meet_lanes(*this); }
    u32 carrying(u64 sum) { carry = (u32)(sum >> 32); return (u32)sum; }

    u32 exchange(u32 value, u32 from) {
        *shown_by(*this, lane()) = value;
        meet_warp();
        const u32 found = (u32)*shown_by(*this, from);
        meet_warp();
        return found;
    }
    u32 exchange_bfly(u32 value, u32 mask, u32) { return exchange(value, lane() ^ (mask & 31)); }
    u32 exchange_idx(u32 value, u32 from, u32) { return exchange(value, from & 31); }
    u32 exchange_down(u32 value, u32 by, u32) { return exchange(value, lane() + by < 32 ? lane() + by : lane()); }
    u32 exchange_up(u32 value, u32 by, u32) { return exchange(value, lane() >= by ? lane() - by : lane()); }

    template <bool transposed> void load_matrices(const char *row, u32 &a, u32 &b, u32 &c, u32 &d);
    template <class N> void product(f32 (&sums)[4], const u32 (&a)[4], const u32 (&b)[2]);
};

struct Part { u32 at, size; };
struct Kernel {
    void (*run)(Thread &);
    bool meets;
    u32 param_bytes, params;
    const Part *parts;
    u32 shared_bytes, local_bytes;
};

[[noreturn]] inline void unknown(const char *what) {
    fprintf(stderr, "card: not known: %s\n", what);
    abort();
}

template <class T, class F> inline T bits(F from) {
    static_assert(sizeof(T) == sizeof(F));
    T to;
    memcpy(&to, &from, sizeof to);
    return to;
}
template <size_t bytes> struct Word;
template <> struct Word<1> { typedef u8 type; };
template <> struct Word<2> { typedef u16 type; };
template <> struct Word<4> { typedef u32 type; };
template <> struct Word<8> { typedef u64 type; };
template <class T> using word = typename Word<sizeof(T)>::type;

// A register or constant as a number of a type.
template <class T, class F> inline T get(F from) {
    if constexpr (std::is_same_v<T, F>) return from;
    else if constexpr (std::is_same_v<T, bool>) return from != 0;
    else if constexpr (std::is_same_v<F, bool>) return (T)(from ? 1 : 0);
    else return bits<T>((word<T>)bits<word<F>>(from));
}
// Into a register, which may be wider than the number.
template <class D, class T> inline void put(D &to, T value) {
    if constexpr (std::is_same_v<D, T>) to = value;
    else if constexpr (std::is_same_v<D, bool>) to = value != 0;
    else if constexpr (std::is_integral_v<T>) to = bits<D>((word<D>)value);
    else to = bits<D>((word<D>)bits<word<T>>(value));
}

inline f32 widened(bf16 x) { return bits<f32>((u32)x.stored << 16); }
inline bf16 narrowed(f32 x) {
    const u32 b = bits<u32>(x);
    if (std::isnan(x)) return {0x7fff};
    return {(u16)((b + 0x7fff + (b >> 16 & 1)) >> 16)};
}
template <class T> struct Wide { typedef T type; };
template <> struct Wide<f16> { typedef f32 type; };
template <> struct Wide<bf16> { typedef f32 type; };
template <class T> inline typename Wide<T>::type wide(T x) {
    if constexpr (std::is_same_v<T, bf16>) return widened(x);
    else return (typename Wide<T>::type)x;
}
template <class T, class F> inline T narrow(F x) {
    if constexpr (std::is_same_v<T, bf16>) return narrowed((f32)x);
    else return (T)x;
}
// To integers as a card does it: what does not fit comes to the end, NaN to nothing.
template <class T, class F> inline T convert(F from) {
    const auto x = wide(from);
    if constexpr (std::is_integral_v<T> && std::is_floating_point_v<decltype(x + 0)>) {
        if (std::isnan(x)) return 0;
        const f64 low = std::is_signed_v<T> ? -std::ldexp(1.0, 8 * sizeof(T) - 1) : 0.0;
        const f64 high = std::ldexp(1.0, 8 * sizeof(T) - (std::is_signed_v<T> ? 1 : 0));
        if ((f64)x <= low) return (T)low;
        if ((f64)x >= high) return (T)~(std::is_signed_v<T> ? (T)((u64)1 << (8 * sizeof(T) - 1)) : (T)0);
        return (T)x;
    } else return narrow<T>(x);
}
template <class T, class F> inline T saturated(F from) {
    const auto x = wide(from);
    return narrow<T>(x > 0 ? (x < 1 ? x : 1) : 0);
}
template <class N> inline u32 pair(f32 high, f32 low) {
    return (u32)bits<u16>(narrow<N>(high)) << 16 | bits<u16>(narrow<N>(low));
}

template <class N, class Op, class... Pairs> inline u32 of_halves(Op op, Pairs... pairs) {
    const N low = op(bits<N>((u16)pairs)...), high = op(bits<N>((u16)(pairs >> 16))...);
    return (u32)bits<u16>(high) << 16 | bits<u16>(low);
}

template <class T> inline bool ordered(T a, T b) {
    if constexpr (std::is_integral_v<T>) return true;
    else return !std::isnan(wide(a)) && !std::isnan(wide(b));
}
template <class T, class Test> inline bool compare(T a, T b, Test test, bool unordered) {
    if (!ordered(a, b)) return unordered;
    return test(wide(a), wide(b));
}

#define OF_TWO(name, floating, whole)                                                                    \
    template <class T> inline T op_##name(T x, T y) {                                                    \
        if constexpr (std::is_integral_v<T>) {                                                           \
            [[maybe_unused]] const auto a = (std::make_unsigned_t<T>)x, b = (std::make_unsigned_t<T>)y;  \
            return (T)(whole);                                                                           \
        } else {                                                                                         \
            const auto a = wide(x), b = wide(y);                                                         \
            return narrow<T>(floating);                                                                  \
        }                                                                                                \
    }
OF_TWO(add, a + b, a + b)
OF_TWO(sub, a - b, a - b)
OF_TWO(mul, a * b, a * b)
OF_TWO(div, a / b, y == 0 ? (T)-1 : x / y)
OF_TWO(rem, std::fmod(a, b), y == 0 ? x : x % y)
OF_TWO(min, std::fmin(a, b), x < y ? x : y)
OF_TWO(max, std::fmax(a, b), x > y ? x : y)
// The sign is the first one's.
OF_TWO(copysign, std::copysign(b, a), a)
template <class T> inline T op_and(T a, T b) { if constexpr (std::is_same_v<T, bool>) return a && b; else return a & b; }
template <class T> inline T op_or(T a, T b) { if constexpr (std::is_same_v<T, bool>) return a || b; else return a | b; }
template <class T> inline T op_xor(T a, T b) { if constexpr (std::is_same_v<T, bool>) return a != b; else return a ^ b; }
template <class T> inline T op_not(T a) { if constexpr (std::is_same_v<T, bool>) return !a; else return ~a; }
template <class T> inline T op_neg(T a) {
    if constexpr (std::is_integral_v<T>) return (T)(0 - (std::make_unsigned_t<T>)a);
    else return narrow<T>(-wide(a));
}
template <class T> inline T op_abs(T a) {
    if constexpr (std::is_integral_v<T>) return a < 0 ? op_neg(a) : a;
    else return narrow<T>(std::fabs(wide(a)));
}
template <class T> inline T op_shl(T a, u32 by) { return by >= 8 * sizeof(T) ? 0 : (T)((std::make_unsigned_t<T>)a << by); }
template <class T> inline T op_shr(T a, u32 by) {
    if (by >= 8 * sizeof(T)) return std::is_signed_v<T> && a < 0 ? (T)-1 : 0;
    return (T)(a >> by);
}
template <class T> inline T op_fma(T a, T b, T c) {
    if constexpr (std::is_same_v<T, f64>) return std::fma(a, b, c);
    else if constexpr (std::is_same_v<T, f32>) return std::fma(a, b, c);
    else return narrow<T>((f64)wide(a) * wide(b) + wide(c));
}
#define OF_ONE(name, f) template <class T> inline T op_##name(T x) { const auto a = wide(x); return narrow<T>(f); }
OF_ONE(rcp, 1 / a)
OF_ONE(sqrt, std::sqrt(a))
OF_ONE(rsqrt, 1 / std::sqrt(a))
OF_ONE(ex2, std::exp2(a))
OF_ONE(lg2, std::log2(a))
OF_ONE(sin, std::sin(a))
OF_ONE(cos, std::cos(a))
OF_ONE(tanh, std::tanh(a))
template <class T> inline u32 op_popc(T a) { return (u32)__builtin_popcountll((word<T>)a); }
template <class T> inline u32 op_clz(T a) { return a == 0 ? 8 * sizeof(T) : (u32)__builtin_clzll((word<T>)a) - (64 - 8 * sizeof(T)); }
template <class T> inline T op_bfi(T a, T b, u32 at, u32 count) {
    const u64 mask = count >= 64 ? ~0ull : (1ull << count) - 1;
    return (T)(((u64)b & ~(mask << at)) | (((u64)a & mask) << at));
}
inline u32 op_prmt(u32 a, u32 b, u32 select) {
    const u64 both = (u64)b << 32 | a;
    u32 out = 0;
    for (int i = 0; i < 4; i++) {
        const u32 which = select >> (4 * i) & 15;
        u8 byte = (u8)(both >> (8 * (which & 7)));
        if (which & 8) byte = byte & 128 ? 255 : 0;
        out |= (u32)byte << (8 * i);
    }
    return out;
}
template <class T> inline T product_lo(T a, T b) { return (T)((u64)a * (u64)b); }
template <class T> inline T product_hi(T a, T b) {
    if constexpr (sizeof(T) == 8) return (T)(((__int128)a * (__int128)b) >> 64);
    else return (T)(((i64)a * (i64)b) >> (8 * sizeof(T)));
}
template <> inline u64 product_hi(u64 a, u64 b) { return (u64)(((unsigned __int128)a * b) >> 64); }
template <class T> inline auto product_wide(T a, T b) {
    if constexpr (std::is_same_v<T, i32>) return (i64)a * b;
    else if constexpr (std::is_same_v<T, u32>) return (u64)a * b;
    else if constexpr (std::is_same_v<T, i16>) return (i32)a * b;
    else return (u32)a * b;
}
template <class T, class F> inline T plus(F a, T b) { return op_add<T>((T)a, b); }

template <class T, class A> inline void unpack(T value, A &a, A &b) {
    const word<T> all = bits<word<T>>(value);
    put(a, (word<A>)all);
    put(b, (word<A>)(all >> (8 * sizeof(A))));
}
template <class T, class A> inline void unpack(T value, A &a, A &b, A &c, A &d) {
    const u64 all = (u64)bits<word<T>>(value);
    A *const to[] = {&a, &b, &c, &d};
    for (int i = 0; i < 4; i++) put(*to[i], (word<A>)(all >> (8 * sizeof(A) * i)));
}
template <class T, class A, class B> inline T pack(A a, B b) {
    return bits<T>((word<T>)((word<T>)bits<word<A>>(a) | (word<T>)bits<word<B>>(b) << (4 * sizeof(T))));
}
template <class T, class A> inline T pack(A a, A b, A c, A d) {
    const A all[] = {a, b, c, d};
    word<T> out = 0;
    for (int i = 0; i < 4; i++) out |= (word<T>)bits<word<A>>(all[i]) << (2 * sizeof(T) * i);
    return bits<T>(out);
}

template <size_t bytes> inline void aligned(const char *at) {
    if ((u64)at % bytes != 0) {
        fprintf(stderr, "card: an access of %zu bytes lies askew\n", bytes);
        abort();
    }
}
template <class T> inline T load(const char *at) { T value; memcpy(&value, at, sizeof value); return value; }
template <class T> inline void store(char *at, T value) { memcpy(at, &value, sizeof value); }
template <class T> inline T atom_add(char *at, T by) { const T was = load<T>(at); store(at, op_add<T>(was, by)); return was; }
template <class T> inline T atom_max(char *at, T by) { const T was = load<T>(at); store(at, op_max<T>(was, by)); return was; }
template <class T> inline T atom_min(char *at, T by) { const T was = load<T>(at); store(at, op_min<T>(was, by)); return was; }
template <class T> inline T atom_exch(char *at, T by) { const T was = load<T>(at); store(at, by); return was; }
template <class T> inline T atom_cas(char *at, T if_so, T by) { const T was = load<T>(at); if (was == if_so) store(at, by); return was; }

// The matrices' layouts are those of the PTX manual, "Matrix Fragments for mma.m16n8k16" and "ldmatrix".
template <bool transposed> void Thread::load_matrices(const char *row, u32 &a, u32 &b, u32 &c, u32 &d) {
    aligned<16>(row);
    *shown_by(*this, lane()) = (u64)row;
    meet_warp();
    u32 *const to[] = {&a, &b, &c, &d};
    const u32 g = lane() / 4, i = lane() % 4;
    for (u32 matrix = 0; matrix < 4; matrix++) {
        const auto at = [&](u32 r, u32 column) { return load<u16>((const char *)*shown_by(*this, 8 * matrix + r) + 2 * column); };
        *to[matrix] = transposed ? at(2 * i, g) | (u32)at(2 * i + 1, g) << 16 : at(g, 2 * i) | (u32)at(g, 2 * i + 1) << 16;
    }
    meet_warp();
}
template <class N> void Thread::product(f32 (&sums)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    const u32 mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    *shown_by(*this, lane()) = (u64)mine;
    meet_warp();
    const auto half = [&](u32 lane, u32 which, u32 part) {
        return wide(bits<N>((u16)(((const u32 *)*shown_by(*this, lane))[which] >> (16 * part))));
    };
    for (u32 i = 0; i < 4; i++) {
        const u32 row = lane() / 4 + i / 2 * 8, column = lane() % 4 * 2 + i % 2;
        for (u32 k = 0; k < 16; k++) {
            sums[i] += half(row % 8 * 4 + k % 8 / 2, row / 8 + 2 * (k / 8), k % 2) * half(column * 4 + k % 8 / 2, 4 + k / 8, k % 2);
        }
    }
    meet_warp();
}
