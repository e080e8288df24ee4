/* Which of our instruction sets this processor and its operating system support, best last. */
#ifndef PYACTX_CPU_H
#define PYACTX_CPU_H

#if defined(__x86_64__) || defined(_M_X64)
#define PYACTX_X86_64 1
#endif

#if defined(PYACTX_X86_64) && defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#elif defined(PYACTX_X86_64)
#include <cpuid.h>
#endif

enum { CPU_BASELINE = 0, CPU_AVX2 = 1, CPU_AVX512 = 2 };

#if defined(PYACTX_X86_64)
static void cpu_id(unsigned leaf, unsigned registers[4])
{
#if defined(_MSC_VER)
    __cpuidex((int *)registers, (int)leaf, 0);
#else
    __cpuid_count(leaf, 0, registers[0], registers[1], registers[2], registers[3]);
#endif
}

/* The register states that the operating system saves at a context switch. */
static unsigned long long cpu_saved_states(void)
{
#if defined(_MSC_VER)
    return _xgetbv(0);
#else
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((unsigned long long)high << 32) | low;
#endif
}

static int cpu_has(unsigned value, unsigned bits)
{
    return (value & bits) == bits;
}
#endif

/* The x86-64 levels are those of the System V ABI supplement: v3 is our avx2, v4 our avx512. */
static int cpu_level(void)
{
#if defined(PYACTX_X86_64)
    enum { EAX, EBX, ECX, EDX };
    unsigned leaf_0[4], leaf_1[4], leaf_7[4], extended[4];
    cpu_id(0, leaf_0);
    cpu_id(0x80000000u, extended);
    if (leaf_0[EAX] < 7 || extended[EAX] < 0x80000001u)
        return CPU_BASELINE;
    cpu_id(1, leaf_1);
    cpu_id(7, leaf_7);
    cpu_id(0x80000001u, extended);
    const unsigned fma = 1u << 12, movbe = 1u << 22, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    const unsigned bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8, lzcnt = 1u << 5;
    if (!cpu_has(leaf_1[ECX], fma | movbe | osxsave | avx | f16c) || !cpu_has(leaf_7[EBX], bmi1 | avx2 | bmi2) ||
        !cpu_has(extended[ECX], lzcnt) || (cpu_saved_states() & 0x6) != 0x6)
        return CPU_BASELINE;
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F, DQ, CD, BW, VL */
    if (!cpu_has(leaf_7[EBX], avx512) || (cpu_saved_states() & 0xe6) != 0xe6)
        return CPU_AVX2;
    return CPU_AVX512;
#else
    return CPU_BASELINE;
#endif
}

#endif
