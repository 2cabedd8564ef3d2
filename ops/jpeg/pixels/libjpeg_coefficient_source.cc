#include "ops/jpeg/pixels/libjpeg_coefficient_source.h"

#include <algorithm>

#include "ops/base/check.h"

namespace pcr {
namespace {

// Ends the input where the source ends before the image does.
boolean GiveEoi(j_decompress_ptr info) {
  static const JOCTET kEoi[] = {0xff, JPEG_EOI};
  info->src->next_input_byte = kEoi;
  info->src->bytes_in_buffer = sizeof kEoi;
  return TRUE;
}

// Pixels are to be made of the coefficients as they are, those of the last row included.
void PretendAllIsRead(jpeg_decompress_struct* info) {
  info->input_iMCU_row = info->total_iMCU_rows;
}

}  // namespace

bool LibjpegCoefficientSource::StartSequential(SequentialScan* scan, jpeg_decompress_struct* info,
                                               JpegErrors* errors) {
  PCR_DCHECK(scan != nullptr);
  Attach(scan, info);
  info->mem->access_virt_barray = AccessStreamed;
  const bool started = errors->Run([info] {
    jpeg_start_decompress(info);
    PretendAllIsRead(info);
    jpeg_start_output(info, info->input_scan_number);
  });
  return started && num_arrays_ == info->num_components;
}

bool LibjpegCoefficientSource::StartProgressive(std::string_view jpeg, const JpegLayout& layout,
                                                jpeg_decompress_struct* info, JpegErrors* errors) {
  PCR_DCHECK(HasPlainProgression(jpeg, layout));
  Attach(nullptr, info);
  // libjpeg takes an image of (nearly) no data for complete.
  info->src->fill_input_buffer = GiveEoi;
  // Smoothing is guided by how far the first scan's data went.
  const auto at = reinterpret_cast<const char*>(info->src->next_input_byte) - jpeg.data();
  info->src->bytes_in_buffer = info->do_block_smoothing ? layout.scans[0].end - at : 0;
  const bool read = errors->Run([info] {
    jpeg_start_decompress(info);
    if (!info->do_block_smoothing) {
      PretendAllIsRead(info);
      return;
    }
    while (jpeg_consume_input(info) != JPEG_REACHED_EOI) {
    }
  });
  if (!read || num_arrays_ != info->num_components) return false;
  planes_.resize(info->num_components);
  for (int c = 0; c < info->num_components; ++c) {
    planes_[c].width = static_cast<int>(info->comp_info[c].width_in_blocks);
    planes_[c].height = static_cast<int>(info->comp_info[c].height_in_blocks);
    planes_[c].rows.resize(planes_[c].height);
  }
  if (!errors->Run([this, info] { FindRows(info); })) return false;
  if (!DecodeProgressiveScans(jpeg, layout, LeftoverData::kIsIgnored, &planes_)) return false;
  for (int c = 0; c < info->num_components; ++c) {
    std::copy_n(planes_[c].missing_bits.begin(), DCTSIZE2, info->coef_bits[c]);
  }
  return errors->Run([info] { jpeg_start_output(info, info->input_scan_number); });
}

void LibjpegCoefficientSource::Attach(SequentialScan* scan, jpeg_decompress_struct* info) {
  num_arrays_ = 0;
  scan_ = scan;
  request_ = info->mem->request_virt_barray;
  info->client_data = this;
  info->mem->request_virt_barray = RequestArray;
  info->buffered_image = TRUE;
}

void LibjpegCoefficientSource::FindRows(jpeg_decompress_struct* info) {
  const auto common = reinterpret_cast<j_common_ptr>(info);
  for (int c = 0; c < info->num_components; ++c) {
    for (int y = 0; y < planes_[c].height; ++y) {
      planes_[c].rows[y] = info->mem->access_virt_barray(common, arrays_[c], y, 1, TRUE)[0];
    }
  }
}

jvirt_barray_ptr LibjpegCoefficientSource::RequestArray(j_common_ptr info, int pool, boolean zeroed,
                                                        JDIMENSION width, JDIMENSION height,
                                                        JDIMENSION max_access) {
  auto* const self = static_cast<LibjpegCoefficientSource*>(info->client_data);
  const int component = self->num_arrays_;
  if (component >= MAX_COMPONENTS) {
    return self->request_(info, pool, zeroed, width, height, max_access);
  }
  ++self->num_arrays_;
  jvirt_barray_ptr& array = self->arrays_[component];
  if (self->scan_ != nullptr) {
    StreamedArray& streamed = self->streamed_[component];
    const auto* const decompress = reinterpret_cast<const jpeg_decompress_struct*>(info);
    streamed = {self->scan_, component, decompress->comp_info[component].v_samp_factor};
    array = reinterpret_cast<jvirt_barray_ptr>(&streamed);
  } else {
    array = self->request_(info, pool, zeroed, width, height, max_access);
  }
  return array;
}

JBLOCKARRAY LibjpegCoefficientSource::AccessStreamed(j_common_ptr info, jvirt_barray_ptr array,
                                                     JDIMENSION first_row, JDIMENSION /*num_rows*/,
                                                     boolean /*writable*/) {
  const auto* const self = reinterpret_cast<const StreamedArray*>(array);
  const JBLOCKARRAY rows = self->scan->Rows(self->component, static_cast<int>(first_row) / self->v);
  if (rows == nullptr) ERREXIT(info, JERR_BAD_VIRTUAL_ACCESS);
  return rows;
}

}  // namespace pcr
