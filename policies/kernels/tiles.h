// Products of small matrices in bfloat16 by the matrix unit of Intel's processors (AMX).

#pragma once

#include "vectors.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define TILES 1

// Whether the system lets this process use the tiles.
static bool tiles_allowed() {
    const long permit = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    static const bool allowed = syscall(SYS_arch_prctl, permit, tile_data) == 0;
    return allowed;
}

// Tiles of 8 rows (sums, left side) and of 16 pairs of rows (right side), while it lives.
struct Tiles {
    Tiles() {
        alignas(64) uint8_t config[64] = {1};
        for (int t = 0; t < 8; t++) {
            config[16 + 2 * t] = 64;           // bytes of a row
            config[48 + t] = t < 5 ? 8 : 16;   // rows
        }
        _tile_loadconfig(config);
    }
    ~Tiles() { _tile_release(); }
};

// out[8][n] = a[8][k] b[k][n], with b in pairs of rows: [k / 2][n][2]. k and n in steps of 32.
static void tile_product(const Half* a, I k, const Half* b, I n, float* out) {
    for (I at = 0; at < n; at += 32) {
        _tile_zero(0);
        _tile_zero(1);
        for (I i = 0; i < k; i += 32) {
            _tile_loadd(4, a + i, k * sizeof(Half));
            _tile_loadd(5, b + i * n + 2 * at, 2 * n * sizeof(Half));
            _tile_loadd(6, b + i * n + 2 * (at + 16), 2 * n * sizeof(Half));
            _tile_dpbf16ps(0, 4, 5);
            _tile_dpbf16ps(1, 4, 6);
        }
        _tile_stored(0, out + at, n * sizeof(float));
        _tile_stored(1, out + at + 16, n * sizeof(float));
    }
}

#else
#define TILES 0
static bool tiles_allowed() { return false; }
struct Tiles {
    ~Tiles() {}
};
static void tile_product(const Half*, I, const Half*, I, float*) {}
#endif
