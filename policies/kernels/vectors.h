// Vectors of floats as wide as a register, and small matrix products over them.
//
// The vectors are GCC's and clang's, so that any machine's registers serve. Their width and the
// blocks of rows and vectors whose sums fill the registers are constants of each build. Numbers of
// channels are multiples of 16, a multiple of every width. Rows of queries go in blocks of up to
// 8, which share every load of a key.

#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "export.h"

// Lanes of a vector; rows and vectors of a block of sums.
#if defined(NCO_PORTABLE)  // registers of 16 bytes, 16 of them
#define WIDTH 4
#define BLOCK_ROWS 4
#define BLOCK_COLUMNS 2
#elif defined(__AVX512F__)  // 64 bytes, 32 of them; products read one factor from memory
#define WIDTH 16
#define BLOCK_ROWS 8
#define BLOCK_COLUMNS 2
#elif defined(__AVX2__)  // 32 bytes, 16 of them
#define WIDTH 8
#define BLOCK_ROWS 4
#define BLOCK_COLUMNS 3
#elif defined(__aarch64__)  // 16 bytes, 32 of them
#define WIDTH 4
#define BLOCK_ROWS 4
#define BLOCK_COLUMNS 4
#else
#define WIDTH 4
#define BLOCK_ROWS 4
#define BLOCK_COLUMNS 2
#endif

typedef float V __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef uint32_t VU __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

const I W = WIDTH;
const int GROUP = 16 / WIDTH;  // vectors of 16 channels

// Loops over the rows of a block have to vanish, or their sums live in memory.
#ifdef __clang__
#define UNROLL _Pragma("unroll 8")
#define UNROLL16 _Pragma("unroll 16")
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL16 _Pragma("GCC unroll 16")
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, VI{__VA_ARGS__})
#endif

static const float FORBIDDEN = -1e30f;

static inline V load(const float* p) { return *reinterpret_cast<const V*>(p); }
static inline void store(float* p, V x) { *reinterpret_cast<V*>(p) = x; }
static inline V all(float x) { return V{} + x; }

static inline float larger(float a, float b) { return a > b ? a : b; }

// The halves of a vector on each other, until four numbers are left.
typedef float V4 __attribute__((vector_size(16)));

#if WIDTH > 4
template <class Wide, class Narrow>
static inline void halve(Wide x, Narrow& low, Narrow& high) {
    memcpy(&low, &x, sizeof low);
    memcpy(&high, reinterpret_cast<const char*>(&x) + sizeof low, sizeof high);
}
typedef float V8 __attribute__((vector_size(32)));
#endif

static inline float sum4(V4 x) { return (x[0] + x[2]) + (x[1] + x[3]); }
static inline float largest4(V4 x) { return larger(larger(x[0], x[2]), larger(x[1], x[3])); }

static inline float sum(V x) {
#if WIDTH == 4
    return sum4(x);
#else
#if WIDTH == 16
    V8 a, b;
    halve(x, a, b);
    const V8 half = a + b;
#else
    const V8 half = x;
#endif
    V4 low, high;
    halve(half, low, high);
    return sum4(low + high);
#endif
}

static inline float largest(V x) {
#if WIDTH == 4
    return largest4(x);
#else
#if WIDTH == 16
    V8 a, b;
    halve(x, a, b);
    const V8 half = a > b ? a : b;
#else
    const V8 half = x;
#endif
    V4 low, high;
    halve(half, low, high);
    return largest4(low > high ? low : high);
#endif
}

// The largest of numbers none of which is NaN.
static inline float highest(const float* s, I padded) {
    V most[GROUP];
    UNROLL for (int c = 0; c < GROUP; c++) most[c] = load(s + c * W);
    for (I n = 16; n < padded; n += 16)
        UNROLL for (int c = 0; c < GROUP; c++) {
            V other = load(s + n + c * W);
            most[c] = other > most[c] ? other : most[c];
        }
    UNROLL for (int c = 1; c < GROUP; c++) most[0] = most[c] > most[0] ? most[c] : most[0];
    return largest(most[0]);
}

