// Whole rollouts of a pointer decoder, the environment included, and their gradient, for the CPU.
//
// One thread takes an instance (or some of its rollouts) from the first step to the last, so that
// its tables stay in the cache. Plain PyTorch is the reference (decoding/rollout.py, decoder.py, envs).

#include <chrono>

#include "tiles.h"

typedef std::chrono::steady_clock Clock;

// The decoder's weights and what it computed once for each instance; null where it has none.
// Rows of weights are inputs.
struct Decoder {
    const float *keys, *values, *logit_keys;  // of node n of instance b: at b * _batch + n * _row
    I keys_batch, keys_row, values_batch, values_row, logit_keys_batch, logit_keys_row;
    const float* by_node;        // [K, B, N + 1, D]; the last row stands for "no node yet"
    const float* scalar;         // [D]
    const float *out, *hidden, *hidden_bias, *back, *back_bias;  // [D, D], [D, F], [F], [F, D], [D]
    // The same three weights in bfloat16, two rows side by side: [D / 2, D, 2] and so on.
    const Half *out_half, *hidden_half, *back_half;
    const float* distance;       // [D], and the bias behind it
    const float* log_distance;   // [B, N, N]
    I tables, heads, d, wide;
    float clip;
};

// Instances, and what rollouts do at every step.
struct Call {
    I batch, rollouts, nodes, steps;
    const float* demand;      // [B, N], whole numbers; null for tours without depot
    const int64_t* capacity;  // [B]
    const int64_t* first;     // imposed first moves [B, R], or null
    const int64_t* given;     // actions [B, R, T] to follow, or null
    const float* draws;       // uniform numbers [steps with a choice, B, R]; null for the most probable node
    float coldness;           // what log-probabilities are multiplied with before a draw
    double seconds;           // to give up after, counted from the call
    I threads;
};

struct Gradients {
    const float* of_likelihood;                   // [B, R]
    float *keys, *values, *logit_keys, *by_node;  // contiguous [B, N, D] thrice, [K, B, N + 1, D]
    float* scalar;                                // [B, D]
};

// One rollout on its way; a node that is closed has a penalty.
struct Way {
    I current, first, left, load, steps;
    float* closed;
    float likelihood;
    bool done;
};

// An instance as the loops want it: channels before nodes. On the way back the nodes are in an
// order of their own for every rollout: those that stay open longest come first, so that a decision
// needs only the first `open` of them. `columns` is their number, padded.
struct Tables {
    std::vector<float> keys, logit_keys, values;  // [D][padded]
    const Decoder& net;
    const Call& call;
    const I padded, width;
    I b = 0, open, columns;
    const I* order = nullptr;

    Tables(const Decoder& net, const Call& call, bool backward)
        : net(net), call(call), padded((call.nodes + 15) / 16 * 16), width(net.heads * net.d), open(call.nodes),
          columns(padded) {
        keys.resize(width * padded);
        logit_keys.resize(width * padded);
        if (backward) values.resize(width * padded);
    }

    void load(I instance) {
        b = instance;
        const I n = call.nodes;
        turn(net.keys + b * net.keys_batch, net.keys_row, n, width, padded, 1 / __builtin_sqrtf(net.d),
             keys.data(), order);
        turn(net.logit_keys + b * net.logit_keys_batch, net.logit_keys_row, n, width, padded, 1,
             logit_keys.data(), order);
        if (values.size())
            turn(net.values + b * net.values_batch, net.values_row, n, width, padded, 1,
                 values.data(), order);
    }

    const float* value_rows() const { return net.values + b * net.values_batch; }
};

static void begin(const Call& call, I padded, Way& way) {
    way.current = way.first = call.demand ? 0 : -1;
    way.left = call.demand ? call.nodes - 1 : call.nodes;
    way.load = way.steps = 0;
    way.likelihood = 0;
    way.done = way.left == 0;
    for (I n = 0; n < padded; n++) way.closed[n] = n < call.nodes ? 0 : FORBIDDEN;
}

