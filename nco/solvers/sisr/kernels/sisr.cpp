// Slack induction by string removals (Christiaens and Vanden Berghe 2020) on neighbour lists.
//
// A solution is a doubly linked list; every route has a start node of its own. What a rule knows of
// a stretch of a route is a segment; two segments and the arc between them make one in O(1), so that
// an insertion is judged by prefix, customer and suffix. Only routes near the removed customers are
// looked at: an iteration costs the same at a hundred customers and at a hundred thousand.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "export.h"

typedef int32_t Node;

static const double UNSERVED = 1e12;  // cost of a customer that has to be served
static const double NEVER = 1e15;  // later than any time, farther than any limit; exact in double

// Instances as `nco.solvers.sisr.native` lays them out; null where nothing is stated.
struct SisrProblem {
    int64_t nodes, depots;
    const double* xy;        // [nodes][2]
    const double* distance;  // [nodes][nodes], instead of xy
    const double* duration;  // [nodes][nodes]; else time is distance over speed
    int64_t rounding;        // of distances from xy: 0 none, 1 nearest, 2 up, 3 down
    double scale;            // factor before rounding
    const double* delivery;  // [nodes]
    const double* pickup;    // [nodes]
    const double* open;      // [nodes] time windows
    const double* close;
    const double* service;   // [nodes]
    const double* visit;     // [depots][nodes] cost of a visit by each kind of vehicle
    const double* penalty;   // [nodes] of leaving a customer out; NEVER where it has to be served
    const double* capacity;  // [depots]
    const double* fixed_cost;
    const double* unit_cost;
    const double* length_limit;
    const double* duration_limit;
    const double* speed;
    const int64_t* count;        // [depots] vehicles
    const uint8_t* open_route;   // [depots]
    const uint8_t* allowed;      // [depots][nodes]
    int64_t linehaul_first, one_commodity;
    int64_t exact;  // whether sums of distances and times are whole numbers, in any order
};

struct SisrSettings {
    double seconds;
    uint64_t seed;
    int64_t iterations;  // bound; negative for none
    double mean_removed, longest_string;
    int64_t neighbours;
    double blink;
    double hot, cold;        // temperatures in mean arc lengths
    double progress, finish;  // of the cooling, at the beginning and at the end of this call
    const int32_t* stop;      // becomes 1 when the search is to end
    double* trace;            // [room][2], seconds and cost of improvements
    int64_t room;
};

namespace {

struct Random {
    uint64_t s[2];
    explicit Random(uint64_t seed) {
        for (auto& x : s) {
            seed += 0x9e3779b97f4a7c15ull;
            uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
            z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
            x = z ^ (z >> 31);
        }
    }
    uint64_t next() {
        uint64_t a = s[0], b = s[1], out = a + b;
        b ^= a;
        s[0] = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
        s[1] = (b << 37) | (b >> 27);
        return out;
    }
    uint32_t below(uint32_t n) { return uint32_t((uint64_t(uint32_t(next() >> 32)) * n) >> 32); }
    double unit() { return double(next() >> 11) * 0x1.0p-53; }
};

enum Feature { TIMED = 1, TWO_WAY = 2, MEASURED = 4 };

// What is known of a stretch of a route.
template <int F>
struct Segment {
    double load, taken, most;      // deliveries; pickups; largest load on board
    double lowest, highest;        // one commodity: extremes of what was picked up in all
    bool linehaul, backhaul, ordered;
    double busy, late, first, last;  // duration, time warp, earliest and latest begin
    double length;
};

template <int F>
class Engine {
   public:
    Engine(const SisrProblem& p, const SisrSettings& s) : p(p), s(s), rng(s.seed) {
        n = Node(p.nodes);
        d = Node(p.depots);
        next.assign(n, -1);
        prev.assign(n, -1);
        route.assign(n, -1);
        place.resize(n);
        at.resize(n);
        leg.resize(n);
        for (Node i = 0; i < n; i++) set_place(i, i);
        forward.resize(n);
        backward.resize(n);
        own.resize(n);
        for (Node i = 0; i < n; i++) own[i] = single(i);
        free_vehicles.assign(p.count, p.count + d);
        build_neighbours();
        for (Node i = d; i < n; i++) absent.push_back(i);
        where_absent.assign(n, -1);
        for (size_t k = 0; k < absent.size(); k++) where_absent[absent[k]] = Node(k);
        cost = 0;
        for (Node i : absent) leave_out(i, 1);
    }

    // Routes as depot, customers, depot, customers, ...: see `write`.
    void start(const int32_t* tour, int64_t size) {
        int r = -1;
        for (int64_t k = 0; k < size; k++) {
            Node v = tour[k];
            if (v < d) {
                r = -1;
                if (k + 1 < size && tour[k + 1] >= d) r = open_route(v);
            } else {
                Node a = prev[head(r)];
                link(v, a, head(r), distance(a, v), arc(r, v, head(r)));
            }
        }
        for (int k = 0; k < int(routes.size()); k++) refresh(k);
        recount();
        cost = whole_cost();
    }