// exp for x from -87 to 88 with a relative error of 2e-7. NaN stays NaN.
static inline V power(V x) {
    const V magic = all(12582912.f);  // beside it, a number's last bits are the nearest whole one
    const V shifted = x * 1.44269504088896341f + magic;
    const V n = shifted - magic;
    V r = x - n * 0.693359375f + n * 2.12194440e-4f;
    V p = all(8.31247773e-3f);  // nearest to (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2
    p = p * r + 4.18905504e-2f;
    p = p * r + 1.66671157e-1f;
    p = p * r + 4.99992281e-1f;
    p = p * r * r + r + 1.f;
    VU bits;
    memcpy(&bits, &shifted, sizeof(V));
    bits = (bits + 127) << 23;
    V two;
    memcpy(&two, &bits, sizeof(V));
    return p * two;
}

// For x <= 0, and never less than exp(-60), next to nothing: products with it are normal numbers,
// and those are fast.
static inline V decay(V x) { return power(all(-60.f) > x ? all(-60.f) : x); }

// For any x: 0 below -87, bounded above 88.
static inline V exponential(V x) {
    V low = all(-87.f) > x ? all(-87.f) : x;
    V e = power(all(88.f) < low ? all(88.f) : low);
    return x < -87.f ? V{} : e;
}

// As many rows as lanes, rows and lanes exchanged: blocks of 8, 4, 2 and 1 change places.
#define SWAP(S, LOW, HIGH)                              \
    UNROLL16 for (int i = 0; i < WIDTH; i++)            \
        if (!(i & S)) {                                 \
            V a = rows[i], b = rows[i + S];             \
            rows[i] = SHUFFLE(a, b, LOW);               \
            rows[i + S] = SHUFFLE(a, b, HIGH);          \
        }
#if WIDTH == 16
#define LOW8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HIGH8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOW4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HIGH4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOW2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HIGH2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOW1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HIGH1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#elif WIDTH == 8
#define LOW4 0, 1, 2, 3, 8, 9, 10, 11
#define HIGH4 4, 5, 6, 7, 12, 13, 14, 15
#define LOW2 0, 1, 8, 9, 4, 5, 12, 13
#define HIGH2 2, 3, 10, 11, 6, 7, 14, 15
#define LOW1 0, 8, 2, 10, 4, 12, 6, 14
#define HIGH1 1, 9, 3, 11, 5, 13, 7, 15
#else
#define LOW2 0, 1, 4, 5
#define HIGH2 2, 3, 6, 7
#define LOW1 0, 4, 2, 6
#define HIGH1 1, 5, 3, 7
#endif

static inline void transpose(V rows[WIDTH]) {
#if WIDTH >= 16
    SWAP(8, LOW8, HIGH8)
#endif
#if WIDTH >= 8
    SWAP(4, LOW4, HIGH4)
#endif
    SWAP(2, LOW2, HIGH2)
    SWAP(1, LOW1, HIGH1)
}

// Rows [n] of d channels, times a factor, to channels [d] of padded rows; d is a multiple of 16.
// Where there is an order, row i is row order[i].
static void turn(const float* rows_in, I stride, I n, I d, I padded, float factor, float* out,
                 const I* order = nullptr) {
    for (I begin = 0; begin < padded; begin += W) {
        for (I k = 0; k < d; k += W) {
            V rows[WIDTH];
            UNROLL16 for (int i = 0; i < WIDTH; i++) {
                const I row = begin + i >= n ? -1 : order ? order[begin + i] : begin + i;
                rows[i] = row < 0 ? V{} : load(rows_in + row * stride + k) * factor;
            }
            transpose(rows);
            UNROLL16 for (int i = 0; i < WIDTH; i++)
                store(out + (k + i) * padded + begin, rows[i]);
        }
    }
}

// A product of some rows: out[r][n] = (start[r][n] + sum over k of a[r][k] b[k][n]) factor[r].
struct Product {
    const float* a;
    I a_stride;
    const float* b;
    I b_stride;
    const I* order;       // row k of b is row order[k]; or null
    const float* start;  // or null
    I start_stride;
    const float* factor;  // or null
    float* out;
    I out_stride;
};

// C vectors of columns of R rows from row r0 and column n on; D terms, or `terms` where D is 0.
template <int R, int C, int D, bool ORDERED>
static inline void block(const Product& x, I r0, I n, I terms) {
    const I d = D ? D : terms;
    const float *a = x.a + r0 * x.a_stride, *b = x.b + n;
    V s[R][C];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int c = 0; c < C; c++)
            s[r][c] = x.start ? load(x.start + (r0 + r) * x.start_stride + n + c * W) : V{};
    for (I k = 0; k < d; k++) {
        const float* row = b + (ORDERED ? x.order[k] : k) * x.b_stride;
        V key[C];
        UNROLL for (int c = 0; c < C; c++) key[c] = load(row + c * W);
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int c = 0; c < C; c++) s[r][c] += a[r * x.a_stride + k] * key[c];
    }
    UNROLL for (int r = 0; r < R; r++) {
        const float factor = x.factor ? x.factor[r0 + r] : 1;
        UNROLL for (int c = 0; c < C; c++)
            store(x.out + (r0 + r) * x.out_stride + n + c * W, s[r][c] * factor);
    }
}

