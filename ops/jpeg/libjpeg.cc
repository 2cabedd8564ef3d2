#include "ops/jpeg/libjpeg.h"

#include <cstdlib>

namespace pcr {
namespace {

constexpr size_t kFirstBufferBytes = size_t{256} << 10;
// Larger buffers are given back after the image that needed them.
constexpr size_t kKeptBufferBytes = size_t{16} << 20;

// Output of the thread's compressor. Grown with realloc(): nothing may throw through
// libjpeg's frames.
struct OutputBuffer {
  char* data = nullptr;
  size_t capacity = 0;

  bool Grow() {
    const size_t wanted = capacity == 0 ? kFirstBufferBytes : 2 * capacity;
    void* const grown = std::realloc(data, wanted);
    if (grown == nullptr) return false;
    data = static_cast<char*>(grown);
    capacity = wanted;
    return true;
  }
  void Free() {
    std::free(data);
    data = nullptr;
    capacity = 0;
  }
  ~OutputBuffer() { Free(); }
};

thread_local OutputBuffer output_buffer;

}  // namespace

JpegErrors::JpegErrors(JpegWarnings warnings) : manager_(), warnings_(warnings), message_() {
  jpeg_std_error(&manager_);
  manager_.error_exit = Exit;
  manager_.emit_message = EmitMessage;
  manager_.output_message = OutputMessage;
}

void JpegErrors::Exit(j_common_ptr info) {
  auto* const self = static_cast<JpegErrors*>(info->client_data);
  self->code_ = info->err->msg_code;
  info->err->format_message(info, self->message_);
  std::longjmp(self->jump_, 1);
}

void JpegErrors::EmitMessage(j_common_ptr info, int level) {
  if (level >= 0) return;
  const auto* const self = static_cast<const JpegErrors*>(info->client_data);
  if (self->warnings_ == JpegWarnings::kAreErrors || info->err->msg_code == JWRN_JPEG_EOF) {
    Exit(info);
  }
}

void JpegErrors::OutputMessage(j_common_ptr) {}

void JpegReader::ReadCoefficients(std::string_view jpeg) {
  jpeg_create_decompress(&info_);
  jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(jpeg.data()), jpeg.size());
  jpeg_read_header(&info_, TRUE);
  coefficients_ = jpeg_read_coefficients(&info_);
}

void JpegWriter::Create() {
  jpeg_create_compress(&info_);
  destination_.init_destination = InitDestination;
  destination_.empty_output_buffer = EmptyOutputBuffer;
  destination_.term_destination = TermDestination;
  destination_.writer = this;
  info_.dest = &destination_;
}

// Also right for a writer that was not created: its `mem` is null.
JpegWriter::~JpegWriter() {
  jpeg_destroy_compress(&info_);
  if (output_buffer.capacity > kKeptBufferBytes) output_buffer.Free();
}

void JpegWriter::InitDestination(j_compress_ptr info) {
  if (output_buffer.capacity == 0 && !output_buffer.Grow()) {
    ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
  }
  info->dest->next_output_byte = reinterpret_cast<JOCTET*>(output_buffer.data);
  info->dest->free_in_buffer = output_buffer.capacity;
}

// Called when the buffer is full; next_output_byte and free_in_buffer are stale then.
boolean JpegWriter::EmptyOutputBuffer(j_compress_ptr info) {
  const size_t used = output_buffer.capacity;
  if (!output_buffer.Grow()) ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
  info->dest->next_output_byte = reinterpret_cast<JOCTET*>(output_buffer.data + used);
  info->dest->free_in_buffer = output_buffer.capacity - used;
  return TRUE;
}

void JpegWriter::TermDestination(j_compress_ptr info) {
  JpegWriter* const self = static_cast<Destination*>(info->dest)->writer;
  self->output_ = output_buffer.data;
  self->output_bytes_ = output_buffer.capacity - info->dest->free_in_buffer;
}

}  // namespace pcr
