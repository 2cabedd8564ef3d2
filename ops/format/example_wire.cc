#include "ops/format/example_wire.h"

#include <algorithm>
#include <map>

#include "ops/base/byte_reader.h"
#include "ops/base/byte_writer.h"

namespace pcr {
namespace {

enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

constexpr uint64_t kMaxFieldNumber = (uint64_t{1} << 29) - 1;

struct Field {
  uint64_t number = 0;
  uint64_t wire_type = 0;
  uint64_t varint = 0;       // kVarint
  std::string_view payload;  // the other types
  std::string_view encoded;  // tag and value
};

Status Malformed(std::string_view what) {
  return DataLoss("not a serialized tf.train.Example: " + std::string(what));
}

// Calls visit(const Field&) -> Status for each field of a message.
template <typename Visitor>
Status ForEachField(std::string_view message, std::string_view name, Visitor visit) {
  ByteReader reader(message);
  uint64_t position = 0;
  while (!reader.empty()) {
    Field field;
    uint64_t tag = 0;
    bool ok = reader.ReadVarint(&tag);
    field.number = tag >> 3;
    field.wire_type = tag & 7;
    if (ok) {
      switch (field.wire_type) {
        case kVarint:
          ok = reader.ReadVarint(&field.varint);
          break;
        case kFixed64:
          ok = reader.ReadBytes(8, &field.payload);
          break;
        case kFixed32:
          ok = reader.ReadBytes(4, &field.payload);
          break;
        case kLengthDelimited:
          ok = reader.ReadLengthDelimited(&field.payload);
          break;
        default:
          ok = false;  // groups have never been valid in these messages
      }
    }
    if (!ok || field.number == 0 || field.number > kMaxFieldNumber) {
      return Malformed("bad field at byte " + std::to_string(position) + " of its " +
                       std::string(name));
    }
    const uint64_t end = message.size() - reader.remaining();
    field.encoded = message.substr(position, end - position);
    position = end;
    PCR_RETURN_IF_ERROR(visit(field));
  }
  return Status();
}

bool IsMessage(const Field& field, uint64_t number) {
  return field.number == number && field.wire_type == kLengthDelimited;
}

Status ParseFeature(std::string_view message, FeatureView* feature) {
  return ForEachField(message, "Feature", [feature](const Field& field) {
    if (field.wire_type != kLengthDelimited || field.number < 1 || field.number > 3) {
      return Status();
    }
    const auto kind = static_cast<FeatureKind>(field.number);
    if (kind != feature->kind) feature->list_parts.clear();  // a oneof: the last one set wins
    feature->kind = kind;
    feature->list_parts.push_back(field.payload);
    return Status();
  });
}

Status ParseMapEntry(std::string_view message, FeatureView* feature) {
  return ForEachField(message, "map entry", [feature](const Field& field) {
    if (IsMessage(field, 1)) feature->name = field.payload;
    if (IsMessage(field, 2)) return ParseFeature(field.payload, feature);
    return Status();
  });
}

Status DecodeInts(const FeatureView& feature, std::vector<int64_t>* values) {
  for (const std::string_view part : feature.list_parts) {
    PCR_RETURN_IF_ERROR(ForEachField(part, "Int64List", [values](const Field& field) {
      if (field.number != 1) return Status();
      if (field.wire_type == kVarint) {
        values->push_back(static_cast<int64_t>(field.varint));
      } else if (field.wire_type == kLengthDelimited) {
        // Once only: to reserve for each of many small lists would copy all before it each time.
        if (values->empty()) values->reserve(field.payload.size() / 2);
        ByteReader reader(field.payload);
        uint64_t value = 0;
        while (!reader.empty()) {
          if (!reader.ReadVarint(&value)) return Malformed("bad varint in a packed Int64List");
          values->push_back(static_cast<int64_t>(value));
        }
      }
      return Status();
    }));
  }
  return Status();
}

Status Find(const std::vector<FeatureView>& features, std::string_view name, FeatureKind kind,
            const FeatureView** found) {
  for (const FeatureView& feature : features) {
    if (feature.name != name) continue;
    if (feature.kind != kind) {
      return DataLoss("feature " + std::string(name) + " is of the wrong kind");
    }
    *found = &feature;
    return Status();
  }
  return DataLoss("feature " + std::string(name) + " is missing");
}

Status CheckCount(std::string_view name, int64_t expected, size_t got) {
  if (expected == ExampleView::kAnyCount || static_cast<size_t>(expected) == got) return Status();
  return DataLoss(Expected("number of values of " + std::string(name), expected, got));
}

}  // namespace

Result<ExampleView> ExampleView::Parse(std::string_view example) {
  ExampleView view;
  // Ordered, not hashed: no choice of names makes it slow.
  std::map<std::string_view, size_t> positions;
  Status status = ForEachField(example, "Example", [&](const Field& field) {
    if (!IsMessage(field, 1)) return Status();
    return ForEachField(field.payload, "Features", [&](const Field& entry) {
      if (!IsMessage(entry, 1)) return Status();
      FeatureView feature;
      PCR_RETURN_IF_ERROR(ParseMapEntry(entry.payload, &feature));
      const auto [at, is_new] = positions.try_emplace(feature.name, view.features_.size());
      if (is_new) {
        view.features_.push_back(std::move(feature));
      } else {
        view.features_[at->second] = std::move(feature);
      }
      return Status();
    });
  });
  if (!status.ok()) return status;
  return view;
}

Result<std::vector<std::string_view>> DecodeBytesList(const FeatureView& feature) {
  std::vector<std::string_view> values;
  for (const std::string_view part : feature.list_parts) {
    PCR_RETURN_IF_ERROR(ForEachField(part, "BytesList", [&values](const Field& field) {
      if (IsMessage(field, 1)) values.push_back(field.payload);
      return Status();
    }));
  }
  return values;
}

bool ExampleView::Has(std::string_view name) const {
  return std::any_of(features_.begin(), features_.end(),
                     [name](const FeatureView& feature) { return feature.name == name; });
}

Result<std::vector<std::string_view>> ExampleView::Bytes(std::string_view name,
                                                         int64_t count) const {
  const FeatureView* feature = nullptr;
  PCR_RETURN_IF_ERROR(Find(features_, name, FeatureKind::kBytes, &feature));
  PCR_ASSIGN_OR_RETURN(auto values, DecodeBytesList(*feature));
  PCR_RETURN_IF_ERROR(CheckCount(name, count, values.size()));
  return values;
}

Result<std::vector<int64_t>> ExampleView::Ints(std::string_view name, int64_t count) const {
  const FeatureView* feature = nullptr;
  PCR_RETURN_IF_ERROR(Find(features_, name, FeatureKind::kInt, &feature));
  std::vector<int64_t> values;
  PCR_RETURN_IF_ERROR(DecodeInts(*feature, &values));
  PCR_RETURN_IF_ERROR(CheckCount(name, count, values.size()));
  return values;
}

Result<std::vector<uint64_t>> ExampleView::Sizes(std::string_view name, int64_t count) const {
  PCR_ASSIGN_OR_RETURN(const auto ints, Ints(name, count));
  for (const int64_t value : ints) {
    if (value < 0) {
      return DataLoss(Expected("values of " + std::string(name), "none negative", value));
    }
  }
  return std::vector<uint64_t>(ints.begin(), ints.end());
}

Result<std::string_view> ExampleView::OneBytes(std::string_view name) const {
  PCR_ASSIGN_OR_RETURN(const auto values, Bytes(name, 1));
  return values.front();
}

Result<uint64_t> ExampleView::OneSize(std::string_view name) const {
  PCR_ASSIGN_OR_RETURN(const auto values, Sizes(name, 1));
  return values.front();
}

Result<std::string> WithoutFeatures(std::string_view example,
                                    const std::vector<std::string_view>& names) {
  std::string out;
  out.reserve(example.size());
  Status status = ForEachField(example, "Example", [&](const Field& field) {
    if (!IsMessage(field, 1)) {
      out.append(field.encoded);
      return Status();
    }
    std::string kept;
    PCR_RETURN_IF_ERROR(ForEachField(field.payload, "Features", [&](const Field& entry) {
      FeatureView feature;
      if (IsMessage(entry, 1)) PCR_RETURN_IF_ERROR(ParseMapEntry(entry.payload, &feature));
      const bool drop =
          IsMessage(entry, 1) && std::find(names.begin(), names.end(), feature.name) != names.end();
      if (!drop) kept.append(entry.encoded);
      return Status();
    }));
    out.push_back(kTagField1);
    AppendLengthDelimited(kept, &out);
    return Status();
  });
  if (!status.ok()) return status;
  return out;
}

void ExampleBuilder::AddFeature(std::string_view name, FeatureKind kind, std::string_view list) {
  const auto field_size = [](uint64_t payload) { return 1 + VarintSize(payload) + payload; };
  const uint64_t feature_size = field_size(list.size());
  const uint64_t entry_size = field_size(name.size()) + field_size(feature_size);
  features_.reserve(features_.size() + field_size(entry_size));
  features_.push_back(kTagField1);
  AppendVarint(entry_size, &features_);
  features_.push_back(kTagField1);
  AppendLengthDelimited(name, &features_);
  features_.push_back(kTagField2);
  AppendVarint(feature_size, &features_);
  features_.push_back(static_cast<char>(static_cast<int>(kind) << 3 | kLengthDelimited));
  AppendLengthDelimited(list, &features_);
}

void ExampleBuilder::AddBytes(std::string_view name, const std::vector<std::string_view>& values) {
  std::string list;
  size_t size = 0;
  for (const std::string_view value : values) size += 11 + value.size();
  list.reserve(size);
  for (const std::string_view value : values) {
    list.push_back(kTagField1);
    AppendLengthDelimited(value, &list);
  }
  AddFeature(name, FeatureKind::kBytes, list);
}

void ExampleBuilder::AddInts(std::string_view name, const std::vector<uint64_t>& values) {
  std::string list;
  if (!values.empty()) {
    std::string packed;
    for (const uint64_t value : values) AppendVarint(value, &packed);
    list.push_back(kTagField1);
    AppendLengthDelimited(packed, &list);
  }
  AddFeature(name, FeatureKind::kInt, list);
}

std::string ExampleBuilder::Finish() const {
  std::string example;
  example.reserve(features_.size() + 11);
  example.push_back(kTagField1);
  AppendLengthDelimited(features_, &example);
  return example;
}

}  // namespace pcr
