// What an encoder layer needs beside its matrix products, in single precision or bfloat16.
//
// Matrix products read and write numbers of type H, the residual stream is in single precision.
// Plain PyTorch is the reference (layers.py).

#include "attention.h"

template <class H>
static void copy(const H* from, float* to, I count) {
    for (I i = 0; i < count; i += W) store(to + i, get(from + i));
}

// Queries, keys and values of a node side by side; from single precision they are read in place.
template <class H>
struct Packed {
    std::vector<float> room;
    const float* read(const H* from, I count) {
        room.resize(count);
        copy(from, room.data(), count);
        return room.data();
    }
};

template <>
struct Packed<float> {
    const float* read(const float* from, I) { return from; }
};

static Instance packed(const float* qkv, I nodes, I heads, I d) {
    const I width = heads * d, padded = (nodes + 15) / 16 * 16;
    return Instance{qkv, qkv + width, qkv + 2 * width, nullptr, 3 * width, 3 * width, 3 * width, 0,
                    nodes, nodes, padded, heads, d, 1 / __builtin_sqrtf(float(d))};
}

template <class H>
static void self_attention(const H* qkv, H* out, float* norms, I batch, I nodes, I heads, I d,
                           I threads) {
    const I width = heads * d;
    I parts = 1;  // of an instance's rows, where there are fewer instances than threads
    while (batch * parts < threads && nodes / parts >= 64) parts++;
    const I size = (nodes + parts - 1) / parts;
#pragma omp parallel num_threads(threads)
    {
        Space space;
        Packed<H> rows;
        std::vector<float> mixed(nodes * width);
#pragma omp for
        for (I task = 0; task < batch * parts; task++) {
            const I b = task / parts, from = task % parts * size;
            const I to = from + size < nodes ? from + size : nodes;
            if (from >= to) continue;
            const Instance x = packed(rows.read(qkv + b * nodes * 3 * width, nodes * 3 * width),
                                      nodes, heads, d);
            forward_instance(x, from, to, mixed.data(), norms + 2 * b * nodes * heads, space);
            H* at = out + b * nodes * width;
            for (I i = from * width; i < to * width; i += W) put(at + i, load(&mixed[i]));
        }
    }
}

template <class H>
static void self_attention_backward(const H* qkv, const H* out, const float* norms, const H* of_out,
                                    H* of_qkv, I batch, I nodes, I heads, I d, I threads) {
    const I width = heads * d, all_three = nodes * 3 * width;
#pragma omp parallel num_threads(threads)
    {
        Space space;
        Packed<H> rows, mixed, of_mixed;
        std::vector<float> grads(all_three);
#pragma omp for
        for (I b = 0; b < batch; b++) {
            const Instance x = packed(rows.read(qkv + b * all_three, all_three), nodes, heads, d);
            const I at = b * nodes * width;
            float* g = grads.data();
            memset(g, 0, all_three * sizeof(float));
            const Gradient gradient{mixed.read(out + at, nodes * width),
                                    norms + 2 * b * nodes * heads,
                                    of_mixed.read(of_out + at, nodes * width),
                                    g, g + width, g + 2 * width, 3 * width, 3 * width, 3 * width};
            backward_instance(x, gradient, space);
            H* to = of_qkv + b * all_three;
            for (I i = 0; i < all_three; i += W) put(to + i, load(g + i));
        }
    }
}

// What is added, if anything is.
template <class H>
static inline V also(const H* more, I at) {
    return more ? get(more + at) : V{};
}

// The vectors of 16 channels, which lie in one line of the cache.
#define EACH UNROLL for (int c = 0; c < GROUP; c++)

// Sums of rows are made in pieces of so many, and the pieces added in double precision.
static const I PIECE = 64;

