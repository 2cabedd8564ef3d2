#include "ops/base/status.h"

namespace pcr {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Bytes of the character that `text` begins with; 0 if that is not one of UTF-8 (RFC 3629).
size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](size_t at) { return static_cast<unsigned char>(text[at]); };
  if (byte(0) < 0x80) return 1;
  const size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return 0;
  for (size_t at = 1; at < size; ++at) {
    if (byte(at) >> 6 != 2) return 0;
  }
  // Neither what needs fewer bytes, nor surrogates, nor what is above U+10FFFF.
  const bool refused = (byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) > 0x9f) ||
                       (byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) > 0x8f);
  return refused ? 0 : size;
}

void AppendHex(char c, std::string* text) {
  const auto byte = static_cast<unsigned char>(c);
  *text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

}  // namespace

std::string ReadableUtf8(std::string_view message) {
  std::string text;
  while (!message.empty()) {
    const size_t size = CharacterBytes(message);
    if (size == 0) {
      AppendHex(message.front(), &text);
    } else {
      text += message.substr(0, size);
    }
    message.remove_prefix(size == 0 ? 1 : size);
  }
  return text;
}

std::string Printable(std::string_view bytes) {
  constexpr size_t kMaxBytes = 64;
  std::string text;
  for (const char c : bytes.substr(0, kMaxBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text.push_back(c);
    } else {
      AppendHex(c, &text);
    }
  }
  if (bytes.size() > kMaxBytes) text += "...";
  return text;
}

}  // namespace pcr
