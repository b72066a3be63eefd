// Masks and steps of B instances with R rollouts of N nodes each, for the CPU.
//
// Plain PyTorch is the reference: visits.py, constraints/capacity.py, constraints/time_windows.py.

#include <cstdint>
#include <cstring>

typedef int64_t I;
typedef uint8_t Truth;

extern "C" {

// visited [rows, N] with one more node in each row; count [rows] of those that are.
void visit(const Truth* visited, const I* count, const I* node, Truth* out, I* more, I rows,
           I nodes, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I i = 0; i < rows; i++) {
        Truth* row = out + i * nodes;
        memcpy(row, visited + i * nodes, nodes);
        more[i] = count[i] + !row[node[i]];
        row[node[i]] = 1;
    }
}

// Routes from one depot: nodes not yet visited; home from a customer, or when all are served.
void routes_open(const Truth* visited, const I* count, const I* current, Truth* out, I rows, I nodes,
                 I threads) {
#pragma omp parallel for num_threads(threads)
    for (I i = 0; i < rows; i++) {
        const Truth* from = visited + i * nodes;
        Truth* to = out + i * nodes;
        for (I n = 0; n < nodes; n++) to[n] = !from[n];
        const bool served = count[i] - from[0] == nodes - 1;
        to[0] = current[i] != 0 || served;
    }
}

// Demands [B, N] that fit into the room [B, R]; whole numbers all of them.
void fits_room(const float* room, const float* demand, Truth* out, I batch, I rollouts, I nodes,
               I threads) {
#pragma omp parallel for num_threads(threads)
    for (I i = 0; i < batch * rollouts; i++) {
        const float* one = demand + i / rollouts * nodes;
        Truth* to = out + i * nodes;
        const float left = room[i];
        for (I n = 0; n < nodes; n++) to[n] = one[n] <= left;
    }
}

// Nodes reached by their last moment [B, V, N] of the route's depot node `first`, travelling
// [B, N, N] from the current node; depot nodes, too.
void in_time(const double* time, const I* current, const I* first, const double* travel,
             const double* last, Truth* out, I batch, I rollouts, I nodes, I depots, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I i = 0; i < batch * rollouts; i++) {
        const I b = i / rollouts, home = first[i] < 0 ? 0 : first[i];
        const double* leg = travel + (b * nodes + current[i]) * nodes;
        const double* bound = last + (b * depots + home) * nodes;
        Truth* to = out + i * nodes;
        const double now = time[i];
        for (I n = 0; n < nodes; n++) to[n] = now + leg[n] <= bound[n];
        for (I n = 0; n < depots; n++) to[n] = 1;
    }
}

// When vehicles are ready to leave the nodes they go to: after waiting for `open` and the service
// there (null: none); from a depot node when it opens.
void ready(const double* time, const I* current, const I* node, const double* travel,
           const double* open, const double* service, double* out, I batch, I rollouts, I nodes,
           I depots, I threads) {
#pragma omp parallel for num_threads(threads)
    for (I i = 0; i < batch * rollouts; i++) {
        const I b = i / rollouts, to = b * nodes + node[i];
        const double arrival = time[i] + travel[(b * nodes + current[i]) * nodes + node[i]];
        const double begin = arrival > open[to] ? arrival : open[to];
        out[i] = node[i] < depots ? open[to] : service ? begin + service[to] : begin;
    }
}

}  // extern "C"