// How many nodes may come next; `penalty` is 0 for those. Where none may, a vehicle waits at the depot.
static I look(const Call& call, I b, I padded, const Way& way, float* penalty) {
    VI open = VI{};
    if (call.demand) {
        const float* demand = call.demand + b * call.nodes;
        const V room = all(float(call.capacity[b] - way.load));
        const bool home = way.current != 0 || way.left == 0;
        I n = 0;
        for (; n + W <= call.nodes; n += W) {
            V x = load(demand + n) <= room ? load(way.closed + n) : all(FORBIDDEN);
            store(penalty + n, x);
        }
        for (; n < padded; n++)
            penalty[n] = n < call.nodes && demand[n] <= room[0] ? way.closed[n] : FORBIDDEN;
        penalty[0] = home ? 0 : FORBIDDEN;
    } else {
        memcpy(penalty, way.closed, padded * sizeof(float));
    }
    for (I n = 0; n < padded; n += W) open -= load(penalty + n) == 0.f;
    I count = 0;
    for (int i = 0; i < WIDTH; i++) count += open[i];
    if (count) return count;
    penalty[0] = 0;
    return 1;
}

static void advance(const Call& call, I b, Way& way, I node) {
    way.steps++;
    way.current = node;
    if (call.demand && node == 0) {
        way.load = 0;
        way.done = way.left == 0;
        return;
    }
    if (way.first < 0) way.first = node;
    if (way.closed[node] == 0) way.left--;
    way.closed[node] = FORBIDDEN;
    if (call.demand)
        way.load += I(call.demand[b * call.nodes + node]);
    else
        way.done = way.left == 0;
}

static inline float share(const Call& call, I b, const Way& way) {
    return call.demand ? 1 - float(way.load) / float(call.capacity[b]) : 0.f;
}

// Rows of the tables that a decision reads, one for each context node.
static inline I row_of(const Tables& x, I k, I current, I first) {
    const I node = k + 1 == x.net.tables ? current : first;
    const I nodes = x.call.nodes;
    return (k * x.call.batch + x.b) * (nodes + 1) + (node < 0 ? nodes : node);
}

static void query(const Tables& x, I current, I first, float scalar, float* q) {
    for (I k = 0; k < x.net.tables; k++) {
        const float* row = x.net.by_node + row_of(x, k, current, first) * x.width;
        for (I c = 0; c < x.width; c += W) store(q + c, k ? load(q + c) + load(row + c) : load(row + c));
    }
    if (x.net.scalar)
        for (I c = 0; c < x.width; c += W)
            store(q + c, load(q + c) + scalar * load(x.net.scalar + c));
}

// Room for a block of up to 8 decisions of one instance.
struct Block {
    std::vector<float> q, penalty, weights, glimpse, logits, pointer, hidden;
    std::vector<Half> half, hidden_half;
    Block(const Tables& x, I kept_heads)
        : q(8 * x.width), penalty(8 * x.padded), weights(8 * x.padded * kept_heads),
          glimpse(8 * x.width), logits(8 * x.padded), pointer(x.net.out ? 16 * x.width : 0),
          hidden(x.net.out ? 8 * x.net.wide : 0), half(x.net.out_half ? 8 * x.width : 0),
          hidden_half(x.net.out_half ? 8 * x.net.wide : 0) {}
};

