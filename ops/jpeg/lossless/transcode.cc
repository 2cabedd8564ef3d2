#include "ops/jpeg/lossless/transcode.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "ops/base/catch_exceptions.h"
#include "ops/format/layout.h"
#include "ops/jpeg/encoding/progressive_encoder.h"
#include "ops/jpeg/libjpeg/libjpeg.h"
#include "ops/jpeg/lossless/coefficient_reader.h"
#include "ops/jpeg/lossless/coefficients.h"
#include "ops/jpeg/lossless/transcode_fault.h"
#include "ops/jpeg/syntax/exif_orientation.h"
#include "ops/jpeg/syntax/markers.h"

namespace pcr {
namespace {

constexpr size_t kMaxProgressiveComponents = 4;  // T.81 B.2.2, table B.2

struct Refusal {
  OpaqueReason reason;
  std::string detail;
};

// What kind of file this is that does not begin with SOI.
std::string DescribeForeign(std::string_view image) {
  if (image.empty()) return "the image is empty";
  struct Magic {
    std::string_view bytes;
    const char* name;
  };
  constexpr Magic kMagics[] = {
      {"\x89PNG\r\n\x1a\n", "PNG"},
      {"GIF8", "GIF"},
      {"RIFF", "RIFF (WebP)"},
      {"BM", "BMP"},
      {"II*", "TIFF"},
      {"MM", "TIFF"},
      {"\xff\x4f\xff\x51", "JPEG 2000"},
      {"\xff\x0a", "JPEG XL"},
  };
  for (const Magic& magic : kMagics) {
    if (image.substr(0, magic.bytes.size()) == magic.bytes) {
      return std::string("the image is a ") + magic.name + " file";
    }
  }
  return "the image does not begin with SOI (ff d8)";
}

bool IsSos(const Segment& segment) { return segment.marker == marker::kSos; }

// Judges the coding process.
std::optional<Refusal> RefuseProcess(const JpegLayout& layout) {
  const Frame& frame = *layout.frame;
  for (const Segment& segment : layout.segments) {
    if (segment.marker == marker::kDhp) return Refusal{OpaqueReason::kHierarchical, "DHP segment"};
    if (segment.marker == marker::kDnl) {
      return Refusal{OpaqueReason::kUnsupported, "DNL segment: libjpeg does not heed it"};
    }
  }
  switch (frame.marker) {
    case marker::kSof0:
    case marker::kSof1:
    case marker::kSof2:
      break;
    case marker::kSof3:
    case marker::kSof11:
      return Refusal{OpaqueReason::kLossless, "lossless process"};
    case marker::kSof9:
    case marker::kSof10:
      return Refusal{OpaqueReason::kArithmetic, "arithmetic coding"};
    default:
      return Refusal{OpaqueReason::kHierarchical, "differential process"};
  }
  if (frame.precision != 8) {
    return Refusal{frame.precision == 12 ? OpaqueReason::kTwelveBit : OpaqueReason::kUnsupported,
                   std::to_string(frame.precision) + " bits per sample"};
  }
  if (frame.components.size() > kMaxProgressiveComponents) {
    return Refusal{OpaqueReason::kTooManyComponents,
                   Expected("a progressive frame has at most 4 components",
                            kMaxProgressiveComponents, frame.components.size())};
  }
  return std::nullopt;
}

// Two components with one identifier, as text; "" without. A scan of one component, which the
// result has, cannot name the second; a scan of all, as sources have, can.
std::string SharedIdentifier(const Frame& frame) {
  const auto& components = frame.components;
  for (size_t c = 0; c < components.size(); ++c) {
    for (size_t before = 0; before < c; ++before) {
      if (components[before].id != components[c].id) continue;
      return "components " + std::to_string(before) + " and " + std::to_string(c) +
             " share identifier " + std::to_string(components[c].id);
    }
  }
  return "";
}

// Judges what the markers tell, before libjpeg sees the image.
std::optional<Refusal> Refuse(std::string_view image, const JpegLayout& layout,
                              const DecodeLimits& limits) {
  const auto damaged = [](std::string detail) {
    return Refusal{OpaqueReason::kDamaged, std::move(detail)};
  };
  if (!layout.frame) return damaged("no frame header");
  if (std::optional<Refusal> refusal = RefuseProcess(layout)) return refusal;
  if (layout.scans.empty()) return damaged("no scan");
  if (!layout.has_eoi) return damaged("no EOI");
  if (std::string shared = SharedIdentifier(*layout.frame); !shared.empty()) {
    return Refusal{OpaqueReason::kUnsupported, std::move(shared)};
  }
  for (const FrameComponent& component : layout.frame->components) {
    const auto names = [&component](const ScanExtent& scan) {
      const std::vector<ScanComponent>& components = scan.header.components;
      return std::any_of(components.begin(), components.end(),
                         [&](const ScanComponent& c) { return c.id == component.id; });
    };
    if (std::none_of(layout.scans.begin(), layout.scans.end(), names)) {
      return damaged("component with identifier " + std::to_string(component.id) + " has no scan");
    }
  }
  if (std::string exceeded = ExceededLimit(layout, limits); !exceeded.empty()) {
    return Refusal{OpaqueReason::kTooLarge, std::move(exceeded)};
  }
  if (std::string missing = MissingData(layout); !missing.empty()) return damaged(missing);
  if (std::string exceeded = ExceededWork(layout); !exceeded.empty()) {
    return Refusal{OpaqueReason::kTooLarge, std::move(exceeded)};
  }
  const auto& segments = layout.segments;
  for (auto s = std::find_if(segments.begin(), segments.end(), IsSos); s != segments.end(); ++s) {
    const SegmentKind kind = KindOf(image, *s);
    if (kind != SegmentKind::kJfif && kind != SegmentKind::kAdobe) continue;
    return Refusal{OpaqueReason::kUnsupported,
                   "byte " + std::to_string(s->offset) +
                       ": a JFIF or Adobe segment after the first scan has no place in the result"};
  }
  return std::nullopt;
}

OpaqueReason ReasonOfReadError(int code) {
  switch (code) {
    case JERR_BAD_MCU_SIZE:
    case JERR_CCIR601_NOTIMPL:
    case JERR_EMPTY_IMAGE:
    case JERR_NOT_COMPILED:
    case JERR_NOTIMPL:
    case JERR_SOF_UNSUPPORTED:
      return OpaqueReason::kUnsupported;
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
    case JERR_NO_BACKING_STORE:
      return OpaqueReason::kTooLarge;
    default:
      return OpaqueReason::kDamaged;
  }
}

// As a record stores it: 0 for upright.
uint8_t StoredOrientation(std::string_view jpeg) {
  const int orientation = ExifOrientation(jpeg);
  return orientation == kUprightOrientation ? 0 : static_cast<uint8_t>(orientation);
}

// The segments of a JPEG that are carried over byte for byte.
struct Carried {
  std::vector<std::string_view> jfif;
  std::vector<std::string_view> adobe;
  std::string ancillary;
  std::string_view trailing;

