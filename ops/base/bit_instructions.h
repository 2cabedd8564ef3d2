// PCR_BIT_INSTRUCTIONS: functions that gain from counting and shifting instructions.

#ifndef PCR_OPS_BASE_BIT_INSTRUCTIONS_H_
#define PCR_OPS_BASE_BIT_INSTRUCTIONS_H_

// The compiler makes these functions twice, and the loader takes the one that the processor
// can run: counting and shifting of bits has instructions that not every x86-64 has. They must be
// noexcept: GCC takes a call of such a function for one that cannot throw.
#if defined(PCR_BIT_INSTRUCTIONS)
// Tests with sanitizers leave it out, and so run the plain functions.
#elif defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    __GNUC__ >= 12
#define PCR_BIT_INSTRUCTIONS __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define PCR_BIT_INSTRUCTIONS
#endif

#endif  // PCR_OPS_BASE_BIT_INSTRUCTIONS_H_
