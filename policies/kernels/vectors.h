// Vectors of 16 floats, and small matrix products over them.
//
// The vectors are GCC's and clang's, so that any machine's registers serve. Numbers of channels are
// multiples of 16. Rows of queries go in blocks of up to 8, which share every load of a key.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

typedef float V __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(64), aligned(4), may_alias));
typedef int64_t I;

// Loops over the rows of a block have to vanish, or their sums live in memory.
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL16 _Pragma("GCC unroll 16")

static const float FORBIDDEN = -1e30f;

static inline V load(const float* p) { return *reinterpret_cast<const V*>(p); }
static inline void store(float* p, V x) { *reinterpret_cast<V*>(p) = x; }
static inline V all(float x) { return V{} + x; }

// Halves of a vector one on the other, until one number is left.
typedef float V8 __attribute__((vector_size(32), aligned(4)));
typedef float V4 __attribute__((vector_size(16), aligned(4)));

static inline float sum(V x) {
    V8 a[2];
    memcpy(a, &x, sizeof(V));
    V8 c = a[0] + a[1];
    V4 d[2];
    memcpy(d, &c, sizeof(V8));
    V4 e = d[0] + d[1];
    return (e[0] + e[2]) + (e[1] + e[3]);
}

static inline float larger(float a, float b) { return a > b ? a : b; }

static inline float largest(V x) {
    V8 a[2];
    memcpy(a, &x, sizeof(V));
    V8 c = a[0] > a[1] ? a[0] : a[1];
    V4 d[2];
    memcpy(d, &c, sizeof(V8));
    V4 e = d[0] > d[1] ? d[0] : d[1];
    return larger(larger(e[0], e[2]), larger(e[1], e[3]));
}

static inline float highest(const float* s, I padded) {
    V most = load(s);
    for (I n = 16; n < padded; n += 16) {
        V other = load(s + n);
        most = other > most ? other : most;
    }
    return largest(most);
}

// exp for x <= 88 with a relative error of 2e-7 (Cephes); not below exp(-87).
static inline V decay(V x) {
    V low = x > -87.f ? x : all(-87.f);
    const V magic = all(12582912.f);
    V n = (low * 1.44269504088896341f + magic) - magic;
    V r = low - n * 0.693359375f + n * 2.12194440e-4f;
    V p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.f;
    VI bits = (__builtin_convertvector(n, VI) + 127) << 23;
    V power;
    memcpy(&power, &bits, sizeof(V));
    return p * power;
}

// The same for any x: 0 below -87, bounded above 88.
static inline V exponential(V x) {
    V e = decay(x < 88.f ? x : all(88.f));
    return x > -87.f ? e : V{};
}

// Sixteen rows of sixteen lanes, rows and lanes exchanged: blocks of 8, 4, 2 and 1 change places.
#define SWAP(S, LOW, HIGH)                                         \
    for (int i = 0; i < 16; i++)                                   \
        if (!(i & S)) {                                            \
            V a = rows[i], b = rows[i + S];                        \
            rows[i] = __builtin_shufflevector(a, b, LOW);          \
            rows[i + S] = __builtin_shufflevector(a, b, HIGH);     \
        }
#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31

// Rows [n] of d channels, times a factor, to channels [d] of padded rows; d is a multiple of 16.
static void turn(const float* rows_in, I stride, I n, I d, I padded, float factor, float* out) {
    for (I begin = 0; begin < padded; begin += 16) {
        for (I k = 0; k < d; k += 16) {
            V rows[16];
            UNROLL16 for (int i = 0; i < 16; i++)
                rows[i] = begin + i < n ? load(rows_in + (begin + i) * stride + k) * factor : V{};
            UNROLL16 SWAP(8, LOW8, HIGH8)
            UNROLL16 SWAP(4, LOW4, HIGH4)
            UNROLL16 SWAP(2, LOW2, HIGH2)
            UNROLL16 SWAP(1, LOW1, HIGH1)
            UNROLL16 for (int i = 0; i < 16; i++) store(out + (k + i) * padded + begin, rows[i]);
        }
    }
}

