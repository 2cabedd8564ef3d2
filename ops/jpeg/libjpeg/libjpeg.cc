#include "ops/jpeg/libjpeg/libjpeg.h"

namespace pcr {

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

}  // namespace pcr