// Weights of the glimpse, all heads kept if there is room for them, and the glimpse.
template <int R, int D>
static void glimpse(const Tables& x, Block& block, bool keep) {
    const I d = D ? D : x.net.d;
    const float* values = x.value_rows();
    for (I h = 0; h < x.net.heads; h++) {
        float* w = block.weights.data() + (keep ? h * 8 * x.padded : 0);
        product<R, D>(block.q.data() + h * d, x.width, x.keys.data() + h * d * x.padded, d, x.padded,
                      block.penalty.data(), x.padded, w, x.columns);
        float inverse[R];
        UNROLL for (int r = 0; r < R; r++) {
            float* s = w + r * x.padded;
            const float top = highest(s, x.columns);
            V total = V{};
            for (I n = 0; n < x.columns; n += W) {
                V e = decay(load(s + n) - top);
                store(s + n, e);
                total += e;
            }
            inverse[r] = 1 / sum(total);
            if (keep) {
                for (I n = 0; n < x.columns; n += W) store(s + n, load(s + n) * inverse[r]);
                inverse[r] = 1;
            }
        }
        mix<R>(w, x.padded, values + h * d, x.net.values_row, x.open, d,
               block.glimpse.data() + h * d, x.width, inverse, x.order);
    }
}

// What points at the next node: identity and feed-forward behind the glimpse, of R decisions.
template <int R>
static const float* feed_forward(const Tables& x, Block& block) {
    const I width = x.width, wide = x.net.wide;
    float *p = block.pointer.data(), *more = p + 8 * width;
    product<R, 0>(block.glimpse.data(), width, x.net.out, width, width, block.q.data(), width, p);
    product<R, 0>(p, width, x.net.hidden, width, wide, x.net.hidden_bias, 0, block.hidden.data());
    for (I i = 0; i < R * wide; i += W) {
        V h = load(&block.hidden[i]);
        store(&block.hidden[i], h < 0.f ? V{} : h);
    }
    UNROLL for (int r = 0; r < R; r++)
        for (I c = 0; c < width; c += W)
            store(p + r * width + c, load(p + r * width + c) + load(x.net.back_bias + c));
    product<R, 0>(block.hidden.data(), wide, x.net.back, wide, width, p, width, more);
    return more;
}

// The same in bfloat16, always of 8 rows: those behind R do not matter.
static const float* feed_forward_half(const Tables& x, Block& block) {
    const I width = x.width, wide = x.net.wide;
    float *p = block.pointer.data(), *more = p + 8 * width;
    const Tiles tiles;
    for (I i = 0; i < 8 * width; i += W) put(&block.half[i], load(&block.glimpse[i]));
    tile_product(block.half.data(), width, x.net.out_half, width, p);
    for (I i = 0; i < 8 * width; i += W) {
        V s = load(p + i) + load(&block.q[i]);
        store(p + i, s + load(x.net.back_bias + i % width));
        put(&block.half[i], s);
    }
    tile_product(block.half.data(), width, x.net.hidden_half, wide, block.hidden.data());
    for (I i = 0; i < 8 * wide; i += W) {
        V h = load(&block.hidden[i]) + load(x.net.hidden_bias + i % wide);
        put(&block.hidden_half[i], h < 0.f ? V{} : h);
    }
    tile_product(block.hidden_half.data(), wide, x.net.back_half, width, more);
    for (I i = 0; i < 8 * width; i += W) store(more + i, load(more + i) + load(p + i));
    return more;
}

// Bounded logits of R decisions, without the penalties.
template <int R>
static void point(const Tables& x, Block& block, const I* current) {
    const I width = x.width;
    const float* pointer = block.glimpse.data();
    if (x.net.out_half)
        pointer = feed_forward_half(x, block);
    else if (x.net.out)
        pointer = feed_forward<R>(x, block);
    product<R, 0>(pointer, width, x.logit_keys.data(), width, x.padded, nullptr, 0,
                  block.logits.data(), x.columns);
    const float scale = 2 / __builtin_sqrtf(width);
    for (int r = 0; r < R; r++) {
        float* z = &block.logits[r * x.padded];
        for (I n = 0; n < x.columns; n += W) {
            V t = 1 - 2 / (exponential(load(z + n) * scale) + 1);
            store(z + n, x.net.clip * t);
        }
    }
    if (!x.net.distance) return;
    for (int r = 0; r < R; r++) {
        if (current[r] < 0) continue;
        V both = V{};
        for (I c = 0; c < width; c += W)
            both += load(&block.q[r * width + c]) * load(x.net.distance + c);
        const float factor = sum(both) + x.net.distance[width];
        const I n = x.call.nodes;
        const float* row = x.net.log_distance + (x.b * n + current[r]) * n;
        for (I i = 0; i < n; i++) block.logits[r * x.padded + i] += factor * row[i];
    }
}

