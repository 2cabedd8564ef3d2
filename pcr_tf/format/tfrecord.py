"""TFRecord framing for Python: `docs/FORMAT.md`, section 2, without TensorFlow."""

from __future__ import annotations

import struct

from pcr_tf._native import masked_crc32c

# Length of the data, and the masked CRC-32C of these 8 bytes.
FRAME_HEADER = struct.Struct("<QI")
# Masked CRC-32C of the data.
FRAME_FOOTER = struct.Struct("<I")


def frame(data: bytes) -> bytes:
    """`data` as one record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    checksums = masked_crc32c(length), masked_crc32c(data)
    return b"".join(
        (length, FRAME_FOOTER.pack(checksums[0]), data, FRAME_FOOTER.pack(checksums[1]))
    )