  Carried(std::string_view jpeg, const JpegLayout& layout) {
    for (const Segment& segment : layout.segments) {
      const std::string_view bytes = jpeg.substr(segment.offset, segment.size);
      switch (KindOf(jpeg, segment)) {
        case SegmentKind::kJfif:
          jfif.push_back(bytes);
          break;
        case SegmentKind::kAdobe:
          adobe.push_back(bytes);
          break;
        case SegmentKind::kAncillary:
          ancillary.append(bytes);
          break;
        case SegmentKind::kCoding:
          break;
      }
    }
    trailing = jpeg.substr(layout.end);
  }

  bool operator==(const Carried& other) const {
    return jfif == other.jfif && adobe == other.adobe && ancillary == other.ancillary &&
           trailing == other.trailing;
  }
};

// A component of which libjpeg read no scan, as text; "" without. Refuse() lets none pass, as far
// as the marker walk and libjpeg agree on what a scan is.
std::string ComponentWithoutScan(const jpeg_decompress_struct& source) {
  for (int c = 0; c < source.num_components; ++c) {
    if (source.comp_info[c].quant_table == nullptr) {
      return "component " + std::to_string(c) + " has no scan of its own";
    }
  }
  return "";
}

// The first coefficient of a progressive image that was not sent to its last bit, as text.
std::string UnsentCoefficient(const jpeg_decompress_struct& source) {
  if (!source.progressive_mode) return "";
  for (int c = 0; c < source.num_components; ++c) {
    for (int k = 0; k < DCTSIZE2; ++k) {
      const int al = source.coef_bits[c][k];
      if (al == 0) continue;
      return "component " + std::to_string(c) + ", coefficient " + std::to_string(k) +
             (al < 0 ? " is never sent" : " lacks its last " + std::to_string(al) + " bits");
    }
  }
  return "";
}

// What is written of an image whose coefficients are read.
EncodedFrame DescribeFrame(const CoefficientReader& source) {
  const jpeg_decompress_struct& info = source.info();
  EncodedFrame frame;
  frame.width = static_cast<int>(info.image_width);
  frame.height = static_cast<int>(info.image_height);
  const bool has_chroma = info.jpeg_color_space == JCS_YCbCr || info.jpeg_color_space == JCS_YCCK;
  frame.components.resize(info.num_components);
  for (int c = 0; c < info.num_components; ++c) {
    const jpeg_component_info& from = info.comp_info[c];
    EncodedComponent& to = frame.components[c];
    to.id = from.component_id;
    to.h = from.h_samp_factor;
    to.v = from.v_samp_factor;
    // The table that decoded the component. T.81 allows a source to redefine a slot between
    // scans; a progressive result has all its tables in front. Four components never need more
    // than the four slots.
    const UINT16* const table = from.quant_table->quantval;
    int slot = 0;
    while (frame.quantization_tables[slot] != nullptr &&
           !std::equal(table, table + DCTSIZE2, frame.quantization_tables[slot])) {
      ++slot;
    }
    frame.quantization_tables[slot] = table;
    to.quantization_table = slot;
    to.huffman_table = has_chroma && (c == 1 || c == 2) ? 1 : 0;
    to.width = static_cast<int>(from.width_in_blocks);
    to.height = static_cast<int>(from.height_in_blocks);
    to.rows = source.rows(c);
  }
  return frame;
}

// Cuts what was written at scan ends. Returns "" or the way in which the output is not
// what was ordered.
std::string CutIntoGroups(std::string_view output, const JpegLayout& layout,
                          const std::vector<Scan>& scans, CodedImage* image) {
  if (layout.scans.size() != scans.size()) {
    return Expected("number of scans", scans.size(), layout.scans.size());
  }
  uint64_t cut = 0;
  for (size_t i = 0; i < scans.size(); ++i) {
    image->group_sizes[scans[i].group] += layout.scans[i].end - cut;
    cut = layout.scans[i].end;
  }
  if (!layout.has_eoi || layout.end != output.size() ||
      cut + layout::kEndOfImage.size() != output.size()) {
    return Expected("EOI follows the last scan and ends the image", output.size() - 2, cut);
  }
  image->scans.assign(output.substr(0, cut));
  return "";
}

// Decodes the image as a reader would put it together. Returns "" or its first difference
// from the source. What it shares with the encoder, the walk over markers and the order of
// coefficients, it does not prove.
std::string Prove(const CodedImage& image, const CoefficientReader& source, const Carried& carried,
                  JpegErrors* errors) {
  const std::string full = FullImage(image);
  if (StoredOrientation(full) != image.orientation) return "the EXIF orientation differs";
  const Result<JpegLayout> layout = WalkMarkers(full);
  if (!layout.ok()) return layout.status().message();
  if (!(Carried(full, layout.value()) == carried)) return "APPn, COM or trailing bytes differ";
  {
    CoefficientReader result(errors);
    bool decoded = false;
    if (errors->Run([&] { decoded = result.ReadProgression(full, layout.value()); }) && decoded) {
      return FirstDifference(source, result);
    }
  }
  // What that decoder does not take, libjpeg judges.
  CoefficientReader again(errors);
  if (!errors->Run([&] { again.Read(full); })) return errors->message();
  const std::string unsent = UnsentCoefficient(again.info());
  return unsent.empty() ? FirstDifference(source, again) : unsent;
}

Transcoded KeepOpaque(std::string_view image, const ScanScript& script, OpaqueReason reason,
                      std::string detail) {
  Transcoded result;
  result.image.coding = Coding::kOpaque;
  result.image.scans.assign(image);
  result.image.group_sizes.assign(script.num_groups(), 0);
  result.image.group_sizes[0] = image.size();
  result.reason = reason;
  result.detail = std::move(detail);
  return result;
}

// Throws where memory for anything but libjpeg runs out.
Result<Transcoded> TranscodeImage(std::string_view image, const ScanScript& script,
                                  const TranscodeOptions& options, const TranscodeFault& fault) {
  const auto opaque = [&](OpaqueReason reason, std::string detail) {
    return KeepOpaque(image, script, reason, std::move(detail));
  };
  if (image.substr(0, 2) != "\xff\xd8") {
    return opaque(OpaqueReason::kNotAJpeg, DescribeForeign(image));
  }
  const Result<JpegLayout> walked = WalkMarkers(image);
  if (!walked.ok()) return opaque(OpaqueReason::kDamaged, walked.status().message());
  const JpegLayout& layout = walked.value();
  if (std::optional<Refusal> refusal = Refuse(image, layout, options.limits)) {
    return opaque(refusal->reason, std::move(refusal->detail));
  }

  JpegErrors errors;
  CoefficientReader source(&errors);
  const auto out_of_memory = [&errors] {
    return Status(Code::kResourceExhausted, std::string("libjpeg: ") + errors.message());
  };
  if (!errors.Run([&] { source.Read(image); })) {
    if (errors.code() == JERR_OUT_OF_MEMORY) return out_of_memory();
    return opaque(ReasonOfReadError(errors.code()), errors.message());
  }
  if (std::string without = ComponentWithoutScan(source.info()); !without.empty()) {
    return opaque(OpaqueReason::kDamaged, std::move(without));
  }
  if (std::string unsent = UnsentCoefficient(source.info()); !unsent.empty()) {
    return opaque(OpaqueReason::kIncompleteProgression, std::move(unsent));
  }

  std::vector<SamplingFactors> sampling;
  for (const FrameComponent& c : layout.frame->components) sampling.push_back({c.h, c.v});
  const std::vector<Scan> scans = script.ForImage(sampling);
  const Carried carried(image, layout);
  const uint8_t orientation = StoredOrientation(image);
  // Ancillary segments all go to the front, where decoders look for the orientation.
  if (StoredOrientation(std::string(layout::kStartOfImage) + carried.ancillary) != orientation) {
    return opaque(OpaqueReason::kUnsupported,
                  "an Exif segment after the first scan has no place in the result: at the front "
                  "it would turn the image");
  }
  std::string written = "\xff\xd8";
  for (const std::string_view& segment : carried.jfif) written += segment;
  for (const std::string_view& segment : carried.adobe) written += segment;
  if (!EncodeProgressive(DescribeFrame(source), scans, &written)) {
    return opaque(OpaqueReason::kUnsupported, "DCT coefficient out of range");
  }
  written += layout::kEndOfImage;

  if (fault) fault(&written);

  Transcoded result;
  CodedImage& coded = result.image;
  coded.coding = Coding::kProgressive;
  coded.group_sizes.assign(script.num_groups(), 0);
  const Result<JpegLayout> result_walked = WalkMarkers(written);
  if (!result_walked.ok()) {
    return opaque(OpaqueReason::kProofFailed, result_walked.status().message());
  }
  const JpegLayout& result_layout = result_walked.value();
  // Readers have their limits too, and the source may have had fewer scans.
  std::string exceeded = ExceededLimit(result_layout, DecodeLimits());
  if (exceeded.empty()) exceeded = ExceededWork(result_layout);
  if (!exceeded.empty()) {
    return opaque(OpaqueReason::kTooLarge, "in the scans of the script: " + exceeded);
  }
  if (std::string wrong = CutIntoGroups(written, result_layout, scans, &coded); !wrong.empty()) {
    return opaque(OpaqueReason::kProofFailed, std::move(wrong));
  }
  coded.ancillary = carried.ancillary;
  coded.ancillary_offset = 2;  // past SOI
  for (const std::string_view& segment : carried.jfif) coded.ancillary_offset += segment.size();
  coded.trailing.assign(carried.trailing);
  coded.orientation = orientation;
  if (options.prove) {
    std::string difference = Prove(coded, source, carried, &errors);
    if (!difference.empty()) {
      if (errors.code() == JERR_OUT_OF_MEMORY) return out_of_memory();
      return opaque(OpaqueReason::kProofFailed, std::move(difference));
    }
  }
  return result;
}

}  // namespace

const char* OpaqueReasonName(OpaqueReason reason) {
  // In the order of the enumeration.
  static constexpr const char* kNames[] = {
      "",
      "not_a_jpeg",
      "damaged",
      "incomplete_progression",
      "arithmetic",
      "lossless",
      "hierarchical",
      "twelve_bit",
      "too_many_components",
      "too_large",
      "unsupported",
      "proof_failed",
  };
  static_assert(std::size(kNames) == static_cast<size_t>(OpaqueReason::kProofFailed) + 1);
  return kNames[static_cast<size_t>(reason)];
}

Result<Transcoded> Transcode(std::string_view image, const ScanScript& script,
                             const TranscodeOptions& options) {
  return TranscodeWithFault(image, script, options, nullptr);
}

Result<Transcoded> TranscodeWithFault(std::string_view image, const ScanScript& script,
                                      const TranscodeOptions& options,
                                      const TranscodeFault& fault) {
  Transcoded transcoded;
  const Status status = CatchExceptions([&] {
    Result<Transcoded> result = TranscodeImage(image, script, options, fault);
    if (!result.ok()) return result.status();
    transcoded = std::move(result).value();
    transcoded.exif_orientation = ExifOrientation(image);
    return Status();
  });
  if (!status.ok()) return status;
  return transcoded;
}

std::string FullImage(const CodedImage& image) {
  if (image.coding == Coding::kOpaque) return image.scans;
  std::string full;
  full.reserve(image.scans.size() + image.ancillary.size() + layout::kEndOfImage.size() +
               image.trailing.size());
  full.append(image.scans, 0, image.ancillary_offset).append(image.ancillary);
  full.append(image.scans, image.ancillary_offset)
      .append(layout::kEndOfImage)
      .append(image.trailing);
  return full;
}

}  // namespace pcr
