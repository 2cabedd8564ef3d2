// Spreading bits over the places of others, with the instruction for it where it is quick.

#ifndef PCR_OPS_JPEG_ENTROPY_BIT_DEPOSIT_H_
#define PCR_OPS_JPEG_ENTROPY_BIT_DEPOSIT_H_

#include <cstdint>

namespace pcr {

class BitDeposit {
 public:
  BitDeposit() : has_instruction_(HasInstruction()) {}
  // As on a processor that has it or lacks it; for tests.
  explicit BitDeposit(bool has_instruction) : has_instruction_(has_instruction) {}

  // Whether this processor is quick at it. Those of AMD before Zen 3 are not.
  static bool HasInstruction() {
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_supports("bmi2") && !__builtin_cpu_is("bdver4") &&
           !__builtin_cpu_is("znver1") && !__builtin_cpu_is("znver2");
#else
    return false;
#endif
  }

  // The lowest bit of `bits` goes to the lowest place that is set in `places`, and so on.
  uint64_t operator()(uint64_t bits, uint64_t places) const {
#if defined(__x86_64__) && defined(__GNUC__)
    if (has_instruction_) return Instruction(bits, places);
#endif
    uint64_t result = 0;
    for (; places != 0; places &= places - 1, bits >>= 1) {
      result |= places & -places & -(bits & 1);
    }
    return result;
  }

  // The n-th set bit of `bits` counted from the top and from 0, or 0 if there are not so many.
  uint64_t BitFromTop(uint64_t bits, int n) const {
#if defined(__x86_64__) && defined(__GNUC__)
    if (has_instruction_) {
      const int from_below = __builtin_popcountll(bits) - 1 - n;
      return from_below < 0 ? 0 : Instruction(uint64_t{1} << from_below, bits);
    }
#endif
    for (; n > 0 && bits != 0; --n) bits ^= Top(bits);
    return bits == 0 ? 0 : Top(bits);
  }

 private:
  static uint64_t Top(uint64_t bits) { return uint64_t{1} << 63 >> __builtin_clzll(bits); }

#if defined(__x86_64__) && defined(__GNUC__)
  // Not the compiler's own, which it gives only to functions made for such processors alone.
  static uint64_t Instruction(uint64_t bits, uint64_t places) {
    uint64_t result;
    asm("pdep %2, %1, %0" : "=r"(result) : "r"(bits), "r"(places));
    return result;
  }
#endif

  bool has_instruction_;
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENTROPY_BIT_DEPOSIT_H_