    double run(int32_t* out, int64_t* out_size, int64_t* iterations_done, int64_t* traced) {
        auto began = std::chrono::steady_clock::now();
        auto elapsed = [&] {
            return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        };
        // A first solution: customers in any order, each where it is cheapest.
        if (!absent.empty()) {
            touched.clear();
            removed.assign(absent.begin(), absent.end());
            sort_removed();
            recreate(true);
            if (d > 1) change_vehicles();
            for (auto& t : touched)
                if (routes[t.route].used && !p.exact && (F & (TIMED | MEASURED)) && !drives(t.route)) empty(t.route);
            forget();
            cost = whole_cost();
        }
        best_cost = cost;
        best_missing = missing;
        keep_all();
        *traced = 0;
        double told = NEVER;
        double unit = mean_arc();
        double hot = s.hot * unit, cold = s.cold * unit;
        double temperature = hot;
        int64_t k = 0;
        for (; n > d; k++) {
            if (k % 64 == 0) {
                double used = elapsed();
                if (!best_missing && best_cost < told && *traced < s.room) {
                    s.trace[2 * *traced] = used;
                    s.trace[2 * (*traced)++ + 1] = told = best_cost;
                }
                if (used >= s.seconds || *s.stop || (s.iterations >= 0 && k >= s.iterations)) break;
                double share = s.iterations >= 0 ? double(k) / double(s.iterations) : used / s.seconds;
                share = s.progress + (s.finish - s.progress) * share;
                temperature = hot * std::pow(cold / hot, share);
            }
            double before = cost;
            int missing_before = missing;
            ruin();
            recreate();
            if (d > 1) change_vehicles();
            bool better = missing < missing_before;
            bool worse = missing > missing_before;
            double allowed = before - temperature * std::log(rng.unit() + 1e-300);
            if ((better || (!worse && cost < allowed)) && driven()) {
                mark_changed();
                if (missing < best_missing || (missing == best_missing && cost < best_cost - 1e-9)) {
                    best_cost = cost;
                    best_missing = missing;
                    keep();
                }
                forget();
            } else {
                undo();
                cost = before;
                missing = missing_before;
            }
        }
        *iterations_done = k;
        return write(out, out_size);
    }

   private:
    struct Route {
        Node start;      // its node in the linked list
        Node depot;      // kind of vehicle
        bool used = false;
        int size = 0;
        double load = 0, taken = 0, length = 0, cost = 0;
    };

    const SisrProblem& p;
    const SisrSettings& s;
    Random rng;
    Node n, d;
    struct Point { double x, y; };
    std::vector<Point> at;     // of every node of the list
    std::vector<double> leg;   // from a node to the next one
    std::vector<Node> next, prev, place;
    std::vector<int> route;
    std::vector<Segment<F>> forward, backward, own;
    std::vector<Route> routes;
    std::vector<int> unused;
    std::vector<int64_t> free_vehicles;
    std::vector<Node> near;           // the nearest customers of each
    std::vector<double> near_length;  // from there
    std::vector<Node> absent, where_absent;
    int width = 0;
    int64_t in_use = 0;
    double cost = 0, best_cost = 0;
    int missing = 0, best_missing = 0;

    std::vector<Node> removed;
    // Routes as they were before the iteration, one after another.
    struct Saved { int route; int begin, end; Node depot; bool used; double leg; };
    std::vector<Saved> touched;
    struct Visit { Node node; double leg; };
    std::vector<Visit> saved_nodes;
    std::vector<uint8_t> is_touched;
    std::vector<int> ruined_mark;
    int ruin_round = 0;
    std::vector<int> changed;  // since the best solution
    std::vector<uint8_t> is_changed;
    std::vector<std::vector<Node>> best_routes;
    std::vector<Node> best_depot;
    std::vector<double> key;

    void set_place(Node i, Node v) {
        place[i] = v;
        if (p.xy) at[i] = {p.xy[2 * v], p.xy[2 * v + 1]};
    }
    // Of leaving a customer out. Those who have to be served are counted apart: beside so large an
    // amount the cents of a cost would be lost.
    double penalty(Node i) const { return p.penalty ? p.penalty[i] : UNSERVED; }
    void leave_out(Node i, int times) {
        if (p.penalty && p.penalty[i] < UNSERVED) cost += times * p.penalty[i];
        else missing += times;
    }
    Node head(int r) const { return routes[r].start; }