// A skip connection and what normalises it: y = (x + more - mean) * inverse * weight + bias, over
// groups of rows. Keeps what is normalised, before weight and bias, for the way back. Where `fixed`
// the moments are given; else they are computed, the variance with all rows of the group.
template <class H>
static void add_norm(const float* x, const H* more, const float* weight, const float* bias, float* y,
                     H* y_half, H* normal, float* means, float* inverses, float* variances,
                     I groups, I rows, I width, float epsilon, bool fixed, I threads) {
    if (!fixed && groups == 1) {  // over the whole batch: its pieces in parallel
        const I pieces = (rows + PIECE - 1) / PIECE;
        std::vector<float> sums(pieces * 2 * width);
#pragma omp parallel for num_threads(threads)
        for (I p = 0; p < pieces; p++) {
            const I to = (p + 1) * PIECE < rows ? (p + 1) * PIECE : rows;
            for (I k = 0; k < width; k += 16) {
                V shift[GROUP], a[GROUP], b[GROUP];
                EACH {
                    shift[c] = load(x + k + c * W) + also(more, k + c * W);
                    a[c] = b[c] = V{};
                }
                for (I n = p * PIECE; n < to; n++) EACH {
                    const I at = n * width + k + c * W;
                    V s = load(x + at) + also(more, at) - shift[c];
                    a[c] += s;
                    b[c] += s * s;
                }
                EACH {
                    store(&sums[p * 2 * width + k + c * W], a[c]);
                    store(&sums[p * 2 * width + width + k + c * W], b[c]);
                }
            }
        }
        std::vector<double> total(2 * width);
        for (I p = 0; p < pieces; p++)
            for (I k = 0; k < 2 * width; k++) total[k] += sums[p * 2 * width + k];
        for (I k = 0; k < width; k++) {
            const double mean = total[k] / rows, shift = x[k] + also(more, k / W * W)[k % W];
            const double variance = total[width + k] / rows - mean * mean;
            means[k] = float(mean + shift);
            variances[k] = float(variance < 0 ? 0 : variance);
            inverses[k] = float(1 / __builtin_sqrt((variance < 0 ? 0 : variance) + epsilon));
        }
        fixed = true;
    }
    const I size = groups == 1 ? PIECE : rows, pieces = groups == 1 ? (rows + PIECE - 1) / PIECE : groups;
#pragma omp parallel for num_threads(threads)
    for (I p = 0; p < pieces; p++) {
        const I begin = p * size, end = begin + size < groups * rows ? begin + size : groups * rows;
        const I g = groups == 1 ? 0 : p;
        for (I k = 0; k < width; k += 16) {
            V mean[GROUP], inverse[GROUP], w[GROUP], shift[GROUP];
            if (fixed) {
                EACH {
                    mean[c] = load(means + g * width + k + c * W);
                    inverse[c] = load(inverses + g * width + k + c * W);
                }
            } else {
                V square[GROUP];
                EACH mean[c] = square[c] = V{};
                for (I n = begin; n < end; n++) EACH {
                    const I at = n * width + k + c * W;
                    V s = load(x + at) + also(more, at);
                    store(y + at, s);
                    mean[c] += s;
                }
                EACH mean[c] = mean[c] / float(rows);
                for (I n = begin; n < end; n++) EACH {
                    V s = load(y + n * width + k + c * W) - mean[c];
                    square[c] += s * s;
                }
                EACH {
                    inverse[c] = square[c] / float(rows) + epsilon;
                    for (int i = 0; i < WIDTH; i++)
                        inverse[c][i] = 1 / __builtin_sqrtf(inverse[c][i]);
                    store(inverses + g * width + k + c * W, inverse[c]);
                }
            }
            EACH {
                w[c] = load(weight + k + c * W);
                shift[c] = load(bias + k + c * W);
            }
            for (I n = begin; n < end; n++) EACH {
                const I at = n * width + k + c * W;
                V s = fixed ? load(x + at) + also(more, at) : load(y + at);
                s = (s - mean[c]) * inverse[c];
                if (normal) put(normal + at, s);
                s = s * w[c] + shift[c];
                store(y + at, s);
                if (y_half) put(y_half + at, s);
            }
        }
    }
}

// Gradient of the sum that was normalised, once as H; those of weight and bias are of each piece
// of rows, [pieces, 2, width].
template <class H>
static void add_norm_backward(const float* of_y, const H* of_more, const H* normal,
                              const float* weight, const float* inverses, float* of_sum, H* of_half,
                              float* of_affine, I groups, I rows, I width, I threads) {
    const I size = groups == 1 ? PIECE : rows, pieces = groups == 1 ? (rows + PIECE - 1) / PIECE : groups;
    // Both sums over rows, for each piece.
#pragma omp parallel for num_threads(threads)
    for (I p = 0; p < pieces; p++) {
        const I begin = p * size, end = begin + size < groups * rows ? begin + size : groups * rows;
        for (I k = 0; k < width; k += 16) {
            V along[GROUP], total[GROUP];
            EACH along[c] = total[c] = V{};
            for (I n = begin; n < end; n++) EACH {
                const I at = n * width + k + c * W;
                V g = load(of_y + at) + also(of_more, at);
                store(of_sum + at, g);
                total[c] += g;
                along[c] += g * get(normal + at);
            }
            EACH {
                store(of_affine + p * 2 * width + k + c * W, along[c]);
                store(of_affine + p * 2 * width + width + k + c * W, total[c]);
            }
        }
    }
    std::vector<float> sums;
    if (groups == 1) {
        std::vector<double> precise(2 * width);
        for (I p = 0; p < pieces; p++)
            for (I k = 0; k < 2 * width; k++) precise[k] += of_affine[p * 2 * width + k];
        sums.assign(precise.begin(), precise.end());
    }
#pragma omp parallel for num_threads(threads)
    for (I p = 0; p < pieces; p++) {
        const I begin = p * size, end = begin + size < groups * rows ? begin + size : groups * rows;
        const I g = groups == 1 ? 0 : p;
        const float* both = groups == 1 ? sums.data() : of_affine + p * 2 * width;
        for (I k = 0; k < width; k += 16) {
            V scale[GROUP], along[GROUP], level[GROUP];
            EACH {
                const I at = k + c * W;
                scale[c] = load(inverses + g * width + at) * load(weight + at);
                along[c] = load(both + at) / float(rows);
                level[c] = load(both + width + at) / float(rows);
            }
            for (I n = begin; n < end; n++) EACH {
                const I at = n * width + k + c * W;
                V s = scale[c] * (load(of_sum + at) - level[c] - get(normal + at) * along[c]);
                store(of_sum + at, s);
                if (of_half) put(of_half + at, s);
            }
        }
    }
}

