// Images for the tests of ops/jpeg: JPEGs of every kind that libjpeg can write, and the
// surgery that makes the others.

#ifndef PCR_TESTS_CPP_JPEG_TEST_IMAGES_H_
#define PCR_TESTS_CPP_JPEG_TEST_IMAGES_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// jpeglib.h needs size_t and FILE.
#include <jpeglib.h>

#include "ops/jpeg/syntax/scan_script.h"

namespace pcr::testing {

struct JpegSpec {
  int width = 48;
  int height = 40;
  J_COLOR_SPACE color_space = JCS_YCbCr;
  int components = 3;                         // for JCS_UNKNOWN; others have their own number
  std::vector<std::pair<int, int>> sampling;  // (h, v) of the first components; others 1 x 1
  int quality = 90;
  bool wide_quantization = false;  // values above 255 where the quality asks for them
  int restart_interval = 0;        // in MCUs
  bool arithmetic = false;
  bool optimize = false;  // Huffman tables for the image instead of the standard ones
  bool one_quantization_slot = false;
  std::vector<jpeg_scan_info> scans;  // empty: one sequential scan
  bool simple_progression = false;
  std::vector<std::pair<int, std::string>> markers;  // (code, parameters), after JFIF or Adobe
};

// The two scripts that configs/scan_scripts/ holds, in the tersest form.
inline constexpr std::string_view kStandardScans =
    "0,1,2: 0-0,0,1; 0: 1-5,0,2; 2: 1-63,0,1; 1: 1-63,0,1; 0: 6-63,0,2; 0: 1-63,2,1;"
    "0,1,2: 0-0,1,0; 2: 1-63,1,0; 1: 1-63,1,0; 0: 1-63,1,0;";
inline constexpr std::string_view kNoRefinementScans =
    "0,1,2: 0-0,0,0; 0: 1-5,0,0; 1: 1-63,0,0; 2: 1-63,0,0; 0: 6-63,0,0;";

inline jpeg_scan_info LibjpegScan(std::vector<int> components, int ss, int se, int ah, int al) {
  jpeg_scan_info scan{};
  scan.comps_in_scan = static_cast<int>(components.size());
  for (size_t i = 0; i < components.size(); ++i) scan.component_index[i] = components[i];
  scan.Ss = ss;
  scan.Se = se;
  scan.Ah = ah;
  scan.Al = al;
  return scan;
}

inline int NumComponents(const JpegSpec& spec) {
  switch (spec.color_space) {
    case JCS_UNKNOWN:
      return spec.components;
    case JCS_GRAYSCALE:
      return 1;
    case JCS_CMYK:
    case JCS_YCCK:
      return 4;
    default:
      return 3;
  }
}

// Samples are a gradient, an edge and noise: coefficients of all sizes and frequencies.
inline std::string MakeJpeg(const JpegSpec& spec = {}) {
  jpeg_error_mgr errors;
  jpeg_compress_struct info;
  info.err = jpeg_std_error(&errors);  // exits the test on an error
  jpeg_create_compress(&info);
  unsigned char* output = nullptr;
  unsigned long output_bytes = 0;  // NOLINT(google-runtime-int): libjpeg's type
  jpeg_mem_dest(&info, &output, &output_bytes);

  const int components = NumComponents(spec);
  info.image_width = spec.width;
  info.image_height = spec.height;
  info.input_components = components;
  info.in_color_space = spec.color_space;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, spec.color_space);
  jpeg_set_quality(&info, spec.quality, spec.wide_quantization ? FALSE : TRUE);
  for (int c = 0; c < components; ++c) {
    const bool given = static_cast<size_t>(c) < spec.sampling.size();
    info.comp_info[c].h_samp_factor = given ? spec.sampling[c].first : 1;
    info.comp_info[c].v_samp_factor = given ? spec.sampling[c].second : 1;
  }
  for (int c = 0; spec.one_quantization_slot && c < components; ++c) {
    info.comp_info[c].quant_tbl_no = 0;
  }
  info.restart_interval = spec.restart_interval;
  info.optimize_coding = spec.optimize ? TRUE : FALSE;
  info.arith_code = spec.arithmetic ? TRUE : FALSE;
  if (spec.simple_progression) jpeg_simple_progression(&info);
  if (!spec.scans.empty()) {
    info.scan_info = spec.scans.data();
    info.num_scans = static_cast<int>(spec.scans.size());
  }
  jpeg_start_compress(&info, TRUE);
  for (const auto& [code, parameters] : spec.markers) {
    jpeg_write_marker(&info, code, reinterpret_cast<const JOCTET*>(parameters.data()),
                      static_cast<unsigned>(parameters.size()));
  }
  std::vector<JSAMPLE> row(static_cast<size_t>(spec.width) * components);
  uint32_t noise = 1;
  for (int y = 0; y < spec.height; ++y) {
    for (size_t i = 0; i < row.size(); ++i) {
      const int x = static_cast<int>(i) / components;
      noise = noise * 1664525 + 1013904223;
      const int edge = x > y ? 60 : 0;
      row[i] = static_cast<JSAMPLE>((x + 2 * y + 40 * (static_cast<int>(i) % components) + edge +
                                     static_cast<int>(noise >> 28)) &
                                    255);
    }
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&info, rows, 1);
  }
  jpeg_finish_compress(&info);
  std::string jpeg(reinterpret_cast<const char*>(output), output_bytes);
  jpeg_destroy_compress(&info);
  std::free(output);
  return jpeg;
}