// All columns from n on, in blocks of C vectors, and what is left in narrower ones.
template <int R, int C, int D, bool ORDERED>
static inline void blocks(const Product& x, I n, I columns, I terms) {
    const int rows = R < BLOCK_ROWS ? R : BLOCK_ROWS;
    // Four vectors are two and two: one alone would wait for its own sums.
    for (; n + C * W <= columns && !(C == 3 && columns - n == 4 * W); n += C * W)
        UNROLL for (int r = 0; r < R; r += rows) block<rows, C, D, ORDERED>(x, r, n, terms);
    if constexpr (C > 1)
        if (n < columns) blocks<R, (C > 3 ? C / 2 : C - 1), D, ORDERED>(x, n, columns, terms);
}

// Fewer rows leave room for the sums of more columns.
template <int R, int D, bool ORDERED = false>
static inline void multiply(const Product& x, I columns, I terms) {
    const int fitting = BLOCK_ROWS * BLOCK_COLUMNS / R;
    const int C = R >= BLOCK_ROWS ? BLOCK_COLUMNS : fitting > 8 ? 8 : fitting;
    blocks<R, C, D, ORDERED>(x, 0, columns, terms);
}

// out[r][n] = start[r][n] + sum over k of a[r][k] b[k][n], for R rows and the first columns of
// `padded` ones.
template <int R, int D>
static void product(const float* a, I a_stride, const float* b, I width, I padded,
                    const float* start, I start_stride, float* out, I columns) {
    multiply<R, D>({a, a_stride, b, padded, nullptr, start, start_stride, nullptr, out, padded},
                   columns, width);
}

template <int R, int D>
static void product(const float* a, I a_stride, const float* b, I width, I padded,
                    const float* start, I start_stride, float* out) {
    product<R, D>(a, a_stride, b, width, padded, start, start_stride, out, padded);
}

// to[r][k] = factor[r] times the sum over n of weights[r][n] rows[n][k], for d channels k.
template <int R>
static void mix(const float* weights, I padded, const float* rows, I stride, I n, I d, float* to,
                I to_stride, const float* factor, const I* order = nullptr) {
    const Product x{weights, padded, rows, stride, order, nullptr, 0, factor, to, to_stride};
    if (order)
        multiply<R, 0, true>(x, d, n);
    else
        multiply<R, 0>(x, d, n);
}

// to[n][k] += sum over r of weights[r][n] rows[r][k], for C vectors of R rows.
template <int R, int C, bool ORDERED>
static inline void spread_some(const float* weights, I padded, const float* rows, I stride, I n,
                               float* to, I to_stride, const I* order) {
    V a[R][C];
    UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int c = 0; c < C; c++) a[r][c] = load(rows + r * stride + c * W);
    for (I i = 0; i < n; i++) {
        float* row = to + (ORDERED ? order[i] : i) * to_stride;
        V s[C];
        UNROLL for (int c = 0; c < C; c++) s[c] = load(row + c * W);
        UNROLL for (int r = 0; r < R; r++)
            UNROLL for (int c = 0; c < C; c++) s[c] += weights[r * padded + i] * a[r][c];
        UNROLL for (int c = 0; c < C; c++) store(row + c * W, s[c]);
    }
}

template <int R>
static void spread(const float* weights, I padded, const float* rows, I stride, I n, I d, float* to,
                   I to_stride, const I* order = nullptr) {
    const int part = R < BLOCK_ROWS ? R : BLOCK_ROWS, C = GROUP < 2 ? GROUP : 2;
    for (I k = 0; k < d; k += C * W)
        UNROLL for (int r = 0; r < R; r += part) {
            const auto some = order ? spread_some<part, C, true> : spread_some<part, C, false>;
            some(weights + r * padded, padded, rows + r * stride + k, stride, n, to + k, to_stride,
                 order);
        }
}

typedef uint16_t Half;  // bfloat16
typedef uint16_t VS __attribute__((vector_size(2 * WIDTH), aligned(2), may_alias));

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
