// Coefficients of our own decoders, from which libjpeg makes pixels.
//
// libjpeg has no way to say "here are the coefficients, make pixels". This unit makes one of its
// mode for images of several scans (buffered_image), in which the entropy decoder and the inverse
// DCT meet in arrays of coefficients only. It relies on these parts of
// libjpeg-turbo, some of which jpeglib.h declares but does not promise:
//
// - info->client_data survives jpeg_create_decompress and is never read by libjpeg. It points here
//   while an image is started.
// - info->mem->request_virt_barray: jpeg_start_decompress calls it, in buffered_image mode, once
//   for each component, in the order of the components, and before anything else calls it. The
//   jvirt_barray_ptr that it returns is only ever given back to the memory manager, and the arrays
//   that the manager did not make itself it never sees.
// - info->mem->access_virt_barray: the inverse DCT calls it for one row of MCUs at a time, with
//   `first_row` a multiple of the component's v_samp_factor. libjpeg's own arrays lie in memory as
//   a whole, and their rows do not move.
// - info->comp_info[c].v_samp_factor, width_in_blocks and height_in_blocks are set before the
//   arrays are requested.
// - info->input_iMCU_row, total_iMCU_rows and input_scan_number: jpeg_start_output waits for no
//   more input where input_iMCU_row has reached the end.
// - info->coef_bits: by it block smoothing is guided, and it may be overwritten before
//   jpeg_start_output. It is there for progressive images.
// - info->src->fill_input_buffer, next_input_byte and bytes_in_buffer: the documented interface of
//   a source of data.

#ifndef PCR_OPS_JPEG_PIXELS_LIBJPEG_COEFFICIENT_SOURCE_H_
#define PCR_OPS_JPEG_PIXELS_LIBJPEG_COEFFICIENT_SOURCE_H_

#include <string_view>
#include <vector>

#include "ops/jpeg/entropy/progressive_scans.h"
#include "ops/jpeg/entropy/sequential_scan.h"
#include "ops/jpeg/libjpeg/libjpeg.h"
#include "ops/jpeg/syntax/markers.h"

namespace pcr {

// Serves one libjpeg object, of which it must outlive every call. The object has read the image's
// header and has its options; it is watched by `errors`. Where a function returns false, the caller
// destroys the object and decodes the image with libjpeg alone.
class LibjpegCoefficientSource {
 public:
  LibjpegCoefficientSource() = default;
  LibjpegCoefficientSource(const LibjpegCoefficientSource&) = delete;
  LibjpegCoefficientSource& operator=(const LibjpegCoefficientSource&) = delete;

  // Starts output of a sequential image, whose rows of coefficients `scan`, a started one, decodes
  // as libjpeg asks for them. Damage that is found later is libjpeg's error
  // JERR_BAD_VIRTUAL_ACCESS.
  bool StartSequential(SequentialScan* scan, jpeg_decompress_struct* info, JpegErrors* errors);

  // Decodes all scans of a progressive image, of which HasPlainProgression, and starts output.
  bool StartProgressive(std::string_view jpeg, const JpegLayout& layout,
                        jpeg_decompress_struct* info, JpegErrors* errors);

 private:
  // Stands for an array of coefficients of which only the rows that libjpeg looks at exist.
  struct StreamedArray {
    SequentialScan* scan = nullptr;
    int component = 0;
    int v = 1;  // sampling factor
  };

  void Attach(SequentialScan* scan, jpeg_decompress_struct* info);
  void FindRows(jpeg_decompress_struct* info);

  static jvirt_barray_ptr RequestArray(j_common_ptr info, int pool, boolean zeroed,
                                       JDIMENSION width, JDIMENSION height, JDIMENSION max_access);
  static JBLOCKARRAY AccessStreamed(j_common_ptr info, jvirt_barray_ptr array, JDIMENSION first_row,
                                    JDIMENSION num_rows, boolean writable);

  int num_arrays_ = 0;
  // libjpeg's own, or with `scan_`, their stand-ins. In the order of the components.
  jvirt_barray_ptr arrays_[MAX_COMPONENTS] = {};
  StreamedArray streamed_[MAX_COMPONENTS];
  decltype(jpeg_memory_mgr::request_virt_barray) request_ = nullptr;  // libjpeg's own
  SequentialScan* scan_ = nullptr;
  std::vector<CoefficientPlane> planes_;
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_PIXELS_LIBJPEG_COEFFICIENT_SOURCE_H_