    double distance(Node a, Node b) const {
        if (p.distance) return p.distance[int64_t(place[a]) * n + place[b]];
        double x = at[a].x - at[b].x, y = at[a].y - at[b].y;
        double l = std::sqrt(x * x + y * y) * p.scale;
        switch (p.rounding) {
            case 1: return std::floor(l + 0.5);
            case 2: return std::ceil(l);
            case 3: return std::floor(l);
        }
        return l;
    }
    // The arc that route r drives between two of its nodes; b may be its end.
    double arc(int r, Node a, Node b) const {
        if (b == head(r) && p.open_route && p.open_route[routes[r].depot]) return 0;
        return distance(a, b);
    }
    double travel(int r, Node a, Node b, double length) const {
        Node v = routes[r].depot;
        if (b == head(r) && p.open_route && p.open_route[v]) return 0;
        if (p.duration) return p.duration[int64_t(place[a]) * n + place[b]];
        return p.speed ? length / p.speed[v] : length;
    }
    double unit_cost(int r) const { return p.unit_cost ? p.unit_cost[routes[r].depot] : 1; }
    double visit_cost(Node v, Node c) const { return p.visit ? p.visit[int64_t(v) * n + c] : 0; }
    double fixed_cost(Node v) const { return p.fixed_cost ? p.fixed_cost[v] : 0; }

    Segment<F> single(Node i) const {
        Node v = place[i];
        Segment<F> x{};
        bool customer = v >= d;
        x.load = customer && p.delivery ? p.delivery[v] : 0;
        if (F & TWO_WAY) {
            x.taken = customer && p.pickup ? p.pickup[v] : 0;
            if (p.one_commodity) {
                double net = x.taken - x.load;
                x.load = net;
                x.lowest = std::min(0.0, net);
                x.highest = std::max(0.0, net);
            } else {
                x.most = std::max(x.load, x.taken);
            }
            x.linehaul = x.load > 0;
            x.backhaul = x.taken > 0;
            x.ordered = true;
        }
        if (F & TIMED) {
            x.busy = customer && p.service ? p.service[v] : 0;
            x.first = p.open ? p.open[v] : 0;
            x.last = p.close ? p.close[v] : NEVER;
        }
        return x;
    }
    void join(Segment<F>& a, const Segment<F>& b, double length, double time) const {
        if (F & TWO_WAY) {
            if (p.one_commodity) {
                a.highest = std::max(a.highest, a.load + b.highest);
                a.lowest = std::min(a.lowest, a.load + b.lowest);
            } else {
                a.most = std::max(a.most + b.load, a.taken + b.most);
            }
            a.ordered = a.ordered && b.ordered && !(p.linehaul_first && a.backhaul && b.linehaul);
            a.linehaul |= b.linehaul;
            a.backhaul |= b.backhaul;
            a.taken += b.taken;
        }
        a.load += b.load;
        if (F & MEASURED) a.length += b.length + length;
        if (F & TIMED) {
            double delta = a.busy - a.late + time;
            double wait = std::max(b.first - delta - a.last, 0.0);
            double warp = std::max(a.first + delta - b.last, 0.0);
            a.first = std::max(b.first - delta, a.first) - wait;
            a.last = std::min(b.last - delta, a.last) + warp;
            a.busy += b.busy + time + wait;
            a.late += b.late + warp;
        }
    }
    // Segments are added in another order than routes are driven: what unrounded sums may be off by
    // is decided by `drives`.
    static constexpr double SUMS = 1e-9;
    bool beyond(double sum, double bound) const {
        return sum > bound + (p.exact ? 0 : SUMS * std::max(1.0, std::abs(bound)));
    }
    bool fits(const Segment<F>& x, Node v) const {
        if (F & TWO_WAY) {
            double load = p.one_commodity ? x.highest - x.lowest : x.most;
            if ((p.capacity && load > p.capacity[v]) || !x.ordered) return false;
        } else if (p.capacity && x.load > p.capacity[v]) {
            return false;
        }
        if ((F & MEASURED) && p.length_limit && beyond(x.length, p.length_limit[v])) return false;
        if (F & TIMED) {
            if (x.late > (p.exact ? 0 : SUMS * std::max(1.0, std::abs(x.first)))) return false;
            if (p.duration_limit && beyond(x.busy, p.duration_limit[v])) return false;
        }
        return true;
    }

    // Where a customer fits between two nodes of a route.
    bool fits_between(int r, Node c, Node a, Node b, double to, double from) const {
        const Route& x = routes[r];
        if (p.allowed && !p.allowed[int64_t(x.depot) * n + c]) return false;
        if (F == 0) return !p.capacity || x.load + own[c].load <= p.capacity[x.depot];
        // Loads first: the cheapest test.
        if (!(F & TWO_WAY) && p.capacity && x.load + own[c].load > p.capacity[x.depot]) return false;
        Segment<F> y = forward[a];
        join(y, own[c], to, (F & TIMED) ? travel(r, a, c, to) : 0);
        join(y, backward[b], from, (F & TIMED) ? travel(r, c, b, from) : 0);
        return fits(y, x.depot);
    }

