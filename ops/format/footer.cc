#include "ops/format/footer.h"

#include "ops/base/byte_reader.h"
#include "ops/base/byte_writer.h"
#include "ops/format/example_wire.h"
#include "ops/format/frame.h"
#include "ops/format/header.h"
#include "ops/format/layout.h"

namespace pcr {

uint32_t AppendFooter(const Footer& footer, std::string* out) {
  std::string fields(layout::kFooterMagic);
  AppendLittle16(static_cast<uint16_t>(footer.major_version), &fields);
  AppendLittle16(static_cast<uint16_t>(footer.minor_version), &fields);
  AppendLittle32(0, &fields);
  AppendLittle64(footer.index_offset, &fields);
  AppendLittle64(footer.index_frame_size, &fields);
  AppendLittle64(footer.num_records, &fields);
  AppendLittle64(footer.num_examples, &fields);
  AppendLittle32(footer.contents_checksum, &fields);
  AppendLittle32(footer.index_checksum, &fields);
  AppendLittle64(0, &fields);
  ExampleBuilder builder;
  builder.AddBytes(layout::kFrame, {layout::kFooterFrame});
  builder.AddBytes(layout::kFooter, {fields});
  return AppendFrame(builder.Finish(), out);
}

Result<Footer> Footer::Parse(std::string_view tail, uint64_t file_bytes) {
  constexpr std::string_view kRemedy =
      "; the file is not a PCR file, or it is cut short: convert it again";
  if (file_bytes < layout::kFooterFrameBytes || tail.size() < layout::kFooterFrameBytes) {
    return DataLoss(Expected("a PCR file ends with a footer (bytes)",
                             "at least " + std::to_string(layout::kFooterFrameBytes), file_bytes) +
                    std::string(kRemedy));
  }
  const uint64_t offset = file_bytes - layout::kFooterFrameBytes;
  auto frame = ParseFrame(tail.substr(tail.size() - layout::kFooterFrameBytes), offset);
  if (!frame.ok()) {
    return DataLoss("no footer: " + frame.status().message() + std::string(kRemedy));
  }
  const std::string place = "footer at byte " + std::to_string(offset);
  PCR_ASSIGN_OR_RETURN(const ExampleView view,
                       ExampleView::Parse(frame.value().data).WithContext(place));
  PCR_RETURN_IF_ERROR(CheckKind(layout::kFooterFrame, view).WithContext(place));
  PCR_ASSIGN_OR_RETURN(const std::string_view bytes,
                       view.OneBytes(layout::kFooter).WithContext(place));
  if (bytes.size() != layout::kFooterFieldsBytes ||
      bytes.substr(0, layout::kFooterMagic.size()) != layout::kFooterMagic) {
    return DataLoss("magic of the footer is wrong").WithContext(place);
  }
  const char* p = bytes.data();
  PCR_RETURN_IF_ERROR(CheckVersion(LoadLittle16(p + 8), LoadLittle16(p + 10), LoadLittle32(p + 12))
                          .WithContext(place));
  Footer footer;
  footer.major_version = LoadLittle16(p + 8);
  footer.minor_version = LoadLittle16(p + 10);
  footer.index_offset = LoadLittle64(p + 16);
  footer.index_frame_size = LoadLittle64(p + 24);
  footer.num_records = LoadLittle64(p + 32);
  footer.num_examples = LoadLittle64(p + 40);
  footer.contents_checksum = LoadLittle32(p + 48);
  footer.index_checksum = LoadLittle32(p + 52);
  footer.footer_checksum = frame.value().checksum;
  if (footer.index_offset > offset || footer.index_frame_size != offset - footer.index_offset) {
    return DataLoss(Expected("the index ends where the footer begins", offset,
                             std::to_string(footer.index_offset) + " + " +
                                 std::to_string(footer.index_frame_size)))
        .WithContext(place);
  }
  if (footer.index_frame_size > layout::kMaxFrameBytes) {
    return DataLoss(Expected("size of the index frame",
                             "at most " + std::to_string(layout::kMaxFrameBytes),
                             footer.index_frame_size))
        .WithContext(place);
  }
  return footer;
}

}  // namespace pcr
