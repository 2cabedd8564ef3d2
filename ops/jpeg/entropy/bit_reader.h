// The bits of entropy-coded data.

#ifndef PCR_OPS_JPEG_ENTROPY_BIT_READER_H_
#define PCR_OPS_JPEG_ENTROPY_BIT_READER_H_

#include <cstdint>
#include <cstring>
#include <string_view>

namespace pcr {

// The bits of a scan without restart markers. Behind their end come zeros, and overrun()
// tells.
class BitReader {
 public:
  BitReader() = default;
  explicit BitReader(std::string_view data)
      : next_(reinterpret_cast<const uint8_t*>(data.data())), end_(next_ + data.size()) {}

  // Makes 56 bits or more available to the calls below.
  void Refill() {
    if (end_ - next_ >= 8) {
      uint64_t bytes;
      std::memcpy(&bytes, next_, sizeof bytes);
      bytes = __builtin_bswap64(bytes);
      const bool has_ff = ((~bytes - 0x0101010101010101) & bytes & 0x8080808080808080) != 0;
      if (!has_ff) {
        bits_ |= bytes >> count_;
        next_ += (63 - count_) >> 3;
        count_ |= 56;
        return;
      }
    }
    RefillByBytes();
  }

  uint32_t Peek(int n) const { return static_cast<uint32_t>(bits_ >> (64 - n)); }
  void Skip(int n) {
    bits_ <<= n;
    count_ -= n;
  }
  // n in 1..32.
  uint32_t Read(int n) {
    const uint32_t value = Peek(n);
    Skip(n);
    return value;
  }
  // The same for n in 0..32.
  uint32_t ReadAny(int n) {
    const auto value = static_cast<uint32_t>(bits_ >> 1 >> (63 - n));
    Skip(n);
    return value;
  }
  // A value of n bits, 1..16, by T.81 F.2.2.1 (EXTEND).
  int ReadSigned(int n) {
    const int value = static_cast<int>(Read(n));
    return value < 1 << (n - 1) ? value - (1 << n) + 1 : value;
  }

  // The same of n bits, 1..15, that begin at bit `at`, without reading them. In no branches.
  int PeekSigned(int at, int n) const {
    const uint64_t top = bits_ << at;
    const int negative = static_cast<int>(~static_cast<int64_t>(top) >> 63);
    return static_cast<int>(top >> (64 - n)) + (negative & (1 - (1 << n)));
  }

  bool overrun() const { return padding_ > count_; }

  // Whether what is left is less than a byte.
  bool at_end() {
    RefillByBytes();
    return next_ == end_ && !overrun() && count_ - padding_ < 8;
  }

 private:
  void RefillByBytes() {
    while (count_ < 56) {
      uint64_t byte = 0;
      if (next_ < end_) {
        byte = *next_++;
        // In the data of a scan 0xff is followed by 0x00, or there are restart markers, which
        // this class does not know; a last lone 0xff is fill.
        if (byte == 0xff) {
          if (next_ < end_ && *next_ == 0) {
            ++next_;
          } else {
            padding_ = kBroken;
          }
        }
      } else if (padding_ < kBroken) {
        padding_ += 8;
      }
      bits_ |= byte << (56 - count_);
      count_ += 8;
    }
  }

  static constexpr int kBroken = 1 << 30;

  const uint8_t* next_ = nullptr;
  const uint8_t* end_ = nullptr;
  uint64_t bits_ = 0;  // the next one on top
  int count_ = 0;
  int padding_ = 0;  // zeros put behind the data, in bits; looked at after each row of blocks
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENTROPY_BIT_READER_H_
