#include "ops/base/status.h"

namespace pcr {

std::string Printable(std::string_view bytes) {
  constexpr size_t kMaxBytes = 64;
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes.substr(0, kMaxBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text.push_back(c);
    } else {
      text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  if (bytes.size() > kMaxBytes) text += "...";
  return text;
}

}  // namespace pcr
