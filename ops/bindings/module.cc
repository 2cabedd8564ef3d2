// pcr_tf._native: the TensorFlow-free core for Python. Each class and function
// here is one call into the core; pcr_tf/_native.pyi documents them.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "ops/base/clean_exit.h"
#include "ops/base/crc32c.h"
#include "ops/base/mutex.h"
#include "ops/base/status.h"
#include "ops/format/dataset_index.h"
#include "ops/format/example_images.h"
#include "ops/format/layout.h"
#include "ops/format/record_order.h"
#include "ops/format/record_prefix.h"
#include "ops/format/shard_index.h"
#include "ops/format/shard_names.h"
#include "ops/format/shard_writer.h"
#include "ops/jpeg/lossless/coefficients.h"
#include "ops/jpeg/lossless/transcode.h"
#include "ops/jpeg/syntax/exif_orientation.h"
#include "ops/jpeg/syntax/markers.h"
#include "ops/jpeg/syntax/scan_script.h"

namespace py = pybind11;

namespace pcr {

// The name of a file, as the operating system and the format have it: bytes. In Python it is a str
// with surrogates for those that the file system's encoding lacks (PEP 383), or bytes.
struct Name {
  std::string bytes;
};

}  // namespace pcr

namespace pybind11::detail {

template <>
struct type_caster<pcr::Name> {
  PYBIND11_TYPE_CASTER(pcr::Name, const_name("str"));

  bool load(handle source, bool /*convert*/) {
    object bytes = reinterpret_borrow<object>(source);
    if (PyUnicode_Check(source.ptr()) != 0) {
      bytes = reinterpret_steal<object>(
          PyUnicode_AsEncodedString(source.ptr(), "utf-8", "surrogateescape"));
    }
    if (!bytes || PyBytes_Check(bytes.ptr()) == 0) {
      PyErr_Clear();
      return false;
    }
    value.bytes.assign(PyBytes_AS_STRING(bytes.ptr()), PyBytes_GET_SIZE(bytes.ptr()));
    return true;
  }

  static handle cast(const pcr::Name& name, return_value_policy /*policy*/, handle /*parent*/) {
    return PyUnicode_DecodeFSDefaultAndSize(name.bytes.data(),
                                            static_cast<Py_ssize_t>(name.bytes.size()));
  }
};

}  // namespace pybind11::detail

namespace pcr {
namespace {

// Damaged data, as opposed to a caller's mistake.
class DataLossException : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void ThrowIfError(const Status& status) {
  switch (status.code()) {
    case Code::kOk:
      return;
    case Code::kInvalidArgument:
      throw py::value_error(ReadableUtf8(status.message()));
    case Code::kDataLoss:
      throw DataLossException(ReadableUtf8(status.message()));
    case Code::kResourceExhausted:
      throw std::bad_alloc();
    default:
      throw std::runtime_error(ReadableUtf8(status.message()));
  }
}

template <typename T>
T ValueOrThrow(Result<T> result) {
  ThrowIfError(result.status());
  return std::move(result).value();
}

std::string_view View(const py::bytes& bytes) { return std::string_view(bytes); }

struct PyCodedImage {
  Transcoded transcoded;
};

PyCodedImage PyTranscode(const py::bytes& image, const ScanScript& script, bool prove) {
  const std::string_view bytes = View(image);
  py::gil_scoped_release release;
  TranscodeOptions options;
  options.prove = prove;
  return {ValueOrThrow(Transcode(bytes, script, options))};
}

// What became of one image, without its bytes.
struct CodedImageSummary {
  std::string coding;
  std::string reason;
  std::string detail;
  uint64_t source_bytes = 0;
  uint64_t stored_bytes = 0;
  uint64_t ancillary_bytes = 0;
  std::vector<uint64_t> group_bytes;
  int exif_orientation = 1;
};

std::string CodingName(const Transcoded& transcoded) {
  return transcoded.image.coding == Coding::kProgressive ? "progressive" : "opaque";
}

CodedImageSummary Summarize(std::string_view source, const Transcoded& transcoded) {
  CodedImageSummary summary;
  summary.coding = CodingName(transcoded);
  summary.reason = OpaqueReasonName(transcoded.reason);
  summary.detail = transcoded.detail;
  summary.exif_orientation = transcoded.exif_orientation;
  summary.source_bytes = source.size();
  const CodedImage& image = transcoded.image;
  summary.group_bytes = image.group_sizes;
  summary.stored_bytes = image.scans.size();
  summary.ancillary_bytes = image.ancillary.size() + image.trailing.size();
  return summary;
}

// An example whose images are coded, ready to be added to a shard.
struct CodedExample {
  SplitExample split;
  std::vector<CodedImage> images;
  std::vector<CodedImageSummary> summaries;
  bool added = false;  // and so its images have moved to the writer
};

// ShardWriter with the transcode before it. Thread-safe: the GIL is released
// while the writer works, so another thread may call in.
class PyShardWriter {
 public:
  PyShardWriter(const ScanScript& script, std::vector<std::string> image_features,
                const std::string& created_by)
      : script_(script),
        image_features_(std::move(image_features)),
        writer_(MakeHeader(script, image_features_, created_by)) {}