    // Whether the changed routes keep their bounds to the last bit, driven as the checker does.
    bool driven() const {
        if (p.exact || !(F & (TIMED | MEASURED))) return true;
        for (auto& t : touched)
            if (routes[t.route].used && !drives(t.route)) return false;
        return true;
    }
    bool drives(int r) const {
        Node h = head(r), v = routes[r].depot;
        bool stays = p.open_route && p.open_route[v];
        double length = 0;
        double ready = p.open ? p.open[v] : 0, leave = ready, busy = 0, latest = INFINITY;
        for (Node a = h, b = next[h];; a = b, b = next[b]) {
            if (b == h && stays) break;
            length += leg[a];
            double time = travel(r, a, b, leg[a]), last = own[b].last;
            double arrival = ready + time;
            if ((F & TIMED) && arrival > last) return false;
            busy += time;
            latest = std::min(latest, last - busy);
            if (b == h) {
                ready = arrival;
                break;
            }
            ready = std::max(arrival, own[b].first) + own[b].busy;
            busy += own[b].busy;
        }
        if (p.length_limit && length > p.length_limit[v]) return false;
        double duration = std::max(ready - std::max(latest, leave), busy);
        return !p.duration_limit || duration <= p.duration_limit[v];
    }

    // Prefixes, suffixes and sums of a route, after a change.
    void refresh(int r) {
        Route& x = routes[r];
        if (!x.used) return;
        Node h = x.start;
        if (F == 0) return;
        Segment<F> y = own[h];
        forward[h] = y;
        for (Node a = h, b = next[h]; b != h; a = b, b = next[b]) {
            double l = distance(a, b);
            join(y, own[b], l, (F & TIMED) ? travel(r, a, b, l) : 0);
            forward[b] = y;
        }
        y = own[h];
        if ((F & TIMED) && p.open_route && p.open_route[x.depot]) { y.first = 0; y.last = NEVER; }
        backward[h] = y;
        for (Node b = h, a = prev[h]; a != h; b = a, a = prev[a]) {
            double l = arc(r, a, b);
            Segment<F> z = own[a];
            join(z, y, l, (F & TIMED) ? travel(r, a, b, l) : 0);
            y = z;
            backward[a] = y;
        }
    }
    double route_cost(int r) const {
        const Route& x = routes[r];
        double l = 0, visits = 0;
        for (Node a = x.start, b = next[a];; a = b, b = next[b]) {
            l += arc(r, a, b);
            if (b == x.start) break;
            visits += visit_cost(x.depot, b);
        }
        return fixed_cost(x.depot) + l * unit_cost(r) + visits;
    }
    double whole_cost() const {
        double sum = 0;
        for (Node c : absent)
            if (penalty(c) < UNSERVED) sum += penalty(c);
        for (int r = 0; r < int(routes.size()); r++)
            if (routes[r].used) sum += route_cost(r);
        return sum;
    }
    void recount() {
        for (auto& x : routes) {
            if (!x.used) continue;
            x.size = 0;
            x.load = 0;
            for (Node a = next[x.start]; a != x.start; a = next[a]) {
                x.size++;
                x.load += own[a].load;
            }
        }
    }

    void link(Node c, Node a, Node b, double to, double from) {
        leg[a] = to;
        leg[c] = from;
        next[a] = c;
        prev[c] = a;
        next[c] = b;
        prev[b] = c;
        int r = route[a] >= 0 ? route[a] : route[b];
        route[c] = r;
        routes[r].size++;
        routes[r].load += own[c].load;
        Node k = where_absent[c];
        if (k >= 0) {
            absent[k] = absent.back();
            where_absent[absent[k]] = k;
            absent.pop_back();
            where_absent[c] = -1;
            leave_out(c, -1);
        }
    }
    void unlink(Node c) {
        Node a = prev[c], b = next[c];
        next[a] = b;
        prev[b] = a;
        routes[route[c]].size--;
        routes[route[c]].load -= own[c].load;
        route[c] = -1;
        where_absent[c] = Node(absent.size());
        absent.push_back(c);
        leave_out(c, 1);
    }
    int open_route(Node v) {
        int r;
        if (unused.empty()) {
            r = int(routes.size());
            routes.push_back({});
            Node h = Node(next.size());
            next.push_back(h);
            prev.push_back(h);
            place.push_back(v);
            at.push_back({});
            leg.push_back(0);
            route.push_back(r);
            forward.push_back({});
            backward.push_back({});
            own.push_back({});
            routes[r].start = h;
            is_touched.push_back(0);
            is_changed.push_back(0);
            ruined_mark.push_back(0);
            best_routes.push_back({});
            best_depot.push_back(-1);
        } else {
            r = unused.back();
            unused.pop_back();
        }
        begin_route(r, v);
        return r;
    }
    void begin_route(int r, Node v) {
        Route& x = routes[r];
        Node h = x.start;
        next[h] = prev[h] = h;
        x.depot = v;
        set_place(h, v);
        own[h] = single(h);
        leg[h] = 0;
        x.used = true;
        x.size = 0;
        x.load = 0;
        free_vehicles[v]--;
        in_use++;
    }
    void close_route(int r) {
        routes[r].used = false;
        free_vehicles[routes[r].depot]++;
        unused.push_back(r);
        in_use--;
    }

