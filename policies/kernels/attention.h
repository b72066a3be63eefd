// Attention of the queries of one instance to its nodes, forwards and backwards.

#pragma once

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
        for (I k = 0; k < d; k += W)
            store(q + r * d + k, load(x.q + (row + r) * x.q_row + h * d + k) * x.scale);
    product<R, D>(q, d, keys + h * d * x.padded, d, x.padded, penalty, x.padded, out);
}

// The scores of a single row, straight from the keys as they are: one row is not worth turning them.
static void scores_of_one(const Instance& x, I row, I h, const float* penalty, float* out) {
    const float* q = x.q + row * x.q_row + h * x.d;
    for (I n = 0; n < x.nodes; n++) {
        const float* key = x.k + n * x.k_row + h * x.d;
        V both = V{};
        for (I k = 0; k < x.d; k += W) both += load(q + k) * load(key + k);
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
            for (I n = 0; n < x.padded; n += W) {
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
            for (I k = 0; k < x.d; k += W) both += load(out + k) * load(of_out + r * width + k);
            const float delta = sum(both);
            const float* norm = g.norms + 2 * ((row + r) * x.heads + h);
            for (I n = 0; n < x.padded; n += W) {
                V p = decay(load(w + r * x.padded + n) - norm[0]) * norm[1];
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

// Room for one instance at a time.
struct Space {
    std::vector<float> keys, values, penalty, w, ds;
};

// Rows `from` to `to` of the queries: the mixtures, and the norms for the way back.
static void forward_instance(const Instance& x, I from, I to, float* out, float* norms, Space& space) {
    const bool turned = to - from >= 4;
    space.penalty.resize(8 * x.padded);
    space.w.resize(8 * x.padded);
    if (turned) {
        space.keys.resize(x.heads * x.d * x.padded);
        turn(x.k, x.k_row, x.nodes, x.heads * x.d, x.padded, 1, space.keys.data());
    }
    const float* keys = turned ? space.keys.data() : nullptr;
    const auto forward8 = x.d == 16 ? forward_rows<8, 16> : forward_rows<8, 0>;
    const auto forward2 = x.d == 16 ? forward_rows<2, 16> : forward_rows<2, 0>;
    const auto forward1 = x.d == 16 ? forward_rows<1, 16> : forward_rows<1, 0>;
    I row = from;
    for (; row + 8 <= to; row += 8)
        forward8(x, row, keys, space.penalty.data(), space.w.data(), out, norms);
    for (; turned && row + 2 <= to; row += 2)
        forward2(x, row, keys, space.penalty.data(), space.w.data(), out, norms);
    for (; row < to; row++)
        forward1(x, row, keys, space.penalty.data(), space.w.data(), out, norms);
}

// Gradients of the same; those of keys and values are added to what is there.
static void backward_instance(const Instance& x, const Gradient& g, Space& space) {
    const I width = x.heads * x.d;
    space.keys.resize(width * x.padded);
    space.values.resize(width * x.padded);
    space.penalty.resize(8 * x.padded);
    space.w.resize(8 * x.padded);
    space.ds.resize(8 * x.padded);
    turn(x.k, x.k_row, x.nodes, width, x.padded, 1, space.keys.data());
    turn(x.v, x.v_row, x.nodes, width, x.padded, 1, space.values.data());
    const auto backward8 = x.d == 16 ? backward_rows<8, 16> : backward_rows<8, 0>;
    const auto backward2 = x.d == 16 ? backward_rows<2, 16> : backward_rows<2, 0>;
    const auto backward1 = x.d == 16 ? backward_rows<1, 16> : backward_rows<1, 0>;
    const float *keys = space.keys.data(), *values = space.values.data();
    float *penalty = space.penalty.data(), *w = space.w.data(), *ds = space.ds.data();
    I row = 0;
    for (; row + 8 <= x.queries; row += 8) backward8(x, g, row, keys, values, penalty, w, ds);
    for (; row + 2 <= x.queries; row += 2) backward2(x, g, row, keys, values, penalty, w, ds);
    for (; row < x.queries; row++) backward1(x, g, row, keys, values, penalty, w, ds);
}