  py::bytes Begin() {
    return Locked([](ShardWriter* writer) { return ValueOrThrow(writer->Begin()); });
  }

  CodedExample CodeExample(const py::bytes& example, bool prove) const {
    const std::string_view bytes = View(example);
    py::gil_scoped_release release;
    CodedExample coded;
    coded.split = ValueOrThrow(TakeImages(bytes, image_features_));
    TranscodeOptions options;
    options.prove = prove;
    for (const std::string_view source : coded.split.images) {
      Transcoded transcoded = ValueOrThrow(Transcode(source, script_, options));
      coded.summaries.push_back(Summarize(source, transcoded));
      coded.images.push_back(std::move(transcoded.image));
    }
    coded.split.images.clear();  // Views of bytes that are not kept.
    return coded;
  }

  void Add(CodedExample* coded) {
    py::gil_scoped_release release;
    MutexLock lock(&mutex_);
    if (coded->added) throw py::value_error("a coded example is added once");
    coded->added = true;
    ThrowIfError(writer_.Add(std::move(coded->split.stored), std::move(coded->split.image_counts),
                             std::move(coded->images)));
  }

  std::vector<CodedImageSummary> AddExample(const py::bytes& example, bool prove) {
    CodedExample coded = CodeExample(example, prove);
    Add(&coded);
    return std::move(coded.summaries);
  }

  py::bytes EndRecord() {
    return Locked([](ShardWriter* writer) { return ValueOrThrow(writer->EndRecord()); });
  }

  py::bytes Finish() {
    return Locked([](ShardWriter* writer) { return ValueOrThrow(writer->Finish()); });
  }

  // One of the writer's counts.
  template <typename Count>
  uint64_t Get(Count count) {
    return Locked([count](ShardWriter* writer) { return (writer->*count)(); });
  }

 private:
  // Never waits for the lock with the GIL held, which its owner may be about to want.
  template <typename Call>
  std::invoke_result_t<Call, ShardWriter*> Locked(Call call) {
    py::gil_scoped_release release;
    MutexLock lock(&mutex_);
    return call(&writer_);
  }

  static Header MakeHeader(const ScanScript& script, const std::vector<std::string>& image_features,
                           const std::string& created_by) {
    auto sorted = image_features;
    std::sort(sorted.begin(), sorted.end());
    if (sorted.empty() || sorted.front().empty() ||
        std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
      throw py::value_error("image_features are one or more distinct, non-empty keys");
    }
    Header header;
    header.scans_per_group.assign(script.scans_per_group().begin(), script.scans_per_group().end());
    header.scan_script = script.text();
    header.image_features = image_features;
    header.created_by = created_by;
    return header;
  }