// A bias and a ReLU, in place.
template <class H>
static void bias_relu(H* x, const float* bias, I rows, I width, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I n = 0; n < rows; n++)
        for (I k = 0; k < width; k += W) {
            V s = get(x + n * width + k) + load(bias + k);
            put(x + n * width + k, s < 0.f ? V{} : s);
        }
}

// Gradient before a ReLU, in place, from what came out of it; and its sum over rows, in pieces.
template <class H>
static void relu_backward(H* of_out, const H* out, float* of_bias, I rows, I width, I threads) {
    const I pieces = (rows + PIECE - 1) / PIECE;
#pragma omp parallel for num_threads(threads)
    for (I p = 0; p < pieces; p++) {
        const I end = (p + 1) * PIECE < rows ? (p + 1) * PIECE : rows;
        float* sums = of_bias + p * width;
        for (I k = 0; k < width; k += W) store(sums + k, V{});
        for (I n = p * PIECE; n < end; n++) {
            for (I k = 0; k < width; k += W) {
                const I at = n * width + k;
                V g = get(out + at) > 0 ? get(of_out + at) : V{};
                put(of_out + at, g);
                store(sums + k, load(sums + k) + g);
            }
        }
    }
}

// x += more
template <class H>
static void add(float* x, const H* more, I count, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I i = 0; i < count; i += W) store(x + i, load(x + i) + get(more + i));
}

#define BOTH(name, parameters, ...)                                           \
    EXPORT void name##_single parameters(float) { name<float>(__VA_ARGS__); } \
    EXPORT void name##_half parameters(Half) { name<Half>(__VA_ARGS__); }

#define ATTENTION(H) (const H* qkv, H* out, float* norms, I batch, I nodes, I heads, I d, I threads)
BOTH(self_attention, ATTENTION, qkv, out, norms, batch, nodes, heads, d, threads)

#define ATTENTION_BACKWARD(H)                                                                      \
    (const H* qkv, const H* out, const float* norms, const H* of_out, H* of_qkv, I batch, I nodes, \
     I heads, I d, I threads)
BOTH(self_attention_backward, ATTENTION_BACKWARD, qkv, out, norms, of_out, of_qkv, batch, nodes,
     heads, d, threads)

#define ADD_NORM(H)                                                                               \
    (const float* x, const H* more, const float* weight, const float* bias, float* y, H* y_half,  \
     H* normal, float* means, float* inverses, float* variances, I groups, I rows, I width,       \
     float epsilon, I fixed, I threads)
BOTH(add_norm, ADD_NORM, x, more, weight, bias, y, y_half, normal, means, inverses, variances,
     groups, rows, width, epsilon, fixed, threads)

#define ADD_NORM_BACKWARD(H)                                                                       \
    (const float* of_y, const H* of_more, const H* normal, const float* weight,                    \
     const float* inverses, float* of_sum, H* of_half, float* of_affine, I groups, I rows, I width, \
     I threads)
BOTH(add_norm_backward, ADD_NORM_BACKWARD, of_y, of_more, normal, weight, inverses, of_sum, of_half,
     of_affine, groups, rows, width, threads)

#define BIAS_RELU(H) (H* x, const float* bias, I rows, I width, I threads)
BOTH(bias_relu, BIAS_RELU, x, bias, rows, width, threads)

#define RELU_BACKWARD(H) (H* of_out, const H* out, float* of_bias, I rows, I width, I threads)
BOTH(relu_backward, RELU_BACKWARD, of_out, out, of_bias, rows, width, threads)

#define ADD(H) (float* x, const H* more, I count, I threads)
BOTH(add, ADD, x, more, count, threads)
