// How a stored image is turned upright, and where things of one are in the other.

#ifndef PCR_OPS_AUGMENT_TURN_H_
#define PCR_OPS_AUGMENT_TURN_H_

#include "ops/augment/crop.h"

namespace pcr {

// The turned image is the stored one, first mirrored, then transposed, where it says so. By
// default nothing is turned.
struct Turn {
  bool mirrors_columns = false;  // left to right
  bool mirrors_rows = false;     // top to bottom
  bool transposes = false;       // rows become columns
};

// What turns an image of an EXIF orientation of 1 to 8 upright.
Turn UprightTurn(int orientation);

// The turn, and then a flip of the turned image from left to right.
Turn Flipped(Turn turn);

// The part of the stored image, of stored_width x stored_height, that a window of the turned image
// shows.
CropWindow StoredWindow(const CropWindow& turned, const Turn& turn, int stored_width,
                        int stored_height);

}  // namespace pcr

#endif  // PCR_OPS_AUGMENT_TURN_H_