    // Keeps a route as it is, once an iteration.
    void touch(int r) {
        if (is_touched[r]) return;
        is_touched[r] = 1;
        int begin = int(saved_nodes.size());
        if (routes[r].used)
            for (Node a = next[head(r)]; a != head(r); a = next[a]) saved_nodes.push_back({a, leg[a]});
        touched.push_back({r, begin, int(saved_nodes.size()), routes[r].depot, routes[r].used, leg[head(r)]});
    }
    void forget() {
        for (auto& t : touched) is_touched[t.route] = 0;
        touched.clear();
        saved_nodes.clear();
    }
    void undo() {
        for (auto& t : touched) {
            if (!routes[t.route].used) continue;
            empty(t.route);
        }
        for (auto& t : touched) {
            if (!t.used) continue;
            reopen(t.route, t.depot);
            Node h = head(t.route);
            leg[h] = t.leg;
            for (int k = t.begin; k < t.end; k++)
                link(saved_nodes[k].node, prev[h], h, leg[prev[h]], saved_nodes[k].leg);
            refresh(t.route);
        }
        forget();
    }
    void empty(int r) {
        for (Node a = next[head(r)]; a != head(r);) {
            Node b = next[a];
            unlink(a);
            a = b;
        }
        close_route(r);
    }
    void reopen(int r, Node v) {
        unused.erase(std::find(unused.begin(), unused.end(), r));
        begin_route(r, v);
    }

    void mark_changed() {
        for (auto& t : touched)
            if (!is_changed[t.route]) {
                is_changed[t.route] = 1;
                changed.push_back(t.route);
            }
    }
    void keep_one(int r) {
        auto& to = best_routes[r];
        to.clear();
        best_depot[r] = routes[r].depot;
        if (routes[r].used)
            for (Node a = next[head(r)]; a != head(r); a = next[a]) to.push_back(a);
    }
    void keep() {
        for (int r : changed) {
            keep_one(r);
            is_changed[r] = 0;
        }
        changed.clear();
    }
    void keep_all() {
        for (int r = 0; r < int(routes.size()); r++) keep_one(r);
    }

    // Strings of customers of routes near a random one (section 5.2), removed.
    void ruin() {
        removed.clear();
        int customers = n - d;
        double served = std::max<int64_t>(1, customers - int64_t(absent.size()));
        double mean = served / std::max<int64_t>(1, in_use);
        double longest = std::min(s.longest_string, mean);
        double most = 4 * s.mean_removed / (1 + longest) - 1;
        int strings = int(rng.unit() * most + 1);
        Node seed = d + Node(rng.below(uint32_t(customers)));
        ruin_round++;
        int done = 0;
        ruin_at(seed, longest, done);
        const Node* list = &near[int64_t(seed - d) * width];
        for (int k = 0; k < width && done < strings; k++) ruin_at(list[k], longest, done);
        // Customers that were left out come back with those near them.
        if (where_absent[seed] >= 0) push(seed);
        for (int k = 0; k < width && !absent.empty(); k++)
            if (where_absent[list[k]] >= 0 && rng.unit() < 0.5) push(list[k]);
        for (int k = 0; k < 5 && !p.penalty && !absent.empty(); k++)
            push(absent[rng.below(uint32_t(absent.size()))]);
        sort_removed();
    }
    void push(Node c) {
        if (std::find(removed.begin(), removed.end(), c) == removed.end()) removed.push_back(c);
    }
    void ruin_at(Node c, double longest, int& done) {
        int r = route[c];
        if (r < 0 || ruined_mark[r] == ruin_round) return;
        ruined_mark[r] = ruin_round;
        touch(r);
        int size = routes[r].size;
        int length = int(rng.unit() * std::min(double(size), longest) + 1);
        int kept = 0;  // in the middle of the string: split string
        if (length > 1 && length < size && rng.unit() < 0.5) {
            kept = 1;
            while (length + kept < size && rng.unit() > 0.01) kept++;
        }
        int whole = length + kept;
        // The string begins so that it has the customer in it.
        int before = int(rng.below(uint32_t(whole)));
        Node a = c;
        int back = 0;
        while (back < before && prev[a] != head(r)) {
            a = prev[a];
            back++;
        }
        // Not over the end either.
        int ahead = 0;
        for (Node b = c; ahead < whole - back - 1 && next[b] != head(r); ahead++) b = next[b];
        for (int missing = whole - 1 - back - ahead; missing > 0 && prev[a] != head(r); missing--) a = prev[a];
        int skip_from = kept ? int(rng.below(uint32_t(length - 1))) + 1 : whole;
        double old = 0, now = 0;
        Node first = prev[a], b = a;
        old = leg[first];
        for (int k = 0; k < whole && b != head(r); k++) {
            bool stays = k >= skip_from && k < skip_from + kept;
            old += leg[b];
            if (!stays) {
                removed.push_back(b);
                cost -= visit_cost(routes[r].depot, b);
            }
            b = next[b];
        }
        for (size_t k = removed.size(); k-- > 0 && route[removed[k]] == r;) unlink(removed[k]);
        for (Node x = first, y = next[first];; x = y, y = next[y]) {
            now += leg[x] = arc(r, x, y);
            if (y == b) break;
        }
        cost += (now - old) * unit_cost(r);
        if (routes[r].size == 0) {
            cost -= fixed_cost(routes[r].depot);
            close_route(r);
        } else {
            refresh(r);
        }
        done++;
    }

