// Writing the bits of entropy-coded data.

#ifndef PCR_OPS_JPEG_ENCODING_BIT_WRITER_H_
#define PCR_OPS_JPEG_ENCODING_BIT_WRITER_H_

#include <cstdint>
#include <cstring>

namespace pcr {

// Puts a zero behind each 0xff (T.81 F.1.2.3). The caller sees to the room: at most twice the
// bytes of the bits, and kSpareBytes.
class BitWriter {
 public:
  static constexpr int kSpareBytes = 8;

  // Where the next bytes go, and then the end of what was written there. Up to 31 bits wait.
  void SetOutput(char* output) { output_ = output; }
  char* output() const { return output_; }

  // The low n bits, 0..32, of `bits`, whose others are zero.
  void Write(uint64_t bits, int n) {
    bits_ = bits_ << n | bits;
    count_ += n;
    if (count_ < 32) return;
    count_ -= 32;
    WriteBytes(static_cast<uint32_t>(bits_ >> count_));
  }

  // Fills the last byte with ones.
  void Finish() {
    const int fill = -count_ & 7;
    Write((1U << fill) - 1, fill);
    while (count_ > 0) {
      count_ -= 8;
      WriteByte(static_cast<uint8_t>(bits_ >> count_));
    }
  }

 private:
  void WriteBytes(uint32_t bytes) {
    const bool has_ff = (bytes & 0x80808080 & ~(bytes + 0x01010101)) != 0;
    if (!has_ff) {
      bytes = __builtin_bswap32(bytes);
      std::memcpy(output_, &bytes, sizeof bytes);
      output_ += sizeof bytes;
      return;
    }
    for (int shift = 24; shift >= 0; shift -= 8) WriteByte(static_cast<uint8_t>(bytes >> shift));
  }

  void WriteByte(uint8_t byte) {
    *output_++ = static_cast<char>(byte);
    if (byte == 0xff) *output_++ = 0;
  }

  char* output_ = nullptr;
  uint64_t bits_ = 0;  // the last ones below
  int count_ = 0;      // of them not written yet, less than 32
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_ENCODING_BIT_WRITER_H_