// The node that a row goes to, from `draw`, or the most probable one; likelihood grows by its own.
// -1 where logits are not finite.
static I choose(const Tables& x, float* z, const float* penalty, const float* draw, I given,
                Way& way, float* e) {
    for (I n = 0; n < x.padded; n += W) store(z + n, load(z + n) + load(penalty + n));
    const float top = highest(z, x.padded), coldness = x.call.coldness;
    V total = V{};
    for (I n = 0; n < x.padded; n += W) {
        V p = exponential((load(z + n) - top) * coldness);
        p = load(penalty + n) < 0.f ? V{} : p;  // at any temperature
        store(e + n, p);
        total += p;
    }
    const float whole = sum(total);
    if (!(whole > 0 && whole < 1e30f)) return -1;
    I node = given;
    if (node < 0 && draw) {
        const float drawn = *draw * whole, last = whole * (1 - 2 * 1.1920929e-7f);
        const float level = drawn < last ? drawn : last;
        float below = 0;
        for (I n = 0; n < x.padded && node < 0; n += W) {
            const float here = sum(load(e + n));
            if (below + here <= level && n + W < x.padded) {
                below += here;
                continue;
            }
            for (I i = n; i < n + W; i++) {
                if (e[i] > 0) {
                    below += e[i];
                    if (below > level) {
                        node = i;
                        break;
                    }
                }
            }
        }
        // Sums in another order may fall short by their rounding: the last node that may come.
        for (I n = x.call.nodes; node < 0 && n > 0; n--)
            if (e[n - 1] > 0) node = n - 1;
    }
    for (I n = 0; node < 0 && n < x.call.nodes; n++)
        if (z[n] == top) node = n;
    if (node < 0) return -1;
    way.likelihood += (z[node] - top) * coldness - __builtin_logf(whole);
    return node;
}

template <int R>
static void decide(const Tables& x, Block& block, const Way* ways, const I* rows) {
    I current[R];
    for (int r = 0; r < R; r++) {
        const Way& way = ways[rows[r]];
        current[r] = way.current;
        query(x, way.current, way.first, share(x.call, x.b, way), block.q.data() + r * x.width);
    }
    if (x.net.d == 16)
        glimpse<R, 16>(x, block, false);
    else
        glimpse<R, 0>(x, block, false);
    point<R>(x, block, current);
}

// Whether the feed-forward may be in bfloat16 here.
EXPORT I has_tiles() { return TILES && tiles_allowed(); }

// The only node that may come.
static I only(const float* penalty) {
    I n = 0;
    while (penalty[n] != 0) n++;
    return n;
}

// What `rollout` returns instead of a number of steps.
static const I LATE = -1;         // time ran out
static const I NO_NODE = -2;      // an imposed or given move is not the number of a node
static const I NOT_FINITE = -3;   // logits are not: minus (instance * steps + step)

static bool are_nodes(const int64_t* moves, I count, I nodes) {
    bool all_are = true;
    for (I i = 0; moves && i < count; i++) all_are &= uint64_t(moves[i]) < uint64_t(nodes);
    return all_are;
}