    void sort_removed() {
        for (size_t k = removed.size(); k > 1; k--) std::swap(removed[k - 1], removed[rng.below(uint32_t(k))]);
        int orders = (F & TIMED) ? 17 : 11;
        int which = int(rng.below(uint32_t(orders)));
        if (which < 4) return;
        key.resize(n);
        for (Node c : removed) {
            double x;
            if (which < 8) x = -(own[c].load + own[c].taken);
            else if (which < 10) x = -distance(c, 0);
            else if (which < 11) x = distance(c, 0);
            else if (which < 13) x = own[c].last - own[c].first;
            else if (which < 15) x = own[c].first;
            else x = -own[c].last;
            key[c] = x;
        }
        std::stable_sort(removed.begin(), removed.end(), [&](Node a, Node b) { return key[a] < key[b]; });
    }

    // Greedy insertion with blinks (section 5.3).
    // At first even those whose penalty is less than a route of their own: routes then share it.
    void recreate(bool all_customers = false) {
        for (Node c : removed) {
            double best = all_customers ? NEVER : penalty(c);
            int best_route = -1;
            Node best_before = -1;
            Node new_depot = -1;
            const Node* list = &near[int64_t(c - d) * width];
            double best_to = 0, best_from = 0;
            auto look = [&](int r, Node a, Node b, double to, double from) {
                double more = (to + from - leg[a]) * unit_cost(r) + visit_cost(routes[r].depot, c);
                if (more >= best || rng.unit() < s.blink) return;
                if (!fits_between(r, c, a, b, to, from)) return;
                best = more;
                best_route = r;
                best_before = a;
                best_to = to;
                best_from = from;
            };
            const double* lengths = &near_length[int64_t(c - d) * width];
            for (int k = 0; k < width; k++) {
                Node v = list[k];
                int r = route[v];
                if (r < 0) continue;
                if (!(F & TWO_WAY) && p.capacity && routes[r].load + own[c].load > p.capacity[routes[r].depot]) continue;
                Node a = prev[v], b = next[v];
                double there = lengths[k], back = p.distance ? distance(c, v) : there;
                // By the triangle inequality a detour is at least 2 (there - leg): most need no root.
                bool roundabout = p.distance || p.visit;  // where that does not hold
                double bound = best / (2 * unit_cost(r));
                if (there - leg[v] < bound || roundabout) look(r, v, b, there, arc(r, c, b));
                if (there - leg[a] < bound || roundabout) look(r, a, v, distance(a, c), back);
            }
            for (Node v = 0; v < d; v++) {
                if (free_vehicles[v] <= 0) continue;
                if (p.allowed && !p.allowed[int64_t(v) * n + c]) continue;
                double more = alone(v, c);
                if (more < best) {
                    best = more;
                    best_route = -2;
                    new_depot = v;
                    best_to = distance(v, c);
                    best_from = p.open_route && p.open_route[v] ? 0 : distance(c, v);
                }
            }
            if (best_route == -1 && !p.penalty && rng.below(8) == 0) {
                // Nowhere near: anywhere.
                for (int r = 0; r < int(routes.size()); r++) {
                    if (!routes[r].used) continue;
                    for (Node a = head(r);;) {
                        look(r, a, next[a], distance(a, c), arc(r, c, next[a]));
                        a = next[a];
                        if (a == head(r)) break;
                    }
                }
            }
            if (best_route == -1) continue;
            if (best_route == -2) {
                int r = open_route(new_depot);
                if (!is_touched[r]) {
                    is_touched[r] = 1;
                    touched.push_back({r, int(saved_nodes.size()), int(saved_nodes.size()), new_depot, false, 0});
                }
                best_route = r;
                best_before = head(r);
            } else {
                touch(best_route);
            }
            link(c, best_before, next[best_before], best_to, best_from);
            cost += best;
            refresh(best_route);
        }
    }

