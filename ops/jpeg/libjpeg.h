// libjpeg with errors as values. Included only inside ops/jpeg.
//
// libjpeg reports errors through a callback that must not return. Here the callback
// jumps back into JpegErrors::Run(), over the frames of libjpeg and of the function
// that Run() was given. Such a function therefore must hold no object with a destructor
// across a libjpeg call.

#ifndef PCR_OPS_JPEG_LIBJPEG_H_
#define PCR_OPS_JPEG_LIBJPEG_H_

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <string_view>

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

// Error manager of one or more libjpeg objects.
class JpegErrors {
 public:
  explicit JpegErrors(JpegWarnings warnings = JpegWarnings::kAreErrors);
  JpegErrors(const JpegErrors&) = delete;
  JpegErrors& operator=(const JpegErrors&) = delete;

  // Makes a zeroed libjpeg object, not created yet, report here.
  template <typename Info>
  void Watch(Info* info) {
    info->err = &manager_;
    info->client_data = this;
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

  jpeg_error_mgr manager_;
  JpegWarnings warnings_;
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX];
  int code_ = 0;
};

// A decompressor. It is made afresh for each image: libjpeg keeps quantization and
// Huffman tables from one image to the next, so an image without its own would
// otherwise be decoded differently after different predecessors.
class JpegReader {
 public:
  explicit JpegReader(JpegErrors* errors) : info_() { errors->Watch(&info_); }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  // Reads all coefficients of `jpeg`, which must outlive the reader. Once, inside Run().
  void ReadCoefficients(std::string_view jpeg);

  jpeg_decompress_struct* info() { return &info_; }
  jvirt_barray_ptr* coefficients() { return coefficients_; }

 private:
  jpeg_decompress_struct info_;
  jvirt_barray_ptr* coefficients_ = nullptr;
};

// A compressor into memory.
class JpegWriter {
 public:
  explicit JpegWriter(JpegErrors* errors) : info_(), destination_() { errors->Watch(&info_); }
  ~JpegWriter();
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

  // Makes info() a compressor that writes to output(). Once, inside Run().
  void Create();

  jpeg_compress_struct* info() { return &info_; }
  // What jpeg_finish_compress() completed. Valid until the thread's next JpegWriter.
  std::string_view output() const { return {output_, output_bytes_}; }

 private:
  struct Destination : jpeg_destination_mgr {
    JpegWriter* writer;
  };

  static void InitDestination(j_compress_ptr info);
  static boolean EmptyOutputBuffer(j_compress_ptr info);
  static void TermDestination(j_compress_ptr info);

  jpeg_compress_struct info_;
  Destination destination_;
  const char* output_ = nullptr;
  size_t output_bytes_ = 0;
};

}  // namespace pcr

#endif  // PCR_OPS_JPEG_LIBJPEG_H_