// Rollouts: actions [B, R, T] and log-likelihoods [B, R]. Returns the longest number of
// steps, or why there is none. Finished rollouts repeat their last node.
EXPORT I rollout(const Decoder* net, const Call* request, int64_t* actions, float* likelihood) {
    const Call& c = *request;
    const Clock::time_point begun = Clock::now();
    I parts = 1;  // of an instance's rollouts, where there are fewer instances than threads
    while (c.batch * parts < c.threads && c.rollouts / parts >= 16) parts++;
    const I size = (c.rollouts + parts - 1) / parts;
    const I every = c.batch * c.rollouts, never = c.batch * c.steps;
    if (!are_nodes(c.first, every, c.nodes) || !are_nodes(c.given, every * c.steps, c.nodes))
        return NO_NODE;
    I longest = 0, broken = never;
    bool late = false;
#pragma omp parallel num_threads(c.threads) \
    reduction(max : longest) reduction(min : broken) reduction(|| : late)
    {
        Tables x(*net, c, false);
        Block block(x, 1);
        std::vector<float> closed(size * x.padded), penalty(size * x.padded), e(x.padded);
        std::vector<Way> ways(size);
        std::vector<I> rows(size);
        I loaded = -1;
#pragma omp for schedule(dynamic)
        for (I task = 0; task < c.batch * parts; task++) {
            const I b = task / parts, from = task % parts * size;
            const I count = from + size < c.rollouts ? size : c.rollouts - from;
            if (late || count <= 0) continue;
            if (loaded != b) x.load(loaded = b);
            for (I r = 0; r < count; r++) {
                ways[r].closed = closed.data() + r * x.padded;
                begin(c, x.padded, ways[r]);
            }
            int64_t* out = actions + (b * c.rollouts + from) * c.steps;
            I t = 0;
            bool finite = true;
            for (; t < c.steps && !late; t++) {
                I open = 0, running = 0;
                for (I r = 0; r < count; r++) {
                    Way& way = ways[r];
                    if (way.done) {
                        out[r * c.steps + t] = t ? way.current : 0;
                        continue;
                    }
                    running++;
                    I node = -1;
                    if (t == 0 && c.first)
                        node = c.first[b * c.rollouts + from + r];
                    else if (look(c, b, x.padded, way, penalty.data() + r * x.padded) == 1)
                        node = only(penalty.data() + r * x.padded);
                    if (node < 0) {
                        rows[open++] = r;
                    } else {
                        out[r * c.steps + t] = node;
                        advance(c, b, way, node);
                    }
                }
                if (!running) break;
                for (I i = 0; i < open;) {
                    const I few = open - i >= 8 ? 8 : open - i >= 2 ? 2 : 1;
                    for (I r = 0; r < few; r++)
                        memcpy(&block.penalty[r * x.padded], &penalty[rows[i + r] * x.padded],
                               x.padded * sizeof(float));
                    if (few == 8)
                        decide<8>(x, block, ways.data(), &rows[i]);
                    else if (few == 2)
                        decide<2>(x, block, ways.data(), &rows[i]);
                    else
                        decide<1>(x, block, ways.data(), &rows[i]);
                    for (I r = 0; r < few; r++) {
                        const I at = rows[i + r], way = b * c.rollouts + from + at;
                        const I turn = (c.first ? t - 1 : t) * c.batch * c.rollouts + way;
                        const float* draw = c.draws ? c.draws + turn : nullptr;
                        const I given = c.given ? c.given[way * c.steps + t] : -1;
                        const I node =
                            choose(x, &block.logits[r * x.padded], &block.penalty[r * x.padded],
                                   draw, given, ways[at], e.data());
                        if (node < 0) {
                            finite = false;
                            break;
                        }
                        out[at * c.steps + t] = node;
                        advance(c, b, ways[at], node);
                    }
                    if (!finite) break;
                    i += few;
                }
                if (!finite) {
                    broken = b * c.steps + t < broken ? b * c.steps + t : broken;
                    break;
                }
                const std::chrono::duration<double> spent = Clock::now() - begun;
                late = late || spent.count() > c.seconds;
            }
            longest = t > longest ? t : longest;
            for (I r = 0; r < count; r++) {
                likelihood[b * c.rollouts + from + r] = ways[r].likelihood;
                for (I s = t; s < c.steps; s++) out[r * c.steps + s] = ways[r].current;
            }
        }
    }
    return broken < never ? NOT_FINITE - broken : late ? LATE : longest;
}

