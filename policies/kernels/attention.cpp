// Attention with small heads, the pointer's log-probabilities, and a normalisation, for the CPU.
//
// Plain PyTorch is the reference (layers.py, decoder.py).

#include "vectors.h"

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
            const float top = highest(s, x.padded);
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
        spread<R>(ds, x.padded, x.q + row * x.q_row + h * x.d, x.q_row, x.nodes, x.d,
                  g.of_k + h * x.d, g.k_row);
        spread<R>(w, x.padded, of_out, width, x.nodes, x.d, g.of_v + h * x.d, g.v_row);
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
            if (turned) turn(x.k, k_row, nodes, width, padded, 1, keys.data());
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
            turn(x.k, k_row, nodes, width, padded, 1, keys.data());
            turn(x.v, v_row, nodes, width, padded, 1, values.data());
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