// out[r][n] = start[r][n] + sum over k of a[r][k] b[k][n], for R rows and `padded` columns.
template <int R, int D>
static void product(const float* a, I a_stride, const float* b, I width, I padded, const float* start,
                    I start_stride, float* out) {
    const int C = R == 1 ? 4 : 2;
    const I d = D ? D : width;
    I n = 0;
    for (; n + 16 * C <= padded; n += 16 * C) {
        V s[R][C];
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int c = 0; c < C; c++)
                s[r][c] = start ? load(start + r * start_stride + n + 16 * c) : V{};
        for (I k = 0; k < d; k++) {
            V key[C];
            UNROLL for (int c = 0; c < C; c++) key[c] = load(b + k * padded + n + 16 * c);
            UNROLL for (int r = 0; r < R; r++)
                UNROLL for (int c = 0; c < C; c++) s[r][c] += a[r * a_stride + k] * key[c];
        }
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int c = 0; c < C; c++) store(out + r * padded + n + 16 * c, s[r][c]);
    }
    for (; n < padded; n += 16) {
        V s[R];
        UNROLL for (int r = 0; r < R; r++) s[r] = start ? load(start + r * start_stride + n) : V{};
        for (I k = 0; k < d; k++) {
            V key = load(b + k * padded + n);
            UNROLL for (int r = 0; r < R; r++) s[r] += a[r * a_stride + k] * key;
        }
        UNROLL for (int r = 0; r < R; r++) store(out + r * padded + n, s[r]);
    }
}

// to[r][k] = sum over n of weights[r][n] rows[n][k], for C vectors of channels k.
template <int R, int C>
static inline void mix_some(const float* weights, I padded, const float* rows, I stride, I n,
                            float* to, I to_stride, const float* factor) {
    V s[R][C];
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < C; c++) s[r][c] = V{};
    for (I i = 0; i < n; i++) {
        V value[C];
        UNROLL for (int c = 0; c < C; c++) value[c] = load(rows + i * stride + 16 * c);
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int c = 0; c < C; c++) s[r][c] += weights[r * padded + i] * value[c];
    }
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int c = 0; c < C; c++) store(to + r * to_stride + 16 * c, s[r][c] * factor[r]);
}

template <int R>
static void mix(const float* weights, I padded, const float* rows, I stride, I n, I d, float* to,
                I to_stride, const float* factor) {
    I k = 0;
    for (; k + 32 <= d; k += 32)
        mix_some<R, 2>(weights, padded, rows + k, stride, n, to + k, to_stride, factor);
    if (k < d) mix_some<R, 1>(weights, padded, rows + k, stride, n, to + k, to_stride, factor);
}

// to[n][k] += sum over r of weights[r][n] rows[r][k]
template <int R>
static void spread(const float* weights, I padded, const float* rows, I stride, I n, I d, float* to,
                   I to_stride) {
    for (I k = 0; k < d; k += 16) {
        V a[R];
        UNROLL for (int r = 0; r < R; r++) a[r] = load(rows + r * stride + k);
        for (I i = 0; i < n; i++) {
            V s = load(to + i * to_stride + k);
            UNROLL for (int r = 0; r < R; r++) s += weights[r * padded + i] * a[r];
            store(to + i * to_stride + k, s);
        }
    }
}

typedef uint16_t Half;  // bfloat16
typedef uint16_t VS __attribute__((vector_size(32), aligned(2), may_alias));
typedef uint32_t VU __attribute__((vector_size(64), aligned(4), may_alias));

static inline V get(const float* p) { return load(p); }
static inline void put(float* p, V x) { store(p, x); }

static inline V get(const Half* p) {
    VU bits = __builtin_convertvector(*reinterpret_cast<const VS*>(p), VU) << 16;
    V x;
    memcpy(&x, &bits, sizeof(V));
    return x;
}

static inline void put(Half* p, V x) {  // to the nearest, ties to even
    VU bits;
    memcpy(&bits, &x, sizeof(V));
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    *reinterpret_cast<VS*>(p) = __builtin_convertvector(bits, VS);
}
