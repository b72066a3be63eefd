// Attention with small heads, and the pointer's log-probabilities, for the CPU.
//
// Compiled by `native.py` at the first use; plain PyTorch is the reference (layers.py, decoder.py).
// Vectors of 16 floats are GCC's and clang's, so that any machine's registers serve. Heads are
// multiples of 16 channels. Rows of queries go in blocks of 8, which share every load of a key.

#include <cstdint>
#include <cstring>
#include <vector>

typedef float V __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t VI __attribute__((vector_size(64), aligned(4), may_alias));
typedef int64_t I;

// Loops over the rows of a block have to vanish, or their sums live in memory.
#define UNROLL _Pragma("GCC unroll 8")

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

// Rows [n] of d channels to channels [k] of padded rows.
static void transpose(const float* rows, I stride, I n, I d, I padded, float* out) {
    for (I k = 0; k < d; k++) {
        float* to = out + k * padded;
        for (I i = 0; i < n; i++) to[i] = rows[i * stride + k];
        for (I i = n; i < padded; i++) to[i] = 0;
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

// What all blocks of one instance share.
struct Instance {
    const float *q, *k, *v;
    const uint8_t* mask;
    I q_row, k_row, v_row, mask_row;
    I queries, nodes, padded, heads, d;
    float scale;
};

// Adds to the scores of R rows: 0 where the mask allows, else FORBIDDEN.
template <int R>
static void penalties(const Instance& x, I row, float* out) {
    UNROLL for (int r = 0; r < R; r++) {
        float* to = out + r * x.padded;
        if (x.mask) {
            const uint8_t* from = x.mask + (row + r) * x.mask_row;
            for (I n = 0; n < x.nodes; n++) to[n] = from[n] ? 0.f : FORBIDDEN;
        } else {
            for (I n = 0; n < x.nodes; n++) to[n] = 0.f;
        }
        for (I n = x.nodes; n < x.padded; n++) to[n] = FORBIDDEN;
    }
}

template <int R, int D>
static void scores(const Instance& x, I row, I h, const float* keys, const float* penalty,
                   float* out) {
    float q[R * 128];
    const I d = D ? D : x.d;
    UNROLL for (int r = 0; r < R; r++)
        for (I k = 0; k < d; k += 16)
            store(q + r * d + k, load(x.q + (row + r) * x.q_row + h * d + k) * x.scale);
    product<R, D>(q, d, keys + h * d * x.padded, d, x.padded, penalty, x.padded, out);
}

// The scores of a single row, straight from the keys as they are: one row is not worth turning them.
static void scores_of_one(const Instance& x, I row, I h, const float* penalty, float* out) {
    const float* q = x.q + row * x.q_row + h * x.d;
    for (I n = 0; n < x.nodes; n++) {
        const float* key = x.k + n * x.k_row + h * x.d;
        V both = V{};
        for (I k = 0; k < x.d; k += 16) both += load(q + k) * load(key + k);
        out[n] = sum(both) * x.scale + penalty[n];
    }
    for (I n = x.nodes; n < x.padded; n++) out[n] = FORBIDDEN;
}

// to[r][k] = sum over n of weights[r][n] rows[n][k]
template <int R>
static void mix(const float* weights, I padded, const float* rows, I stride, I n, I d, float* to,
                I to_stride, const float* factor) {
    for (I k = 0; k < d; k += 16) {
        V s[R];
        UNROLL for (int r = 0; r < R; r++) s[r] = V{};
        for (I i = 0; i < n; i++) {
            V value = load(rows + i * stride + k);
            UNROLL for (int r = 0; r < R; r++) s[r] += weights[r * padded + i] * value;
        }
        UNROLL for (int r = 0; r < R; r++) store(to + r * to_stride + k, s[r] * factor[r]);
    }
}

template <int R, int D>
static void forward_rows(const Instance& x, I row, const float* keys, float* penalty, float* w,
                         float* out, float* norms) {
    const I width = x.heads * x.d;
    penalties<R>(x, row, penalty);
    for (I h = 0; h < x.heads; h++) {
        if (keys)
            scores<R, D>(x, row, h, keys, penalty, w);
        else
            scores_of_one(x, row, h, penalty, w);
        float inverse[R];
        UNROLL for (int r = 0; r < R; r++) {
            float* s = w + r * x.padded;
            V most = load(s);
            for (I n = 16; n < x.padded; n += 16) {
                V other = load(s + n);
                most = other > most ? other : most;
            }
            const float top = largest(most);
            V total = V{};
            for (I n = 0; n < x.padded; n += 16) {
                V e = decay(load(s + n) - top);
                store(s + n, e);
                total += e;
            }
            inverse[r] = 1 / sum(total);
            float* norm = norms + 2 * ((row + r) * x.heads + h);
            norm[0] = top;
            norm[1] = inverse[r];
        }
        mix<R>(w, x.padded, x.v + h * x.d, x.v_row, x.nodes, x.d, out + row * width + h * x.d,
               width, inverse);
    }
}

struct Gradient {
    const float *out, *norms, *of_out;
    float *of_q, *of_k, *of_v;
    I q_row, k_row, v_row;
};

template <int R, int D>
static void backward_rows(const Instance& x, const Gradient& g, I row, const float* keys,
                          const float* values, float* penalty, float* w, float* ds) {
    const I width = x.heads * x.d;
    penalties<R>(x, row, penalty);
    for (I h = 0; h < x.heads; h++) {
        const float* of_out = g.of_out + row * width + h * x.d;
        scores<R, D>(x, row, h, keys, penalty, w);
        product<R, D>(of_out, width, values + h * x.d * x.padded, x.d, x.padded, nullptr, 0, ds);
        float factor[R];
        UNROLL for (int r = 0; r < R; r++) {
            const float* out = g.out + (row + r) * width + h * x.d;
            V both = V{};
            for (I k = 0; k < x.d; k += 16) both += load(out + k) * load(of_out + r * width + k);
            const float delta = sum(both);
            const float* norm = g.norms + 2 * ((row + r) * x.heads + h);
            for (I n = 0; n < x.padded; n += 16) {
                V p = exponential(load(w + r * x.padded + n) - norm[0]) * norm[1];
                store(w + r * x.padded + n, p);
                V d = p * (load(ds + r * x.padded + n) - delta) * x.scale;
                store(ds + r * x.padded + n, d);
            }
            factor[r] = 1;
        }
        mix<R>(ds, x.padded, x.k + h * x.d, x.k_row, x.nodes, x.d,
               g.of_q + row * g.q_row + h * x.d, g.q_row, factor);
        for (I k = 0; k < x.d; k += 16) {
            V q[R], o[R];
            UNROLL for (int r = 0; r < R; r++) {
                q[r] = load(x.q + (row + r) * x.q_row + h * x.d + k);
                o[r] = load(of_out + r * width + k);
            }
            for (I n = 0; n < x.nodes; n++) {
                float* of_k = g.of_k + n * g.k_row + h * x.d + k;
                float* of_v = g.of_v + n * g.v_row + h * x.d + k;
                V a = load(of_k), b = load(of_v);
                UNROLL for (int r = 0; r < R; r++) {
                    a += ds[r * x.padded + n] * q[r];
                    b += w[r * x.padded + n] * o[r];
                }
                store(of_k, a);
                store(of_v, b);
            }
        }
    }
}

extern "C" {

// Norms are the largest score and one over the sum of all exponentials, for the way back.
// Strides are in floats: of an instance, of a row; a row holds all heads.
void attention(const float* q, I q_batch, I q_row, const float* k, I k_batch, I k_row,
               const float* v, I v_batch, I v_row, const uint8_t* mask, I mask_batch, I mask_row,
               float* out, float* norms, I batch, I queries, I nodes, I heads, I d, I threads) {
    const I padded = (nodes + 15) / 16 * 16, width = heads * d;
    const float scale = 1 / __builtin_sqrtf(float(d));
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> keys(width * padded), penalty(8 * padded), w(8 * padded);
#pragma omp for
        for (I b = 0; b < batch; b++) {
            Instance x{q + b * q_batch, k + b * k_batch, v + b * v_batch,
                       mask ? mask + b * mask_batch : nullptr, q_row, k_row, v_row, mask_row,
                       queries, nodes, padded, heads, d, scale};
            const bool turned = queries >= 4;
            if (turned) transpose(x.k, k_row, nodes, width, padded, keys.data());
            float* to = out + b * queries * width;
            float* sums = norms + 2 * b * queries * heads;
            const auto forward8 = d == 16 ? forward_rows<8, 16> : forward_rows<8, 0>;
            const auto forward2 = d == 16 ? forward_rows<2, 16> : forward_rows<2, 0>;
            const auto forward1 = d == 16 ? forward_rows<1, 16> : forward_rows<1, 0>;
            I row = 0;
            for (; row + 8 <= queries; row += 8)
                forward8(x, row, keys.data(), penalty.data(), w.data(), to, sums);
            for (; turned && row + 2 <= queries; row += 2)
                forward2(x, row, keys.data(), penalty.data(), w.data(), to, sums);
            for (; row < queries; row++)
                forward1(x, row, turned ? keys.data() : nullptr, penalty.data(), w.data(), to, sums);
        }
    }
}

// Gradients of the same; those of keys and values are added to what is there.
void attention_backward(const float* q, I q_batch, I q_row, const float* k, I k_batch, I k_row,
                        const float* v, I v_batch, I v_row, const uint8_t* mask, I mask_batch,
                        I mask_row, const float* out, const float* norms, const float* of_out,
                        float* of_q, I of_q_batch, I of_q_row, float* of_k, I of_k_batch,
                        I of_k_row, float* of_v, I of_v_batch, I of_v_row, I batch,
                        I queries, I nodes, I heads, I d, I threads) {
    const I padded = (nodes + 15) / 16 * 16, width = heads * d;
    const float scale = 1 / __builtin_sqrtf(float(d));
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> keys(width * padded), values(width * padded);
        std::vector<float> penalty(8 * padded), w(8 * padded), ds(8 * padded);
#pragma omp for
        for (I b = 0; b < batch; b++) {
            Instance x{q + b * q_batch, k + b * k_batch, v + b * v_batch,
                       mask ? mask + b * mask_batch : nullptr, q_row, k_row, v_row, mask_row,
                       queries, nodes, padded, heads, d, scale};
            Gradient g{out + b * queries * width, norms + 2 * b * queries * heads,
                       of_out + b * queries * width, of_q + b * of_q_batch, of_k + b * of_k_batch,
                       of_v + b * of_v_batch, of_q_row, of_k_row, of_v_row};
            transpose(x.k, k_row, nodes, width, padded, keys.data());
            transpose(x.v, v_row, nodes, width, padded, values.data());
            const auto backward8 = d == 16 ? backward_rows<8, 16> : backward_rows<8, 0>;
            const auto backward2 = d == 16 ? backward_rows<2, 16> : backward_rows<2, 0>;
            const auto backward1 = d == 16 ? backward_rows<1, 16> : backward_rows<1, 0>;
            I row = 0;
            for (; row + 8 <= queries; row += 8)
                backward8(x, g, row, keys.data(), values.data(), penalty.data(), w.data(),
                                 ds.data());
            for (; row + 2 <= queries; row += 2)
                backward2(x, g, row, keys.data(), values.data(), penalty.data(), w.data(),
                                 ds.data());
            for (; row < queries; row++)
                backward1(x, g, row, keys.data(), values.data(), penalty.data(), w.data(),
                                 ds.data());
        }
    }
}

// Log-probabilities from logits clip * tanh(scale * x) + extra where the mask allows.
void pointer(const float* x, const float* extra, const uint8_t* mask, float* out, I rows,
             I nodes, float scale, float clip, I threads) {
    const I padded = (nodes + 15) / 16 * 16;
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> s(padded);
#pragma omp for
        for (I i = 0; i < rows; i++) {
            const float* from = x + i * nodes;
            const uint8_t* allowed = mask + i * nodes;
            memcpy(s.data(), from, nodes * sizeof(float));
            V most = all(FORBIDDEN);
            for (I n = 0; n < padded; n += 16) {
                V bounded = 1 - 2 / (exponential(load(&s[n]) * (2 * scale)) + 1);
                store(&s[n], clip * bounded);
            }
            for (I n = 0; n < nodes; n++) {
                float value = extra ? s[n] + extra[i * nodes + n] : s[n];
                s[n] = allowed[n] ? value : FORBIDDEN;
            }
            for (I n = nodes; n < padded; n++) s[n] = FORBIDDEN;
            for (I n = 0; n < padded; n += 16) {
                V other = load(&s[n]);
                most = other > most ? other : most;
            }
            const float top = largest(most);
            V total = V{};
            for (I n = 0; n < padded; n += 16) total += exponential(load(&s[n]) - top);
            const float shift = top + __builtin_logf(sum(total));
            float* to = out + i * nodes;
            for (I n = 0; n < nodes; n++) to[n] = allowed[n] ? s[n] - shift : -__builtin_inff();
        }
    }
}