// Samples as libjpeg decodes them, row by row, after a line with size and colour space. The
// image must be sound.
inline std::string DecodePixels(std::string_view jpeg) {
  jpeg_error_mgr errors;
  jpeg_decompress_struct info;
  info.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&info, TRUE);
  info.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&info);
  std::string pixels = std::to_string(info.output_width) + " " +
                       std::to_string(info.output_height) + " " +
                       std::to_string(info.out_color_space) + "\n";
  std::vector<JSAMPLE> row(static_cast<size_t>(info.output_width) * info.output_components);
  while (info.output_scanline < info.output_height) {
    JSAMPROW rows[] = {row.data()};
    jpeg_read_scanlines(&info, rows, 1);
    pixels.append(row.begin(), row.end());
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return pixels;
}

inline std::string SegmentBytes(int code, std::string_view parameters) {
  const size_t length = parameters.size() + 2;
  return std::string{'\xff', static_cast<char>(code), static_cast<char>(length >> 8),
                     static_cast<char>(length)} +
         std::string(parameters);
}

// Offset of the n-th (from 0) occurrence of ff `code`; the test images hold it nowhere else.
inline size_t FindMarker(std::string_view jpeg, int code, int n = 0) {
  const std::string needle{'\xff', static_cast<char>(code)};
  size_t at = jpeg.find(needle);
  while (n-- > 0) at = jpeg.find(needle, at + 2);
  return at;
}

inline std::string Insert(std::string jpeg, size_t offset, std::string_view bytes) {
  return jpeg.insert(offset, bytes);
}

inline ScanScript Script(std::string_view text) { return ScanScript::Parse(text).value(); }

// PCR_TEST_IMAGES, or "" with which a test of real images is skipped.
inline std::string TestImagesFolder() {
  const char* const folder = std::getenv("PCR_TEST_IMAGES");
  return folder == nullptr ? "" : folder;
}
inline constexpr const char* kNoTestImages =
    "set PCR_TEST_IMAGES to a folder that holds odd-jpeg/ and imagenet-sample/";

inline std::vector<std::filesystem::path> JpegFilesUnder(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() != ".csv")
      files.push_back(entry.path());
  }
  return files;
}

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace pcr::testing

#endif  // PCR_TESTS_CPP_JPEG_TEST_IMAGES_H_
