// libjpeg with errors as values. Included only inside ops/jpeg.
//
// libjpeg reports errors through a callback that must not return. Here the callback
// jumps back into JpegErrors::Run(), over the frames of libjpeg and of the function
// that Run() was given. Such a function therefore must hold no object with a destructor
// across a libjpeg call.

#ifndef PCR_OPS_JPEG_LIBJPEG_LIBJPEG_H_
#define PCR_OPS_JPEG_LIBJPEG_LIBJPEG_H_

#include <csetjmp>
#include <cstddef>
#include <cstdio>

// jpeglib.h needs size_t and FILE.
#include <jpeglib.h>
// After jpeglib.h.
#include <jerror.h>

namespace pcr {

// What a libjpeg warning means: libjpeg then decodes something, but not what the encoder
// meant.
enum class JpegWarnings {
  kAreErrors,
  // But for the end of the input (JWRN_JPEG_EOF), always an error.
  kAreTolerated,
};

// Error manager of one or more libjpeg objects, whose client_data it leaves free.
class JpegErrors : private jpeg_error_mgr {
 public:
  explicit JpegErrors(JpegWarnings warnings = JpegWarnings::kAreErrors);
  JpegErrors(const JpegErrors&) = delete;
  JpegErrors& operator=(const JpegErrors&) = delete;

  // Makes a zeroed libjpeg object, not created yet, report here.
  template <typename Info>
  void Watch(Info* info) {
    info->err = this;
  }

  // Calls body(); false if a libjpeg error or warning ended it. Not reentrant.
  template <typename Body>
  bool Run(const Body& body) {
    message_[0] = '\0';
    code_ = 0;
    if (setjmp(jump_) != 0) return false;
    body();
    return true;
  }

  // After Run() returned false: libjpeg's text and its code (jerror.h).
  const char* message() const { return message_; }
  int code() const { return code_; }

 private:
  static void Exit(j_common_ptr info);
  static void EmitMessage(j_common_ptr info, int level);
  static void OutputMessage(j_common_ptr info);

  JpegWarnings warnings_;
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX];
  int code_ = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_LIBJPEG_LIBJPEG_H_
