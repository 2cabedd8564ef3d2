#include "ops/base/clean_exit.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace pcr {

void SkipStaticDestructorsAtExit() {
#ifdef __GLIBC__
  static std::once_flag once;
  std::call_once(once, [] {
    // Handlers run in the reverse order of their registration, destructors among them. Unlike a
    // handler of atexit, one of on_exit gets the status.
    on_exit(
        [](int status, void* /*unused*/) {
          std::fflush(nullptr);
          _exit(status);
        },
        nullptr);
  });
#endif
}

}  // namespace pcr
