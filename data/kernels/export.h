// What Python calls.

#pragma once

#include <cstdint>

typedef int64_t I;

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif
