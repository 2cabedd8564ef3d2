// The wire format of tf.train.Example, without protobuf: a parser that accepts
// whatever protobuf accepts, and a builder whose output depends on nothing but
// its input.
//
//   Example  { Features features = 1; }
//   Features { map<string, Feature> feature = 1; }
//   Feature  { oneof { BytesList = 1; FloatList = 2; Int64List = 3; } }
//   each list { repeated value = 1; }

#ifndef PCR_OPS_FORMAT_EXAMPLE_WIRE_H_
#define PCR_OPS_FORMAT_EXAMPLE_WIRE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

enum class FeatureKind { kNone = 0, kBytes = 1, kFloat = 2, kInt = 3 };

// A feature of a parsed example. The list may come in parts: protobuf merges
// repeated occurrences of a message. Views into the parsed bytes.
struct FeatureView {
  std::string_view name;
  FeatureKind kind = FeatureKind::kNone;
  std::vector<std::string_view> list_parts;
};

// Parses one level of a serialized tf.train.Example and keeps views into it.
class ExampleView {
 public:
  static Result<ExampleView> Parse(std::string_view example);

  // All features in wire order, a later occurrence of a name replacing the earlier.
  const std::vector<FeatureView>& features() const { return features_; }

  bool Has(std::string_view name) const;
  // The feature's values; DATA_LOSS if it is absent, of another kind, or not
  // of `count` values (kAnyCount: any).
  static constexpr int64_t kAnyCount = -1;
  Result<std::vector<std::string_view>> Bytes(std::string_view name,
                                              int64_t count = kAnyCount) const;
  Result<std::vector<int64_t>> Ints(std::string_view name, int64_t count = kAnyCount) const;
  // As Ints, and none is negative.
  Result<std::vector<uint64_t>> Sizes(std::string_view name, int64_t count = kAnyCount) const;
  // One value.
  Result<std::string_view> OneBytes(std::string_view name) const;
  Result<uint64_t> OneSize(std::string_view name) const;

 private:
  std::vector<FeatureView> features_;
};

// The values of a bytes feature.
Result<std::vector<std::string_view>> DecodeBytesList(const FeatureView& feature);

// `example` without the features named: every other byte that carries
// information (other features, unknown fields) is kept, in order.
Result<std::string> WithoutFeatures(std::string_view example,
                                    const std::vector<std::string_view>& names);

// Builds a serialized tf.train.Example, features in the order added.
class ExampleBuilder {
 public:
  void AddBytes(std::string_view name, const std::vector<std::string_view>& values);
  void AddInts(std::string_view name, const std::vector<uint64_t>& values);
  std::string Finish() const;

 private:
  void AddFeature(std::string_view name, FeatureKind kind, std::string_view list);
  std::string features_;
};

// Tags of the messages above, for those who write them into a buffer of their own.
inline constexpr char kTagField1 = 0x0a;  // field 1, length-delimited
inline constexpr char kTagField2 = 0x12;  // field 2, length-delimited

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_EXAMPLE_WIRE_H_
