// Masks and steps of B instances with R rollouts of N nodes each, for the CPU.
//
// Plain PyTorch is the reference: visits.py, constraints/capacity.py, constraints/time_windows.py.
// A step returns how many of the nodes that it was given do not exist; nothing is done for those.

#include <cstring>

#include "export.h"

typedef uint8_t Truth;

// Rows are done in steps of 16 nodes, loops of fixed length that become vectors of any width. The
// last step reaches back: what is left behind the last whole one would take longer than all of them.
const I STEP = 16;

static inline void at_most(const float* __restrict x, float bound, Truth* __restrict out) {
    for (int i = 0; i < STEP; i++) out[i] = x[i] <= bound;
}

static inline void arrives(double now, const double* __restrict leg, const double* __restrict bound,
                           Truth* __restrict out) {
    for (int i = 0; i < STEP; i++) out[i] = now + leg[i] <= bound[i];
}

// Calls `some(n)` for steps from n, or `one(n)` where there are fewer nodes than in a step.
template <class Some, class One>
static inline void along(I nodes, Some some, One one) {
    if (nodes < STEP) {
        for (I n = 0; n < nodes; n++) one(n);
        return;
    }
    I n = 0;
    for (; n + STEP <= nodes; n += STEP) some(n);
    if (n < nodes) some(nodes - STEP);
}

static inline bool outside(I node, I nodes) { return uint64_t(node) >= uint64_t(nodes); }

// visited [rows, N] with one more node in each row; count [rows] of those that are.
EXPORT I visit(const Truth* visited, const I* count, const I* node, Truth* out, I* more, I rows,
               I nodes, I threads) {
    const I piece = (rows + threads - 1) / threads;
    I unknown = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : unknown)
    for (I begin = 0; begin < rows; begin += piece) {
        const I end = begin + piece < rows ? begin + piece : rows;
        memcpy(out + begin * nodes, visited + begin * nodes, (end - begin) * nodes);
        for (I i = begin; i < end; i++) {
            if (outside(node[i], nodes)) {
                unknown++;
                continue;
            }
            Truth& one = out[i * nodes + node[i]];
            more[i] = count[i] + !one;
            one = 1;
        }
    }
    return unknown;
}

// Routes from one depot: nodes not yet visited; home from a customer, or when all are served.
EXPORT I routes_open(const Truth* visited, const I* count, const I* current, Truth* out, I rows,
                     I nodes, I threads) {
    const I piece = (rows + threads - 1) / threads;
#pragma omp parallel for num_threads(threads)
    for (I begin = 0; begin < rows; begin += piece) {
        const I end = begin + piece < rows ? begin + piece : rows;
        for (I n = begin * nodes; n < end * nodes; n++) out[n] = !visited[n];
        for (I i = begin; i < end; i++) {
            const bool served = count[i] - visited[i * nodes] == nodes - 1;
            out[i * nodes] = current[i] != 0 || served;
        }
    }
    return 0;
}

// Demands [B, N] that fit beside the loads [B, R] into the capacities [B]; all are whole numbers up
// to 2^24, the demands in single precision.
EXPORT I fits_room(const I* load, const I* capacity, const float* demand, Truth* out, I batch,
                   I rollouts, I nodes, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I i = 0; i < batch * rollouts; i++) {
        const I b = i / rollouts;
        const float* one = demand + b * nodes;
        Truth* to = out + i * nodes;
        const float left = float(capacity[b] - load[i]);
        along(
            nodes, [=](I n) { at_most(one + n, left, to + n); },
            [=](I n) { to[n] = one[n] <= left; });
    }
    return 0;
}

// Loads [B, R] after moves to nodes; a depot node empties the vehicle.
EXPORT I loaded(const I* load, const I* demand, const I* node, I* out, I batch, I rollouts, I nodes,
                I depots, I threads) {
    I unknown = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : unknown)
    for (I i = 0; i < batch * rollouts; i++) {
        if (outside(node[i], nodes))
            unknown++;
        else
            out[i] = node[i] < depots ? 0 : load[i] + demand[i / rollouts * nodes + node[i]];
    }
    return unknown;
}

// Nodes reached by their last moment [B, V, N] of the route's depot node `first`, travelling
// [B, N, N] from the current node; depot nodes, too.
EXPORT I in_time(const double* time, const I* current, const I* first, const double* travel,
                 const double* last, Truth* out, I batch, I rollouts, I nodes, I depots, I threads) {
    I unknown = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : unknown)
    for (I i = 0; i < batch * rollouts; i++) {
        const I b = i / rollouts, home = first[i] < 0 ? 0 : first[i];
        if (outside(current[i], nodes) || outside(home, depots)) {
            unknown++;
            continue;
        }
        const double* leg = travel + (b * nodes + current[i]) * nodes;
        const double* bound = last + (b * depots + home) * nodes;
        Truth* to = out + i * nodes;
        const double now = time[i];
        along(
            nodes, [=](I n) { arrives(now, leg + n, bound + n, to + n); },
            [=](I n) { to[n] = now + leg[n] <= bound[n]; });
        for (I n = 0; n < depots; n++) to[n] = 1;
    }
    return unknown;
}

// When vehicles are ready to leave the nodes they go to: after waiting for `open` and the service
// there (null: none); from a depot node when it opens.
EXPORT I ready(const double* time, const I* current, const I* node, const double* travel,
               const double* open, const double* service, double* out, I batch, I rollouts, I nodes,
               I depots, I threads) {
    I unknown = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : unknown)
    for (I i = 0; i < batch * rollouts; i++) {
        if (outside(node[i], nodes) || outside(current[i], nodes)) {
            unknown++;
            continue;
        }
        const I b = i / rollouts, to = b * nodes + node[i];
        const double arrival = time[i] + travel[(b * nodes + current[i]) * nodes + node[i]];
        const double begin = arrival > open[to] ? arrival : open[to];
        out[i] = node[i] < depots ? open[to] : service ? begin + service[to] : begin;
    }
    return unknown;
}