    // Routes of this iteration, driven by the kind of vehicle that is cheapest for them.
    void change_vehicles() {
        for (size_t k = 0; k < touched.size(); k++) {
            int r = touched[k].route;
            Route& x = routes[r];
            if (!x.used || x.size == 0) continue;
            Node h = x.start, old = x.depot;
            double between = 0, now = price(r, old, between);
            double best = now;
            Node to = old;
            for (Node v = 0; v < d; v++) {
                if (v == old || free_vehicles[v] <= 0) continue;
                double then = price(r, v, between);
                if (then < best && route_fits(r, v)) {
                    best = then;
                    to = v;
                }
            }
            if (to == old) continue;
            free_vehicles[old]++;
            free_vehicles[to]--;
            x.depot = to;
            set_place(h, to);
            own[h] = single(h);
            leg[h] = distance(h, next[h]);
            leg[prev[h]] = arc(r, prev[h], h);
            refresh(r);
            cost += best - now;
        }
    }
    // What a route costs with another kind of vehicle; the arcs between its customers only once.
    double price(int r, Node v, double& between) const {
        Node h = head(r), first = next[h], last = prev[h];
        if (v == routes[r].depot)
            for (Node a = first; a != last; a = next[a]) between += leg[a];
        double visits = 0;
        for (Node a = first; p.visit && a != h; a = next[a]) visits += visit_cost(v, a);
        double ends = distance(v, first) + (p.open_route && p.open_route[v] ? 0 : distance(last, v));
        return fixed_cost(v) + (ends + between) * (p.unit_cost ? p.unit_cost[v] : 1) + visits;
    }
    bool route_fits(int r, Node v) const {
        Node h = head(r);
        bool stays = p.open_route && p.open_route[v];
        Segment<F> y = own[v];
        Node a = v;
        for (Node b = next[h]; b != h; a = b, b = next[b]) {
            if (p.allowed && !p.allowed[int64_t(v) * n + b]) return false;
            double l = a == v ? distance(v, b) : leg[a];
            join(y, own[b], l, time_of(v, a, b, l));
        }
        double l = stays ? 0 : distance(a, v);
        Segment<F> end = own[v];
        if (stays) { end.first = 0; end.last = NEVER; }
        join(y, end, l, stays ? 0 : time_of(v, a, v, l));
        return fits(y, v);
    }
    double time_of(Node v, Node a, Node b, double length) const {
        if (!(F & TIMED)) return 0;
        if (p.duration) return p.duration[int64_t(place[a]) * n + place[b]];
        return p.speed ? length / p.speed[v] : length;
    }

    double alone(Node v, Node c) const {
        bool stays = p.open_route && p.open_route[v];
        double to = distance(v, c), from = stays ? 0 : distance(c, v);
        Segment<F> y = own[v], end = own[v];
        if (stays) { end.first = 0; end.last = NEVER; }
        join(y, own[c], to, time_of(v, v, c, to));
        join(y, end, from, stays ? 0 : time_of(v, c, v, from));
        if (!fits(y, v)) return 2 * NEVER;
        return fixed_cost(v) + (to + from) * (p.unit_cost ? p.unit_cost[v] : 1) + visit_cost(v, c);
    }

