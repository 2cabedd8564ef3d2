// The bare lossless transcode: what the conversion job is compared with.
//
//   bare_transcode PROCESSES < paths
//
// Reads each JPEG file that a line of the standard input names and re-codes it in memory with
// libjpeg's own standard progression and optimised Huffman tables, in PROCESSES processes at once.
// The result is dropped. Prints the number of images re-coded and the seconds that took.

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

// jpeglib.h needs size_t and FILE.
#include <jpeglib.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

struct ErrorManager {
  jpeg_error_mgr base;
  jmp_buf escape;
};

void Escape(j_common_ptr info) { longjmp(reinterpret_cast<ErrorManager*>(info->err)->escape, 1); }

void Ignore(j_common_ptr) {}

void InitializeErrors(ErrorManager* errors) {
  jpeg_std_error(&errors->base);
  errors->base.error_exit = Escape;
  errors->base.output_message = Ignore;
}

// Whether libjpeg could re-code `jpeg`.
bool Transcode(const std::vector<unsigned char>& jpeg) {
  jpeg_decompress_struct source = {};
  jpeg_compress_struct target = {};
  ErrorManager errors;
  InitializeErrors(&errors);
  source.err = target.err = &errors.base;
  unsigned char* out = nullptr;
  unsigned long out_bytes = 0;  // NOLINT(google-runtime-int): libjpeg's type.
  if (setjmp(errors.escape) != 0) {
    jpeg_destroy_compress(&target);
    jpeg_destroy_decompress(&source);
    free(out);
    return false;
  }
  jpeg_create_decompress(&source);
  jpeg_create_compress(&target);
  jpeg_mem_src(&source, jpeg.data(), jpeg.size());
  jpeg_read_header(&source, TRUE);
  jvirt_barray_ptr* coefficients = jpeg_read_coefficients(&source);
  jpeg_copy_critical_parameters(&source, &target);
  jpeg_simple_progression(&target);
  target.optimize_coding = TRUE;
  jpeg_mem_dest(&target, &out, &out_bytes);
  jpeg_write_coefficients(&target, coefficients);
  jpeg_finish_compress(&target);
  jpeg_finish_decompress(&source);
  jpeg_destroy_compress(&target);
  jpeg_destroy_decompress(&source);
  free(out);
  return true;
}

// Re-codes the files first, first + step, ... and returns how many libjpeg refused.
int TranscodeFiles(const std::vector<std::string>& paths, size_t first, size_t step) {
  int refused = 0;
  for (size_t i = first; i < paths.size(); i += step) {
    std::ifstream file(paths[i], std::ios::binary);
    const std::vector<unsigned char> jpeg((std::istreambuf_iterator<char>(file)),
                                          std::istreambuf_iterator<char>());
    if (jpeg.empty() || !Transcode(jpeg)) ++refused;
  }
  return refused;
}

}  // namespace

int main(int argc, char** argv) {
  const int processes = argc == 2 ? atoi(argv[1]) : 0;
  if (processes < 1) {
    fprintf(stderr, "usage: bare_transcode PROCESSES < paths\n");
    return 2;
  }
  std::vector<std::string> paths;
  for (std::string line; std::getline(std::cin, line);) paths.push_back(line);

  const auto begin = std::chrono::steady_clock::now();
  for (int p = 0; p < processes; ++p) {
    if (fork() == 0) _exit(TranscodeFiles(paths, p, processes) == 0 ? 0 : 1);
  }
  bool all_done = true;
  for (int status; wait(&status) > 0;) all_done = all_done && status == 0;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  printf("%zu %.6f\n", paths.size(), seconds.count());
  if (!all_done) fprintf(stderr, "some images could not be read or re-coded\n");
  return all_done ? 0 : 1;
}