// Gradients of `pointer`, given those of its result; of_extra may be null.
void pointer_backward(const float* x, const float* log_probs, const float* of_out, float* of_x,
                      float* of_extra, I rows, I nodes, float scale, float clip, I threads) {
    const I padded = (nodes + 15) / 16 * 16;
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> s(padded), g(padded), p(padded, FORBIDDEN);
#pragma omp for
        for (I i = 0; i < rows; i++) {
            memcpy(s.data(), x + i * nodes, nodes * sizeof(float));
            memcpy(p.data(), log_probs + i * nodes, nodes * sizeof(float));
            // What cannot be chosen has no gradient, whatever arrives for it.
            for (I n = 0; n < nodes; n++) g[n] = p[n] < FORBIDDEN ? 0.f : of_out[i * nodes + n];
            V total = V{};
            for (I n = 0; n < padded; n += 16) total += load(&g[n]);
            const float all_of_it = sum(total);
            for (I n = 0; n < padded; n += 16) {
                V of_logit = load(&g[n]) - exponential(load(&p[n])) * all_of_it;
                V t = 1 - 2 / (exponential(load(&s[n]) * (2 * scale)) + 1);
                store(&g[n], of_logit);
                store(&s[n], of_logit * (clip * scale) * (1 - t * t));
            }
            memcpy(of_x + i * nodes, s.data(), nodes * sizeof(float));
            if (of_extra) memcpy(of_extra + i * nodes, g.data(), nodes * sizeof(float));
        }
    }
}

