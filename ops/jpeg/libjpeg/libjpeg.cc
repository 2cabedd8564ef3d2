#include "ops/jpeg/libjpeg/libjpeg.h"

namespace pcr {

JpegErrors::JpegErrors(JpegWarnings warnings) : jpeg_error_mgr(), warnings_(warnings), message_() {
  jpeg_std_error(this);
  error_exit = Exit;
  emit_message = EmitMessage;
  output_message = OutputMessage;
}

void JpegErrors::Exit(j_common_ptr info) {
  auto* const self = static_cast<JpegErrors*>(info->err);
  self->code_ = info->err->msg_code;
  info->err->format_message(info, self->message_);
  std::longjmp(self->jump_, 1);
}

void JpegErrors::EmitMessage(j_common_ptr info, int level) {
  if (level >= 0) return;
  const auto* const self = static_cast<const JpegErrors*>(info->err);
  if (self->warnings_ == JpegWarnings::kAreErrors || info->err->msg_code == JWRN_JPEG_EOF) {
    Exit(info);
  }
}

void JpegErrors::OutputMessage(j_common_ptr) {}

}  // namespace pcr
