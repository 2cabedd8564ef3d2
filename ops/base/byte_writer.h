// Little-endian and varint encoding: onto the end of a string, or into a
// buffer whose size the caller has computed with VarintSize.

#ifndef PCR_OPS_BASE_BYTE_WRITER_H_
#define PCR_OPS_BASE_BYTE_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace pcr {

template <typename Unsigned>
void AppendLittle(Unsigned value, std::string* out) {
  for (size_t i = 0; i < sizeof(Unsigned); ++i) {
    out->push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
}
inline void AppendLittle16(uint16_t value, std::string* out) { AppendLittle(value, out); }
inline void AppendLittle32(uint32_t value, std::string* out) { AppendLittle(value, out); }
inline void AppendLittle64(uint64_t value, std::string* out) { AppendLittle(value, out); }

inline size_t VarintSize(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

// Returns the position after the varint, of VarintSize(value) bytes.
inline char* WriteVarint(uint64_t value, char* out) {
  while (value >= 0x80) {
    *out++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<char>(value);
  return out;
}

inline void AppendVarint(uint64_t value, std::string* out) {
  char buffer[10];
  out->append(buffer, WriteVarint(value, buffer) - buffer);
}

inline void AppendLengthDelimited(std::string_view bytes, std::string* out) {
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

}  // namespace pcr

#endif  // PCR_OPS_BASE_BYTE_WRITER_H_