// Normalises each channel over the rows of its instance; moments are the mean and one over the
// standard deviation. Channels are a multiple of 16.
void instance_norm(const float* x, const float* weight, const float* bias, float* out,
                   float* moments, I batch, I rows, I width, float epsilon, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I b = 0; b < batch; b++) {
        const float* from = x + b * rows * width;
        for (I k = 0; k < width; k += 16) {
            V mean = V{}, square = V{};
            for (I n = 0; n < rows; n++) mean += load(from + n * width + k);
            mean = mean / float(rows);
            for (I n = 0; n < rows; n++) {
                V d = load(from + n * width + k) - mean;
                square += d * d;
            }
            V inverse = square / float(rows) + epsilon;
            for (int i = 0; i < 16; i++) inverse[i] = 1 / __builtin_sqrtf(inverse[i]);
            V scale = inverse * load(weight + k), shift = load(bias + k) - mean * scale;
            for (I n = 0; n < rows; n++) {
                I at = b * rows * width + n * width + k;
                store(out + at, load(x + at) * scale + shift);
            }
            store(moments + b * 2 * width + k, mean);
            store(moments + b * 2 * width + width + k, inverse);
        }
    }
}

// Gradients of the same; those of weight and bias are of each instance, [batch, 2, width].
void instance_norm_backward(const float* x, const float* weight, const float* moments,
                            const float* of_out, float* of_x, float* of_affine, I batch, I rows,
                            I width, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I b = 0; b < batch; b++) {
        for (I k = 0; k < width; k += 16) {
            const V mean = load(moments + b * 2 * width + k);
            const V inverse = load(moments + b * 2 * width + width + k);
            V along = V{}, total = V{};
            for (I n = 0; n < rows; n++) {
                I at = b * rows * width + n * width + k;
                V g = load(of_out + at);
                total += g;
                along += g * (load(x + at) - mean);
            }
            along *= inverse;
            store(of_affine + b * 2 * width + k, along);
            store(of_affine + b * 2 * width + width + k, total);
            const V scale = inverse * load(weight + k);
            const V slope = scale * inverse * along / float(rows), level = scale * total / float(rows);
            for (I n = 0; n < rows; n++) {
                I at = b * rows * width + n * width + k;
                store(of_x + at, scale * load(of_out + at) - level - slope * (load(x + at) - mean));
            }
        }
    }
}
}
