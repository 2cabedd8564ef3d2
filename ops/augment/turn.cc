#include "ops/augment/turn.h"

#include <utility>

namespace pcr {

Turn UprightTurn(int orientation) {
  Turn turn;
  turn.mirrors_columns =
      orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  turn.mirrors_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  turn.transposes = orientation >= 5;
  return turn;
}

Turn Flipped(Turn turn) {
  bool& mirrors = turn.transposes ? turn.mirrors_rows : turn.mirrors_columns;
  mirrors = !mirrors;
  return turn;
}

CropWindow StoredWindow(const CropWindow& turned, const Turn& turn, int stored_width,
                        int stored_height) {
  CropWindow stored = turned;
  if (turn.transposes) {
    std::swap(stored.x, stored.y);
    std::swap(stored.width, stored.height);
  }
  if (turn.mirrors_columns) stored.x = stored_width - stored.x - stored.width;
  if (turn.mirrors_rows) stored.y = stored_height - stored.y - stored.height;
  return stored;
}

}  // namespace pcr
