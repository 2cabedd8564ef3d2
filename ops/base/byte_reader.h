// ByteReader: a cursor over bytes that cannot leave them. Every read returns
// false, and consumes nothing, when the bytes do not hold what was asked for.

#ifndef PCR_OPS_BASE_BYTE_READER_H_
#define PCR_OPS_BASE_BYTE_READER_H_

#include <cstdint>
#include <cstring>
#include <string_view>

namespace pcr {

// Fixed-width loads; the caller guarantees that the bytes exist.
inline uint16_t LoadLittle16(const char* p) {
  const auto* u = reinterpret_cast<const unsigned char*>(p);
  return static_cast<uint16_t>(u[0] | (u[1] << 8));
}
inline uint32_t LoadLittle32(const char* p) {
  return LoadLittle16(p) | (static_cast<uint32_t>(LoadLittle16(p + 2)) << 16);
}
inline uint64_t LoadLittle64(const char* p) {
  return LoadLittle32(p) | (static_cast<uint64_t>(LoadLittle32(p + 4)) << 32);
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  size_t remaining() const { return rest_.size(); }

  // A protobuf varint of at most 10 bytes. Bits above the 64th are dropped, as protobuf does.
  bool ReadVarint(uint64_t* value) {
    uint64_t result = 0;
    const size_t limit = rest_.size() < 10 ? rest_.size() : 10;
    for (size_t i = 0; i < limit; ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      result |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) {
        rest_.remove_prefix(i + 1);
        *value = result;
        return true;
      }
    }
    return false;
  }

  bool ReadBytes(uint64_t size, std::string_view* bytes) {
    if (size > rest_.size()) return false;
    *bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  // A varint length, then that many bytes.
  bool ReadLengthDelimited(std::string_view* bytes) {
    const std::string_view before = rest_;
    uint64_t size = 0;
    if (ReadVarint(&size) && ReadBytes(size, bytes)) return true;
    rest_ = before;
    return false;
  }

 private:
  std::string_view rest_;
};

}  // namespace pcr

#endif  // PCR_OPS_BASE_BYTE_READER_H_
