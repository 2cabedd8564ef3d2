// The orientation that a JPEG's EXIF gives it.

#ifndef PCR_OPS_JPEG_SYNTAX_EXIF_ORIENTATION_H_
#define PCR_OPS_JPEG_SYNTAX_EXIF_ORIENTATION_H_

#include <string_view>

namespace pcr {

// What EXIF calls upright: row 0 is the top, column 0 the left side.
inline constexpr int kUprightOrientation = 1;
inline constexpr int kMaxOrientation = 8;

// The EXIF orientation of a JPEG, 1 to 8: tag 0x0112 in IFD 0 of the first Exif segment (APP1 that
// begins with "Exif\0\0") in front of the first scan, one SHORT, in either byte order. Of several
// such entries the last counts, as in other readers. kUprightOrientation where there is none, where
// it is malformed, or where the bytes are no JPEG. XMP is not asked.
//
// The input may be hostile: nothing outside it is read.
int ExifOrientation(std::string_view jpeg);

}  // namespace pcr

#endif  // PCR_OPS_JPEG_SYNTAX_EXIF_ORIENTATION_H_