// Eight decisions whose gradients are taken together.
struct Taken {
    Block block;
    std::vector<float> of_logits, of_glimpse, of_query, ds;
    I current[8], first[8], node[8], count = 0;
    float scalar[8], factor[8];

    explicit Taken(const Tables& x)
        : block(x, x.net.heads), of_logits(8 * x.padded), of_glimpse(8 * x.width),
          of_query(8 * x.width), ds(8 * x.padded) {}
};

// The nodes of a rollout, those first that stay open longest: the depot, what is never visited, and
// customers from the last to the first.
static void order_nodes(const Call& call, const int64_t* given, I* order, I* place) {
    const I n = call.nodes, depot = call.demand ? 1 : 0;
    for (I i = 0; i < n; i++) place[i] = -1;
    I last = n;
    for (I t = 0; t < call.steps; t++)
        if (given[t] >= depot && place[given[t]] < 0) place[given[t]] = --last;
    I first = 0;
    for (I i = 0; i < n; i++) {
        if (place[i] < 0) place[i] = first++;
        order[place[i]] = i;
    }
}

template <int D>
static void backward(const Tables& x, const Gradients& g, Taken& taken) {
    const I width = x.width, padded = x.padded, nodes = x.call.nodes, open = x.open, d = D ? D : x.net.d;
    Block& block = taken.block;
    for (I r = 0; r < 8; r++) {
        if (r >= taken.count) {  // a row without weight
            taken.factor[r] = 0;
            taken.current[r] = taken.current[0];
            taken.first[r] = taken.first[0];
            taken.node[r] = taken.node[0];
            taken.scalar[r] = taken.scalar[0];
            memcpy(&block.penalty[r * padded], &block.penalty[0], x.columns * sizeof(float));
        }
        query(x, taken.current[r], taken.first[r], taken.scalar[r], &block.q[r * width]);
    }
    glimpse<8, D>(x, block, true);
    point<8>(x, block, taken.current);
    const float slope = x.net.clip / __builtin_sqrtf(width), part = 1 / x.net.clip;
    float one[8];
    for (I r = 0; r < 8; r++) {
        float *z = &block.logits[r * padded], *of = &taken.of_logits[r * padded];
        const float* penalty = &block.penalty[r * padded];
        one[r] = 1;
        V most = all(FORBIDDEN);
        for (I n = 0; n < x.columns; n += W) {
            V other = load(z + n) + load(penalty + n);
            store(of + n, other);
            most = other > most ? other : most;
        }
        const float top = largest(most);
        V total = V{};
        for (I n = 0; n < x.columns; n += W) {
            V e = exponential(load(of + n) - top);
            store(of + n, e);
            total += e;
        }
        const float inverse = 1 / sum(total), factor = taken.factor[r];
        for (I n = 0; n < x.columns; n += W) store(of + n, load(of + n) * (-factor * inverse));
        of[taken.node[r]] += factor;
        for (I n = 0; n < x.columns; n += W) {
            V t = load(z + n) * part;
            store(of + n, load(of + n) * slope * (1 - t * t));
        }
    }
    const I at = x.b * nodes * width;
    const float* logit_keys = x.net.logit_keys + x.b * x.net.logit_keys_batch;
    mix<8>(taken.of_logits.data(), padded, logit_keys, x.net.logit_keys_row, open, width,
           taken.of_glimpse.data(), width, one, x.order);
    spread<8>(taken.of_logits.data(), padded, block.glimpse.data(), width, open, width,
              g.logit_keys + at, width, x.order);
    const float scale = 1 / __builtin_sqrtf(d);
    for (I h = 0; h < x.net.heads; h++) {
        float *w = &block.weights[h * 8 * padded], *ds = taken.ds.data();
        const float* of_glimpse = taken.of_glimpse.data() + h * d;
        product<8, D>(of_glimpse, width, x.values.data() + h * d * padded, d, padded, nullptr, 0, ds,
                      x.columns);
        for (I r = 0; r < 8; r++) {
            V both = V{};
            for (I k = 0; k < d; k += W)
                both += load(&block.glimpse[r * width + h * d + k]) * load(of_glimpse + r * width + k);
            const float delta = sum(both);
            for (I n = 0; n < x.columns; n += W)
                store(ds + r * padded + n,
                      load(w + r * padded + n) * (load(ds + r * padded + n) - delta) * scale);
        }
        mix<8>(ds, padded, x.net.keys + x.b * x.net.keys_batch + h * d, x.net.keys_row, open, d,
               &taken.of_query[h * d], width, one, x.order);
        spread<8>(ds, padded, &block.q[h * d], width, open, d, g.keys + at + h * d, width,
                  x.order);
        spread<8>(w, padded, of_glimpse, width, open, d, g.values + at + h * d, width, x.order);
    }
    for (I r = 0; r < taken.count; r++) {
        const float* of = &taken.of_query[r * width];
        for (I k = 0; k < x.net.tables; k++) {
            float* to = g.by_node + row_of(x, k, taken.current[r], taken.first[r]) * width;
            for (I c = 0; c < width; c += W) store(to + c, load(to + c) + load(of + c));
        }
        if (x.net.scalar)
            for (I c = 0; c < width; c += W) {
                float* to = g.scalar + x.b * width + c;
                store(to, load(to) + taken.scalar[r] * load(of + c));
            }
    }
    taken.count = 0;
}

