// Whether bytes are UTF-8 (RFC 3629).

#ifndef PCR_OPS_BASE_UTF8_H_
#define PCR_OPS_BASE_UTF8_H_

#include <string_view>

namespace pcr {

// False also for encodings longer than needed, surrogates, and values above U+10FFFF, as protobuf
// and Python have it.
bool IsUtf8(std::string_view bytes);

}  // namespace pcr

#endif  // PCR_OPS_BASE_UTF8_H_
