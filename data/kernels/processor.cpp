// What the processor has, and what these kernels were built from.

#include "export.h"

#if defined(__x86_64__)
#include <cpuid.h>

// States of registers that the system saves (XCR0).
static uint64_t saved() {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t(high) << 32 | low;
}
#endif

// Bits of what the portable build need not have, but this processor and its system do:
// 1 AVX2 with FMA, 2 AVX-512 (F, BW, CD, DQ, VL), 4 AMX for bfloat16, 8 NEON.
EXPORT I processor() {
#if defined(__x86_64__)
    unsigned a, b, c, d, most = __get_cpuid_max(0, nullptr);
    if (most < 7) return 0;
    __cpuid(1, a, b, c, d);
    const unsigned needed = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;
    if ((c & needed) != needed) return 0;  // FMA, MOVBE, OSXSAVE, AVX, F16C
    const uint64_t states = saved();
    unsigned a7, b7, c7, d7;
    __cpuid_count(7, 0, a7, b7, c7, d7);
    __cpuid(0x80000001, a, b, c, d);
    const bool counts_zeros = c & 1u << 5;                     // LZCNT
    const unsigned avx2 = 1u << 3 | 1u << 5 | 1u << 8;         // BMI, AVX2, BMI2
    if ((states & 0x6) != 0x6 || (b7 & avx2) != avx2 || !counts_zeros) return 0;
    I found = 1;
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    if ((states & 0xe6) != 0xe6 || (b7 & avx512) != avx512) return found;
    found |= 2;
    const unsigned amx = 1u << 22 | 1u << 24;  // AMX-BF16, AMX-TILE
    if ((states & 0x60000) == 0x60000 && (d7 & amx) == amx) found |= 4;
    return found;
#elif defined(__aarch64__)
    return 8;
#else
    return 0;
#endif
}

#ifndef NCO_SOURCES
#define NCO_SOURCES ""
#endif

// A digest of the sources and options, by which a build that is older than them is told.
EXPORT const char* sources() { return "nco kernels built from " NCO_SOURCES; }
