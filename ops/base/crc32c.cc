#include "ops/base/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace pcr {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78U;  // Castagnoli, bit-reversed

using ByteTable = std::array<uint32_t, 256>;

constexpr ByteTable MakeByteTable() {
  ByteTable table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}

constexpr ByteTable kByteTable = MakeByteTable();

// All `Raw` functions work on the register itself: no inversion at either end.
uint32_t RawPortable(uint32_t crc, const char* data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    crc = kByteTable[(crc ^ static_cast<unsigned char>(data[i])) & 0xff] ^ (crc >> 8);
  }
  return crc;
}

#if defined(__x86_64__) || (defined(__aarch64__) && defined(__linux__))

// The CRC instruction has a latency of 3 cycles and a throughput of 1, so
// three lanes of kLaneBytes run at once; their registers are joined by
// advancing the earlier ones over the zeros that stand for the later lanes.
constexpr size_t kLaneBytes = 1024;

// register -> register after kLaneBytes zero bytes, as four byte-indexed
// tables: the map is linear over GF(2).
class LaneShift {
 public:
  LaneShift() {
    const char zeros[kLaneBytes] = {};
    std::array<uint32_t, 32> image{};
    for (int bit = 0; bit < 32; ++bit) {
      image[bit] = RawPortable(uint32_t{1} << bit, zeros, kLaneBytes);
    }
    for (int k = 0; k < 4; ++k) {
      for (int byte = 0; byte < 256; ++byte) {
        uint32_t sum = 0;
        for (int bit = 0; bit < 8; ++bit) {
          if ((byte >> bit) & 1) sum ^= image[8 * k + bit];
        }
        tables_[k][byte] = sum;
      }
    }
  }

  uint32_t operator()(uint32_t crc) const {
    return tables_[0][crc & 0xff] ^ tables_[1][(crc >> 8) & 0xff] ^ tables_[2][(crc >> 16) & 0xff] ^
           tables_[3][crc >> 24];
  }

 private:
  std::array<ByteTable, 4> tables_{};
};

#if defined(__x86_64__)
#define PCR_CRC_TARGET __attribute__((target("sse4.2")))
PCR_CRC_TARGET inline uint32_t Step8(uint32_t crc, uint64_t word) {
  return static_cast<uint32_t>(_mm_crc32_u64(crc, word));
}
PCR_CRC_TARGET inline uint32_t Step1(uint32_t crc, unsigned char byte) {
  return _mm_crc32_u8(crc, byte);
}
bool HaveInstruction() { return __builtin_cpu_supports("sse4.2"); }
#else
#define PCR_CRC_TARGET __attribute__((target("+crc")))
PCR_CRC_TARGET inline uint32_t Step8(uint32_t crc, uint64_t word) { return __crc32cd(crc, word); }
PCR_CRC_TARGET inline uint32_t Step1(uint32_t crc, unsigned char byte) {
  return __crc32cb(crc, byte);
}
bool HaveInstruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }
#endif

inline uint64_t Load64(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

PCR_CRC_TARGET uint32_t RawInstruction(uint32_t crc, const char* data, size_t size) {
  static const LaneShift shift;
  while (size >= 3 * kLaneBytes) {
    uint32_t second = 0;
    uint32_t third = 0;
    for (size_t i = 0; i < kLaneBytes; i += 8) {
      crc = Step8(crc, Load64(data + i));
      second = Step8(second, Load64(data + kLaneBytes + i));
      third = Step8(third, Load64(data + 2 * kLaneBytes + i));
    }
    crc = shift(shift(crc) ^ second) ^ third;
    data += 3 * kLaneBytes;
    size -= 3 * kLaneBytes;
  }
  for (; size >= 8; data += 8, size -= 8) crc = Step8(crc, Load64(data));
  for (; size > 0; ++data, --size) crc = Step1(crc, static_cast<unsigned char>(*data));
  return crc;
}

uint32_t Raw(uint32_t crc, const char* data, size_t size) {
  static const bool have_instruction = HaveInstruction();
  return have_instruction ? RawInstruction(crc, data, size) : RawPortable(crc, data, size);
}

#else

uint32_t Raw(uint32_t crc, const char* data, size_t size) { return RawPortable(crc, data, size); }

#endif

}  // namespace

uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes) {
  return ~Raw(~crc, bytes.data(), bytes.size());
}

}  // namespace pcr
