// RecordPrefix: a record read up to a fidelity, checked, and its examples put
// together again (docs/FORMAT.md, sections 9 and 10).

#ifndef PCR_OPS_FORMAT_RECORD_PREFIX_H_
#define PCR_OPS_FORMAT_RECORD_PREFIX_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"
#include "ops/format/dataset_index.h"
#include "ops/format/example_wire.h"
#include "ops/format/record_metadata.h"

namespace pcr {

// Views into the prefix's bytes, which must outlive it, and the ancillary
// stream's bytes, which it holds. Safe to use from
// several threads at once.
class RecordPrefix {
 public:
  // Called once with the number of bytes that the ancillary stream inflates to,
  // if any, before it is inflated. Its error is Parse's.
  using BeforeInflating = std::function<Status(uint64_t bytes)>;

  // `bytes` is the range index.Prefix(record, scan_groups). Errors name the
  // shard, the record, the scan group and the byte.
  static Result<RecordPrefix> Parse(const DatasetIndex& index, uint64_t record, int scan_groups,
                                    std::string_view bytes,
                                    const BeforeInflating& before_inflating = nullptr);

  // Bytes that the ancillary stream of a record inflates to, as its metadata frame has it: what a
  // reader may count before it reads the rest. Errors as Parse's, without a place.
  static Result<uint64_t> AncillaryBytes(const DatasetIndex& index,
                                         std::string_view metadata_frame);

  const RecordMetadata& metadata() const { return metadata_; }
  uint64_t num_examples() const { return metadata_.num_examples(); }

  // Size of example n as a serialized tf.train.Example.
  uint64_t ExampleBytes(uint64_t n) const;
  // Writes it; `out` has room for ExampleBytes(n).
  void WriteExample(uint64_t n, char* out) const;

  // The same for image m of the record alone.
  uint64_t ImageBytes(uint64_t m) const;
  // Returns the position after the image.
  char* WriteImage(uint64_t m, char* out) const;
  // The example that image m belongs to, and its image feature.
  struct Owner {
    uint64_t example;
    int feature;
  };
  Owner OwnerOf(uint64_t m) const;

 private:
  // Inflates the stream of the last group's frame.
  Status TakeAncillary(const ExampleView& last_group, const BeforeInflating& before_inflating);
  // DATA_LOSS unless slice 1 of each progressive image begins with SOI.
  Status CheckStarts() const;
  std::string_view Slice(int group, uint64_t m) const;
  // Whether image m gets the segment of its orientation: at full fidelity its own comes back.
  bool HasOrientationSegment(uint64_t m) const {
    return metadata_.orientations[m] != 0 && !at_full_fidelity();
  }
  bool at_full_fidelity() const { return static_cast<int>(groups_.size()) == num_groups_; }
  // An image feature of an example that has images, with the sizes of the
  // messages around them.
  struct ImageFeature {
    int feature;
    uint64_t first_image;
    uint64_t count;
    uint64_t list_size;     // of the BytesList message
    uint64_t feature_size;  // of the Feature message
    uint64_t entry_size;    // of the map entry
  };
  template <typename Visitor>
  void ForEachImageFeature(uint64_t n, Visitor visit) const;
  // Size of the Features message that holds the images of example n; 0 without images.
  uint64_t ImageFeaturesBytes(uint64_t n) const;

  int num_groups_ = 0;
  std::vector<std::string_view> image_features_;  // views into the index's header
  RecordMetadata metadata_;
  std::vector<uint64_t> first_image_;     // [N + 1]
  std::vector<std::string_view> groups_;  // [g]: pcr/data of each group read
  std::vector<uint64_t> slice_offsets_;   // [g x M], into the group's data
  // At full fidelity: ancillary, then trailing bytes of each image, and where those of image m
  // begin.
  std::string ancillary_;
  std::vector<uint64_t> ancillary_begins_;  // [M]
};

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_RECORD_PREFIX_H_
