// CRC-32C (Castagnoli), as TFRecord files use it.

#ifndef PCR_OPS_BASE_CRC32C_H_
#define PCR_OPS_BASE_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace pcr {

// The CRC of the bytes whose CRC is `crc` followed by `bytes`.
uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes);

inline uint32_t Crc32c(std::string_view bytes) { return ExtendCrc32c(0, bytes); }

// The form in which TFRecord stores a CRC (a CRC of data that holds CRCs is weak).
inline uint32_t MaskCrc32c(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

inline uint32_t MaskedCrc32c(std::string_view bytes) { return MaskCrc32c(Crc32c(bytes)); }

}  // namespace pcr

#endif  // PCR_OPS_BASE_CRC32C_H_