    void build_neighbours() {
        int customers = n - d;
        width = int(std::max<int64_t>(0, std::min<int64_t>(s.neighbours, customers - 1)));
        near.resize(int64_t(customers) * width);
        if (width == 0) return;
        if (p.xy && customers > 2000 && !(F & TIMED)) grid_neighbours(customers);
        else all_neighbours(customers);
        near_length.resize(near.size());
        for (size_t k = 0; k < near.size(); k++) near_length[k] = distance(near[k], d + Node(k / width));
    }
    // How far a customer is behind another one: distance, waiting, lateness (Vidal et al. 2013, 4.5).
    double apart(Node i, Node j) const {
        double l = distance(i, j);
        if (!(F & TIMED)) return l;
        double time = p.duration ? p.duration[int64_t(i) * n + j] : p.speed ? l / p.speed[0] : l;
        double wait = own[j].first - time - own[i].busy - own[i].last;
        double late = own[i].first + own[i].busy + time - own[j].last;
        return l + 0.2 * std::max(wait, 0.0) + std::max(late, 0.0);
    }
    void all_neighbours(int customers) {
        std::vector<std::pair<double, Node>> all(customers);
        for (Node i = d; i < n; i++) {
            int m = 0;
            for (Node j = d; j < n; j++)
                if (j != i) all[m++] = {std::min(apart(i, j), apart(j, i)), j};
            std::partial_sort(all.begin(), all.begin() + width, all.begin() + m);
            for (int k = 0; k < width; k++) near[int64_t(i - d) * width + k] = all[k].second;
        }
    }
    void grid_neighbours(int customers) {
        double lo[2] = {1e300, 1e300}, hi[2] = {-1e300, -1e300};
        for (Node i = d; i < n; i++)
            for (int a = 0; a < 2; a++) {
                lo[a] = std::min(lo[a], p.xy[2 * i + a]);
                hi[a] = std::max(hi[a], p.xy[2 * i + a]);
            }
        int cells = std::max(1, int(std::sqrt(customers / 4.0)));
        double step[2];
        for (int a = 0; a < 2; a++) step[a] = std::max((hi[a] - lo[a]) / cells, 1e-12);
        auto cell = [&](Node i, int a) {
            return std::min(cells - 1, int((p.xy[2 * i + a] - lo[a]) / step[a]));
        };
        std::vector<std::vector<Node>> grid(int64_t(cells) * cells);
        for (Node i = d; i < n; i++) grid[int64_t(cell(i, 0)) * cells + cell(i, 1)].push_back(i);
        std::vector<std::pair<double, Node>> all;
        double least = std::min(step[0], step[1]);
        for (Node i = d; i < n; i++) {
            all.clear();
            int x = cell(i, 0), y = cell(i, 1);
            for (int ring = 0; ring <= cells; ring++) {
                if (int(all.size()) >= width) {
                    std::nth_element(all.begin(), all.begin() + width - 1, all.end());
                    double far = all[width - 1].first, safe = (ring - 1) * least;
                    if (ring > 1 && far <= safe * safe) break;
                }
                for (int u = x - ring; u <= x + ring; u++)
                    for (int v = y - ring; v <= y + ring; v++) {
                        if (std::max(std::abs(u - x), std::abs(v - y)) != ring) continue;
                        if (u < 0 || v < 0 || u >= cells || v >= cells) continue;
                        for (Node j : grid[int64_t(u) * cells + v]) {
                            if (j == i) continue;
                            double dx = p.xy[2 * i] - p.xy[2 * j], dy = p.xy[2 * i + 1] - p.xy[2 * j + 1];
                            all.push_back({dx * dx + dy * dy, j});
                        }
                    }
            }
            std::partial_sort(all.begin(), all.begin() + width, all.end());
            for (int k = 0; k < width; k++) near[int64_t(i - d) * width + k] = all[k].second;
        }
    }
    double mean_arc() const {
        // Of each customer to its nearest five: what a change of an arc costs.
        double total = 0;
        int64_t count = 0;
        for (Node i = d; i < n; i++)
            for (int k = 0; k < std::min(5, width); k++) {
                total += distance(i, near[int64_t(i - d) * width + k]);
                count++;
            }
        return count ? total / double(count) : 1;
    }
    double write(int32_t* out, int64_t* size) {
        int64_t k = 0;
        for (size_t r = 0; r < best_routes.size(); r++) {
            if (best_routes[r].empty()) continue;
            out[k++] = best_depot[r];
            for (Node c : best_routes[r]) out[k++] = c;
        }
        *size = k;
        return best_cost + best_missing * UNSERVED;
    }
};

template <int F>
double solve(const SisrProblem& p, const SisrSettings& s, const int32_t* start, int64_t start_size,
             int32_t* out, int64_t* out_size, int64_t* iterations, int64_t* traced) {
    Engine<F> engine(p, s);
    if (start_size) engine.start(start, start_size);
    return engine.run(out, out_size, iterations, traced);
}

}  // namespace

// The best solution's cost; its routes as depot, customers, depot, customers, ...
EXPORT double sisr(const SisrProblem* p, const SisrSettings* s, const int32_t* start,
                       int64_t start_size, int32_t* out, int64_t* out_size, int64_t* iterations,
                     int64_t* traced) {
    bool timed = p->open || p->close || p->duration_limit;
    bool both = p->pickup || p->one_commodity || p->linehaul_first;
    bool measured = p->length_limit;
    // Three builds are enough: loads alone, times, everything.
    auto engine = both || measured ? solve<TIMED | TWO_WAY | MEASURED> : timed ? solve<TIMED> : solve<0>;
    return engine(*p, *s, start, start_size, out, out_size, iterations, traced);
}
