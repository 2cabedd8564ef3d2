// The MCUs of a scan of several components (T.81 A.2.3), and the order of their blocks.

#ifndef PCR_OPS_JPEG_SYNTAX_MCUS_H_
#define PCR_OPS_JPEG_SYNTAX_MCUS_H_

#include <algorithm>

namespace pcr {

struct McuGrid {
  // Of all components of a frame, with sampling factors h and v.
  template <typename Components>
  McuGrid(int width, int height, const Components& components) {
    int max_h = 1;
    int max_v = 1;
    for (const auto& component : components) {
      max_h = std::max(max_h, component.h);
      max_v = std::max(max_v, component.v);
    }
    columns = (width + 8 * max_h - 1) / (8 * max_h);
    rows = (height + 8 * max_v - 1) / (8 * max_v);
  }

  int columns = 0;
  int rows = 0;
};

// Calls for_block(i, x, y) for each block of a row of MCUs in the order in which they are coded,
// those beyond the edges of a component included, until it returns false. component(i) is the i-th
// of the scan's, i < num_components.
template <typename ComponentAt, typename ForBlock>
bool ForBlocksOfMcuRow(const McuGrid& grid, int row, int num_components,
                       const ComponentAt& component, const ForBlock& for_block) {
  for (int column = 0; column < grid.columns; ++column) {
    for (int i = 0; i < num_components; ++i) {
      const int h = component(i).h;
      const int v = component(i).v;
      for (int y = row * v; y < (row + 1) * v; ++y) {
        for (int x = column * h; x < (column + 1) * h; ++x) {
          if (!for_block(i, x, y)) return false;
        }
      }
    }
  }
  return true;
}

}  // namespace pcr

#endif  // PCR_OPS_JPEG_SYNTAX_MCUS_H_