  const ScanScript script_;
  const std::vector<std::string> image_features_;
  Mutex mutex_;
  ShardWriter writer_ PCR_GUARDED_BY(mutex_);
};

std::variant<ShardIndex, uint64_t> ShardIndexFromTail(const Name& name, const py::bytes& tail,
                                                      uint64_t file_bytes) {
  const uint64_t needed = [&] {
    auto result = ShardIndex::TailBytesNeeded(View(tail), file_bytes);
    ThrowIfError(result.status().WithContext(name.bytes));
    return result.value();
  }();
  if (needed > View(tail).size()) return needed;
  auto index = ShardIndex::Parse(View(tail), file_bytes);
  ThrowIfError(index.status().WithContext(name.bytes));
  return std::move(index).value();
}

DatasetIndex DatasetIndexFromBytes(const Name& name, const py::bytes& data) {
  const std::string_view bytes = View(data);
  py::gil_scoped_release release;
  auto index = DatasetIndex::Parse(bytes);
  ThrowIfError(index.status().WithContext(name.bytes));
  return std::move(index).value();
}

DatasetIndex DatasetIndexFromShards(const std::vector<std::pair<Name, const ShardIndex*>>& shards) {
  if (shards.empty()) throw py::value_error("a data set has at least one shard");
  DatasetIndex index;
  for (const auto& [name, shard] : shards) ThrowIfError(index.Add(name.bytes, *shard));
  return index;
}

struct RecordEntry {
  uint64_t shard;
  uint64_t ordinal;
  uint64_t offset;
  std::vector<uint64_t> frame_sizes;
  uint64_t num_examples;
};

void CheckRecord(const DatasetIndex& index, uint64_t record) {
  if (record >= index.num_records()) {
    throw py::index_error("record " + std::to_string(record) + " of " +
                          std::to_string(index.num_records()));
  }
}

RecordEntry RecordOf(const DatasetIndex& index, uint64_t record) {
  CheckRecord(index, record);
  const ShardEntry& shard = index.ShardOf(record);
  const IndexColumns& columns = index.columns();
  const uint64_t* sizes = columns.frame_sizes_of(record);
  return {static_cast<uint64_t>(&shard - index.shards().data()),
          record - shard.first_record,
          columns.record_offsets[record],
          {sizes, sizes + columns.num_groups + 1},
          columns.example_counts[record]};
}

std::tuple<uint64_t, uint64_t, uint64_t> PrefixOf(const DatasetIndex& index, uint64_t record,
                                                  int scan_groups) {
  CheckRecord(index, record);
  ThrowIfError(index.CheckScanGroups(scan_groups));
  const PrefixRange range = index.Prefix(record, scan_groups);
  return {range.shard, range.offset, range.size};
}

uint64_t PrefixBytes(const DatasetIndex& index, int scan_groups) {
  ThrowIfError(index.CheckScanGroups(scan_groups));
  uint64_t sum = 0;
  for (uint64_t record = 0; record < index.num_records(); ++record) {
    sum += index.columns().PrefixBytes(record, scan_groups);
  }
  return sum;
}

RecordPrefix ParsePrefix(const DatasetIndex& index, uint64_t record, int scan_groups,
                         std::string_view bytes) {
  CheckRecord(index, record);
  py::gil_scoped_release release;
  return ValueOrThrow(RecordPrefix::Parse(index, record, scan_groups, bytes));
}

// Text of a file, which may be damaged or made by others: what is not UTF-8 as surrogates (PEP
// 383).
py::str Text(const std::string& text) {
  PyObject* const decoded =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

// A bytes object of `size` bytes that `fill` writes.
template <typename Fill>
py::bytes MakeBytes(uint64_t size, Fill fill) {
  PyObject* object = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
  if (object == nullptr) throw py::error_already_set();
  fill(PyBytes_AS_STRING(object));
  return py::reinterpret_steal<py::bytes>(object);
}

std::vector<py::bytes> ParseRecord(const DatasetIndex& index, uint64_t record, int scan_groups,
                                   const py::bytes& prefix) {
  const RecordPrefix parsed = ParsePrefix(index, record, scan_groups, View(prefix));
  std::vector<py::bytes> examples;
  for (uint64_t n = 0; n < parsed.num_examples(); ++n) {
    examples.push_back(
        MakeBytes(parsed.ExampleBytes(n), [&](char* out) { parsed.WriteExample(n, out); }));
  }
  return examples;
}

std::vector<std::tuple<uint64_t, py::str, std::string, py::bytes>> RecordImages(
    const DatasetIndex& index, uint64_t record, int scan_groups, const py::bytes& prefix) {
  const RecordPrefix parsed = ParsePrefix(index, record, scan_groups, View(prefix));
  std::vector<std::tuple<uint64_t, py::str, std::string, py::bytes>> images;
  for (uint64_t m = 0; m < parsed.metadata().num_images(); ++m) {
    const RecordPrefix::Owner owner = parsed.OwnerOf(m);
    const bool opaque = parsed.metadata().codings[m] == Coding::kOpaque;
    images.emplace_back(
        owner.example, Text(index.header().image_features[owner.feature]),
        opaque ? "opaque" : "progressive",
        MakeBytes(parsed.ImageBytes(m), [&](char* out) { parsed.WriteImage(m, out); }));
  }
  return images;
}

std::vector<uint64_t> ScanEnds(const py::bytes& jpeg) {
  const JpegLayout layout = ValueOrThrow(WalkMarkers(View(jpeg)));
  std::vector<uint64_t> ends;
  for (const ScanExtent& scan : layout.scans) ends.push_back(scan.end);
  return ends;
}

void DefineJpeg(py::module_* module) {
  py::class_<ScanScript>(*module, "ScanScript")
      .def(py::init([](const std::string& text) { return ValueOrThrow(ScanScript::Parse(text)); }),
           py::arg("text"))
      .def_property_readonly("text", &ScanScript::text)
      .def_property_readonly("num_groups", &ScanScript::num_groups)
      .def_property_readonly("scans_per_group", &ScanScript::scans_per_group);

  py::class_<PyCodedImage>(*module, "CodedImage")
      .def_property_readonly("coding",
                             [](const PyCodedImage& self) { return CodingName(self.transcoded); })
      .def_property_readonly(
          "reason",
          [](const PyCodedImage& self) { return OpaqueReasonName(self.transcoded.reason); })
      .def_property_readonly("detail",
                             [](const PyCodedImage& self) { return self.transcoded.detail; })
      .def_property_readonly(
          "scans", [](const PyCodedImage& self) { return py::bytes(self.transcoded.image.scans); })
      .def_property_readonly(
          "group_sizes", [](const PyCodedImage& self) { return self.transcoded.image.group_sizes; })
      .def_property_readonly(
          "ancillary",
          [](const PyCodedImage& self) { return py::bytes(self.transcoded.image.ancillary); })
      .def_property_readonly(
          "ancillary_offset",
          [](const PyCodedImage& self) { return self.transcoded.image.ancillary_offset; })
      .def_property_readonly(
          "trailing",
          [](const PyCodedImage& self) { return py::bytes(self.transcoded.image.trailing); })
      .def_property_readonly("orientation", [](const PyCodedImage& self) {
        return int{self.transcoded.image.orientation};
      });

  module->def("transcode", &PyTranscode, py::arg("image"), py::arg("script"),
              py::arg("prove") = true);
  module->def(
      "exif_orientation", [](const py::bytes& jpeg) { return ExifOrientation(View(jpeg)); },
      py::arg("jpeg"));
  module->def("scan_ends", &ScanEnds, py::arg("jpeg"));
  module->def(
      "check_jpeg",
      [](const py::bytes& jpeg) {
        const std::string_view bytes = View(jpeg);
        py::gil_scoped_release release;
        return CheckJpeg(bytes);
      },
      py::arg("jpeg"));
  module->def(
      "same_coefficients",
      [](const py::bytes& a, const py::bytes& b) {
        const std::string_view first = View(a);
        const std::string_view second = View(b);
        py::gil_scoped_release release;
        return SameCoefficients(first, second);
      },
      py::arg("a"), py::arg("b"));
}

void DefineWriter(py::module_* module) {
  py::class_<CodedImageSummary>(*module, "CodedImageSummary")
      .def_readonly("coding", &CodedImageSummary::coding)
      .def_readonly("reason", &CodedImageSummary::reason)
      .def_readonly("detail", &CodedImageSummary::detail)
      .def_readonly("source_bytes", &CodedImageSummary::source_bytes)
      .def_readonly("stored_bytes", &CodedImageSummary::stored_bytes)
      .def_readonly("ancillary_bytes", &CodedImageSummary::ancillary_bytes)
      .def_readonly("group_bytes", &CodedImageSummary::group_bytes)
      .def_readonly("exif_orientation", &CodedImageSummary::exif_orientation);

  py::class_<CodedExample>(*module, "CodedExample")
      .def_readonly("summaries", &CodedExample::summaries);

  py::class_<PyShardWriter>(*module, "ShardWriter")
      .def(py::init<const ScanScript&, std::vector<std::string>, std::string>(), py::arg("script"),
           py::arg("image_features"), py::arg("created_by"))
      .def("header", &PyShardWriter::Begin)
      .def("add_example", &PyShardWriter::AddExample, py::arg("example"), py::arg("prove") = true)
      .def("code_example", &PyShardWriter::CodeExample, py::arg("example"), py::arg("prove") = true)
      .def("add", &PyShardWriter::Add, py::arg("coded"))
      .def("end_record", &PyShardWriter::EndRecord)
      .def("finish", &PyShardWriter::Finish)
      .def_property_readonly(
          "pending_examples",
          [](PyShardWriter& self) { return self.Get(&ShardWriter::pending_examples); })
      .def_property_readonly(
          "pending_bytes",
          [](PyShardWriter& self) { return self.Get(&ShardWriter::pending_bytes); })
      .def_property_readonly(
          "num_records", [](PyShardWriter& self) { return self.Get(&ShardWriter::num_records); })
      .def_property_readonly(
          "num_examples", [](PyShardWriter& self) { return self.Get(&ShardWriter::num_examples); });
}

void DefineIndex(py::module_* module) {
  py::class_<Header>(*module, "Header")
      .def_property_readonly("version",
                             [](const Header& self) {
                               return std::make_tuple(self.major_version, self.minor_version);
                             })
      .def_property_readonly("num_groups", &Header::num_groups)
      .def_readonly("scans_per_group", &Header::scans_per_group)
      .def_property_readonly("scan_script",
                             [](const Header& self) { return Text(self.scan_script); })
      .def_property_readonly("image_features",
                             [](const Header& self) {
                               std::vector<py::str> features;
                               for (const std::string& feature : self.image_features) {
                                 features.push_back(Text(feature));
                               }
                               return features;
                             })
      .def_property_readonly("created_by",
                             [](const Header& self) { return Text(self.created_by); });

  py::class_<ShardIndex>(*module, "ShardIndex")
      .def_static("tail_bytes", [] { return layout::kTailBytes; })
      .def_static("footer_bytes", [] { return layout::kFooterFrameBytes; })
      .def_static("from_tail", &ShardIndexFromTail, py::arg("name"), py::arg("tail"),
                  py::arg("file_bytes"))
      .def_readonly("header", &ShardIndex::header)
      .def_readonly("file_bytes", &ShardIndex::file_bytes)
      .def_property_readonly("num_records",
                             [](const ShardIndex& self) { return self.footer.num_records; })
      .def_property_readonly("num_examples",
                             [](const ShardIndex& self) { return self.footer.num_examples; })
      .def_property_readonly("index_offset",
                             [](const ShardIndex& self) { return self.footer.index_offset; })
      .def_property_readonly("index_frame_size",
                             [](const ShardIndex& self) { return self.footer.index_frame_size; })
      .def(
          "check_header",
          [](const ShardIndex& self, const py::bytes& data) {
            ThrowIfError(self.CheckHeader(View(data)));
          },
          py::arg("data"))
      .def_property_readonly("contents_checksum",
                             [](const ShardIndex& self) { return self.footer.contents_checksum; })
      .def_property_readonly("footer_checksum",
                             [](const ShardIndex& self) { return self.footer.footer_checksum; });

  py::class_<RecordEntry>(*module, "RecordEntry")
      .def_readonly("shard", &RecordEntry::shard)
      .def_readonly("ordinal", &RecordEntry::ordinal)
      .def_readonly("offset", &RecordEntry::offset)
      .def_readonly("frame_sizes", &RecordEntry::frame_sizes)
      .def_readonly("num_examples", &RecordEntry::num_examples);

  py::class_<DatasetIndex>(*module, "DatasetIndex")
      .def_static("from_bytes", &DatasetIndexFromBytes, py::arg("name"), py::arg("data"))
      .def_static("from_shards", &DatasetIndexFromShards, py::arg("shards"))
      .def("to_bytes",
           [](const DatasetIndex& self) { return py::bytes(ValueOrThrow(self.Serialize())); })
      .def_property_readonly("header", &DatasetIndex::header)
      .def_property_readonly("num_shards",
                             [](const DatasetIndex& self) { return self.shards().size(); })
      .def_property_readonly("num_records", &DatasetIndex::num_records)
      .def_property_readonly("num_examples", &DatasetIndex::num_examples)
      .def_property_readonly("memory_bytes", &DatasetIndex::MemoryBytes)
      .def(
          "shard",
          [](const DatasetIndex& self, uint64_t s) {
            if (s >= self.shards().size()) throw py::index_error("shard " + std::to_string(s));
            const ShardEntry& shard = self.shards()[s];
            return std::make_tuple(Name{shard.name}, shard.file_bytes, shard.footer_checksum,
                                   shard.first_record, shard.num_records);
          },
          py::arg("s"))
      .def("record", &RecordOf, py::arg("r"))
      .def("prefix", &PrefixOf, py::arg("r"), py::arg("scan_groups"))
      .def("prefix_bytes", &PrefixBytes, py::arg("scan_groups"));

  module->def(
      "check_shard_names",
      [](const std::vector<Name>& names) {
        std::vector<std::string> bytes;
        for (const Name& name : names) bytes.push_back(name.bytes);
        ThrowIfError(CheckShardNames(bytes));
      },
      py::arg("names"));
  module->def("parse_record", &ParseRecord, py::arg("index"), py::arg("r"), py::arg("scan_groups"),
              py::arg("prefix"));
  module->def("record_images", &RecordImages, py::arg("index"), py::arg("r"),
              py::arg("scan_groups"), py::arg("prefix"));
  module->def(
      "record_order",
      [](const std::vector<uint64_t>& example_counts, bool shuffle, uint64_t seed, uint64_t epoch,
         uint64_t num_shards, uint64_t shard_index,
         const std::vector<std::pair<uint64_t, uint64_t>>& resume) {
        RecordOrderOptions options{shuffle, seed, num_shards, shard_index, {}};
        for (const auto& [readers, examples] : resume)
          options.resume.push_back({readers, examples});
        ThrowIfError(options.Validate());
        ThrowIfError(CheckResume(example_counts, options, epoch));
        std::vector<std::pair<uint64_t, uint64_t>> parts;
        for (const RecordPart& part : RecordOrder(example_counts, options, epoch)) {
          parts.emplace_back(part.record, part.first_example);
        }
        return parts;
      },
      py::arg("example_counts"), py::kw_only(), py::arg("shuffle") = false, py::arg("seed") = 0,
      py::arg("epoch") = 0, py::arg("num_shards") = 1, py::arg("shard_index") = 0,
      py::arg("resume") = std::vector<std::pair<uint64_t, uint64_t>>());
  module->def(
      "ancillary_bytes",
      [](const DatasetIndex& index, const py::bytes& metadata_frame) {
        const std::string_view frame = View(metadata_frame);
        py::gil_scoped_release release;
        return ValueOrThrow(RecordPrefix::AncillaryBytes(index, frame));
      },
      py::arg("index"), py::arg("metadata_frame"));
  module->def("masked_crc32c", [](const py::bytes& data) { return MaskedCrc32c(View(data)); });
  module->def(
      "crc32c",
      [](const py::bytes& data, uint32_t crc) {
        const std::string_view bytes = View(data);
        py::gil_scoped_release release;
        return ExtendCrc32c(crc, bytes);
      },
      py::arg("data"), py::arg("crc") = 0);
}

}  // namespace
}  // namespace pcr

PYBIND11_MODULE(_native, module) {
  module.doc() = "The TensorFlow-free core of pcr_tf.";
  py::register_exception<pcr::DataLossException>(module, "DataLossError", PyExc_ValueError);
  module.def("skip_static_destructors_at_exit", &pcr::SkipStaticDestructorsAtExit);
  pcr::DefineJpeg(&module);
  pcr::DefineWriter(&module);
  pcr::DefineIndex(&module);
}
