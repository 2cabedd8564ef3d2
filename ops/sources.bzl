"""The C++ files of every layer: the one list that setup.py, the Makefile's tools and Bazel read.

Paths are relative to ops/. A layer may include headers of its own and of the layers before it
(bindings and kernels stand side by side); tests/test_layering.py holds the sources to that, and
this list to the tree. Plain literals only: Python executes this file too.
"""

LAYERS = {
    "base": {
        "hdrs": [
            "base/buffer_pool.h",
            "base/byte_reader.h",
            "base/byte_writer.h",
            "base/cancellation.h",
            "base/catch_exceptions.h",
            "base/clean_exit.h",
            "base/crc32c.h",
            "base/ordered_prefetcher.h",
            "base/status.h",
        ],
        "srcs": [
            "base/clean_exit.cc",
            "base/crc32c.cc",
            "base/status.cc",
        ],
    },
    "format": {
        "hdrs": [
            "format/ancillary.h",
            "format/coded_image.h",
            "format/dataset_index.h",
            "format/example_images.h",
            "format/example_wire.h",
            "format/footer.h",
            "format/frame.h",
            "format/header.h",
            "format/index_columns.h",
            "format/layout.h",
            "format/record_metadata.h",
            "format/record_order.h",
            "format/record_prefix.h",
            "format/shard_index.h",
            "format/shard_writer.h",
        ],
        "srcs": [
            "format/ancillary.cc",
            "format/dataset_index.cc",
            "format/example_images.cc",
            "format/example_wire.cc",
            "format/footer.cc",
            "format/frame.cc",
            "format/header.cc",
            "format/index_columns.cc",
            "format/record_metadata.cc",
            "format/record_order.cc",
            "format/record_prefix.cc",
            "format/shard_index.cc",
            "format/shard_writer.cc",
        ],
    },
    "jpeg": {
        "hdrs": [
            "jpeg/bit_reader.h",
            "jpeg/coefficients.h",
            "jpeg/decoder.h",
            "jpeg/huffman_table.h",
            "jpeg/libjpeg.h",
            "jpeg/limits.h",
            "jpeg/markers.h",
            "jpeg/progressive_scans.h",
            "jpeg/scan_script.h",
            "jpeg/sequential_scan.h",
            "jpeg/transcode.h",
            "jpeg/zigzag.h",
        ],
        "srcs": [
            "jpeg/coefficients.cc",
            "jpeg/decoder.cc",
            "jpeg/huffman_table.cc",
            "jpeg/libjpeg.cc",
            "jpeg/limits.cc",
            "jpeg/markers.cc",
            "jpeg/progressive_scans.cc",
            "jpeg/scan_script.cc",
            "jpeg/sequential_scan.cc",
            "jpeg/transcode.cc",
        ],
    },
    "augment": {
        "hdrs": [
            "augment/crop.h",
            "augment/decode_augment.h",
            "augment/random.h",
            "augment/resize.h",
        ],
        "srcs": [
            "augment/crop.cc",
            "augment/decode_augment.cc",
            "augment/resize.cc",
        ],
    },
    "bindings": {
        "hdrs": [],
        "srcs": [
            "bindings/module.cc",
        ],
    },
    "kernels": {
        "hdrs": [
            "kernels/dataset_opener.h",
            "kernels/image_ops.h",
            "kernels/pcr_dataset_op.h",
            "kernels/range_reader.h",
            "kernels/read_statistics.h",
            "kernels/record_iteration.h",
            "kernels/record_split_provider.h",
            "kernels/record_stream.h",
            "kernels/retry.h",
            "kernels/shared_dataset.h",
        ],
        "srcs": [
            "kernels/dataset_opener.cc",
            "kernels/decode_crop_resize_op.cc",
            "kernels/decode_jpeg_op.cc",
            "kernels/image_ops.cc",
            "kernels/pcr_dataset_op.cc",
            "kernels/range_reader.cc",
            "kernels/read_statistics.cc",
            "kernels/record_iteration.cc",
            "kernels/record_split_provider.cc",
            "kernels/record_stream.cc",
            "kernels/retry.cc",
            "kernels/shared_dataset.cc",
        ],
    },
    "op_defs": {
        "hdrs": [],
        "srcs": [
            "op_defs/pcr_image_ops.cc",
            "op_defs/pcr_ops.cc",
        ],
    },
}