// Adds the gradients of the log-likelihoods of the given moves to what is there. Returns 0, or why not.
EXPORT I rollout_backward(const Decoder* net, const Call* request, const Gradients* g) {
    const Call& c = *request;
    if (!are_nodes(c.given, c.batch * c.rollouts * c.steps, c.nodes)) return NO_NODE;
#pragma omp parallel num_threads(c.threads)
    {
        Tables x(*net, c, true);
        Taken taken(x);
        std::vector<float> closed(x.padded), penalty(x.padded);
        std::vector<I> order(c.nodes), place(c.nodes);
        Way way;
        way.closed = closed.data();
        x.order = order.data();
        const auto flush = net->d == 16 ? backward<16> : backward<0>;
#pragma omp for schedule(dynamic)
        for (I b = 0; b < c.batch; b++) {
            for (I r = 0; r < c.rollouts; r++) {
                const float factor = g->of_likelihood[b * c.rollouts + r];
                if (factor == 0) continue;
                const int64_t* given = c.given + (b * c.rollouts + r) * c.steps;
                order_nodes(c, given, order.data(), place.data());
                x.load(b);
                begin(c, x.padded, way);
                for (I t = 0; t < c.steps && !way.done; t++) {
                    const I node = given[t];
                    const bool imposed = t == 0 && c.first;
                    if (!imposed && look(c, b, x.padded, way, penalty.data()) > 1) {
                        const I k = taken.count++;
                        if (k == 0) {
                            x.open = way.left + (c.demand ? 1 : 0);
                            x.columns = (x.open + 15) / 16 * 16;
                        }
                        float* row = &taken.block.penalty[k * x.padded];
                        for (I i = 0; i < x.columns; i++)
                            row[i] = i < x.open ? penalty[order[i]] : FORBIDDEN;
                        taken.current[k] = way.current;
                        taken.first[k] = way.first;
                        taken.node[k] = place[node];
                        taken.scalar[k] = share(c, b, way);
                        taken.factor[k] = factor;
                        if (taken.count == 8) flush(x, *g, taken);
                    }
                    advance(c, b, way, node);
                }
                if (taken.count) flush(x, *g, taken);
            }
        }
    }
    return 0;
}
