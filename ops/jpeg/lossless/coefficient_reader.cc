#include "ops/jpeg/lossless/coefficient_reader.h"

#include <cstddef>

#include "ops/jpeg/entropy/progressive_scans.h"

namespace pcr {

void CoefficientReader::ReadHeader(std::string_view jpeg) {
  jpeg_create_decompress(&info_);
  jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&info_, TRUE);
}

void CoefficientReader::Read(std::string_view jpeg) {
  ReadHeader(jpeg);
  jvirt_barray_ptr* const arrays = jpeg_read_coefficients(&info_);
  const auto common = reinterpret_cast<j_common_ptr>(&info_);
  rows_.resize(info_.num_components);
  for (int c = 0; c < info_.num_components; ++c) {
    rows_[c].resize(info_.comp_info[c].height_in_blocks);
    for (JDIMENSION y = 0; y < rows_[c].size(); ++y) {
      // libjpeg's arrays do not move.
      rows_[c][y] = info_.mem->access_virt_barray(common, arrays[c], y, 1, FALSE)[0];
    }
  }
}

bool CoefficientReader::ReadProgression(std::string_view jpeg, const JpegLayout& layout) {
  if (!HasPlainProgression(jpeg, layout)) return false;
  ReadHeader(jpeg);
  std::vector<CoefficientPlane> planes(info_.num_components);
  size_t num_blocks = 0;
  for (int c = 0; c < info_.num_components; ++c) {
    jpeg_component_info& component = info_.comp_info[c];
    if (component.quant_tbl_no < 0 || component.quant_tbl_no >= NUM_QUANT_TBLS) return false;
    // As libjpeg does at the first scan of the component, which is the first of all.
    component.quant_table = info_.quant_tbl_ptrs[component.quant_tbl_no];
    if (component.quant_table == nullptr) return false;
    planes[c].width = static_cast<int>(component.width_in_blocks);
    planes[c].height = static_cast<int>(component.height_in_blocks);
    num_blocks += size_t{component.width_in_blocks} * component.height_in_blocks;
  }
  blocks_.assign(num_blocks * DCTSIZE2, 0);
  auto* next = reinterpret_cast<CoefficientBlock*>(blocks_.data());
  rows_.resize(planes.size());
  for (size_t c = 0; c < planes.size(); ++c) {
    for (int y = 0; y < planes[c].height; ++y, next += planes[c].width) {
      planes[c].rows.push_back(next);
    }
    rows_[c].assign(planes[c].rows.begin(), planes[c].rows.end());
  }
  if (!DecodeProgressiveScans(jpeg, layout, LeftoverData::kIsRefused, &planes)) return false;
  for (const CoefficientPlane& plane : planes) {
    for (const int missing : plane.missing_bits) {
      if (missing != 0) return false;
    }
  }
  return true;
}

}  // namespace pcr
