// A process exit that no library's destructors can spoil.

#ifndef PCR_OPS_BASE_CLEAN_EXIT_H_
#define PCR_OPS_BASE_CLEAN_EXIT_H_

namespace pcr {

// From now on exit() leaves out the static destructors, and the exit handlers,
// that were registered before this call; it flushes the C streams and keeps its
// status. Handlers registered later still run, and so does all that Python does
// at its end, which comes before exit(). Idempotent, thread-safe.
//
// For tensorflow-io, whose s3:// file system aborts the process from a static
// destructor: the client of the EC2 metadata service is destroyed after the log
// that its destructor writes to ("pure virtual method called", status 134).
// Call it when that library has been loaded. No effect where the C library is
// not glibc.
void SkipStaticDestructorsAtExit();

}  // namespace pcr

#endif  // PCR_OPS_BASE_CLEAN_EXIT_H_
