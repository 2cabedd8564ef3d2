#include "ops/jpeg/lossless/coefficients.h"

#include <cstdio>
#include <cstring>

#include "ops/jpeg/libjpeg/libjpeg.h"
#include "ops/jpeg/lossless/coefficient_reader.h"
#include "ops/jpeg/syntax/markers.h"

namespace pcr {
namespace {

constexpr size_t kDifferenceBytes = 200;

// "" or why `jpeg` is not given to libjpeg.
std::string Refuse(std::string_view jpeg, const DecodeLimits& limits) {
  const Result<JpegLayout> layout = WalkMarkers(jpeg);
  if (!layout.ok()) return layout.status().message();
  std::string refused = ExceededLimit(layout.value(), limits);
  if (refused.empty()) refused = MissingData(layout.value());
  if (refused.empty()) refused = ExceededWork(layout.value());
  return refused;
}

// As Refuse(), and what libjpeg said. On "" the reader holds the coefficients.
std::string Read(std::string_view jpeg, const DecodeLimits& limits, JpegErrors* errors,
                 CoefficientReader* reader) {
  std::string refused = Refuse(jpeg, limits);
  if (!refused.empty()) return refused;
  return errors->Run([&] { reader->Read(jpeg); }) ? "" : errors->message();
}

// False, with the difference in `text`, if `x` and `y` differ.
bool Equal(const char* what, int x, int y, char* text, size_t text_bytes) {
  if (x == y) return true;
  std::snprintf(text, text_bytes, "%s: %d and %d", what, x, y);
  return false;
}

bool SameFrame(const jpeg_decompress_struct& x, const jpeg_decompress_struct& y, char* text,
               size_t n) {
  return Equal("width", x.image_width, y.image_width, text, n) &&
         Equal("height", x.image_height, y.image_height, text, n) &&
         Equal("number of components", x.num_components, y.num_components, text, n) &&
         Equal("colour space", x.jpeg_color_space, y.jpeg_color_space, text, n) &&
         Equal("JFIF segment", x.saw_JFIF_marker, y.saw_JFIF_marker, text, n) &&
         Equal("Adobe segment", x.saw_Adobe_marker, y.saw_Adobe_marker, text, n) &&
         (!x.saw_Adobe_marker ||
          Equal("Adobe transform", x.Adobe_transform, y.Adobe_transform, text, n));
}

bool SameComponent(const jpeg_component_info& x, const jpeg_component_info& y, char* text,
                   size_t n) {
  char what[64];
  const auto name = [&](const char* of) {
    std::snprintf(what, sizeof what, "component %d, %s", x.component_index, of);
    return what;
  };
  if (!Equal(name("identifier"), x.component_id, y.component_id, text, n) ||
      !Equal(name("horizontal sampling"), x.h_samp_factor, y.h_samp_factor, text, n) ||
      !Equal(name("vertical sampling"), x.v_samp_factor, y.v_samp_factor, text, n) ||
      !Equal(name("has a scan"), x.quant_table != nullptr, y.quant_table != nullptr, text, n)) {
    return false;
  }
  for (int k = 0; x.quant_table != nullptr && k < DCTSIZE2; ++k) {
    if (!Equal(name("quantization table"), x.quant_table->quantval[k], y.quant_table->quantval[k],
               text, n)) {
      return false;
    }
  }
  return true;
}

bool SameBlocks(const CoefficientReader& a, const CoefficientReader& b, int component, char* text,
                size_t n) {
  const jpeg_component_info& info = a.info().comp_info[component];
  for (JDIMENSION row = 0; row < info.height_in_blocks; ++row) {
    const CoefficientBlock* const x = a.rows(component)[row];
    const CoefficientBlock* const y = b.rows(component)[row];
    if (std::memcmp(x, y, info.width_in_blocks * sizeof(CoefficientBlock)) == 0) continue;
    for (JDIMENSION column = 0; column < info.width_in_blocks; ++column) {
      for (int k = 0; k < DCTSIZE2; ++k) {
        if (x[column][k] == y[column][k]) continue;
        std::snprintf(text, n,
                      "component %d, block row %u, column %u, coefficient %d (natural order): "
                      "%d and %d",
                      component, row, column, k, x[column][k], y[column][k]);
        return false;
      }
    }
  }
  return true;
}

}  // namespace

std::string FirstDifference(const CoefficientReader& a, const CoefficientReader& b) {
  char text[kDifferenceBytes] = "";
  const int components = a.info().num_components;
  bool same = SameFrame(a.info(), b.info(), text, sizeof text);
  for (int c = 0; same && c < components; ++c) {
    same = SameComponent(a.info().comp_info[c], b.info().comp_info[c], text, sizeof text);
  }
  for (int c = 0; same && c < components; ++c) same = SameBlocks(a, b, c, text, sizeof text);
  return text;
}

std::string CheckJpeg(std::string_view jpeg, const DecodeLimits& limits) {
  JpegErrors errors;
  CoefficientReader reader(&errors);
  return Read(jpeg, limits, &errors, &reader);
}

std::string SameCoefficients(std::string_view a, std::string_view b, const DecodeLimits& limits) {
  JpegErrors errors;
  CoefficientReader reader_a(&errors);
  CoefficientReader reader_b(&errors);
  if (const std::string wrong = Read(a, limits, &errors, &reader_a); !wrong.empty()) {
    return "first image: " + wrong;
  }
  if (const std::string wrong = Read(b, limits, &errors, &reader_b); !wrong.empty()) {
    return "second image: " + wrong;
  }
  return FirstDifference(reader_a, reader_b);
}

}  // namespace pcr
