"""The C++ core as a Python module: the PCR format and the JPEG transcoder. Knows no TensorFlow.

Offsets and sizes are in bytes; terms are those of docs/FORMAT.md. The heavy calls
(transcoding, writing, comparing) release the interpreter's lock, so threads run them side by side.

Unless a function says otherwise it raises ValueError for a caller's mistake, DataLossError for
damaged data, IndexError for a shard or record that is not there, and MemoryError.
"""

class DataLossError(ValueError):
    """Stored bytes are damaged.

    The message names file, record, scan group, byte, rule, expected and got.
    """

class ScanScript:
    """The progression in which images are coded, and its division into scan groups.

    Example:
      ScanScript("0,1,2: 0-0, 0, 0; 0: 1-63, 0, 0; 1: 1-63, 0, 0; 2: 1-63, 0, 0;").num_groups == 4
    """

    def __init__(self, text: str) -> None:
        """Parses a script in the form that `jpegtran -scans` reads; `# group` begins a scan group.

        Raises:
          ValueError: if it is no valid, complete progression; names the line and the rule.
        """

    @property
    def text(self) -> str:
        """The text as given."""
    @property
    def num_groups(self) -> int:
        """Number of scan groups G, 1 to 100."""
    @property
    def scans_per_group(self) -> list[int]:
        """Scans of the script in each group: G values, each at least 1."""

class CodedImage:
    """An image as a record stores it."""

    @property
    def coding(self) -> str:
        """ "progressive", or "opaque": kept byte for byte, all of it in group 1."""
    @property
    def reason(self) -> str:
        """Why it is opaque, a name of OpaqueReason in ops/jpeg/lossless/transcode.h; else ""."""
    @property
    def detail(self) -> str:
        """What the marker walk or libjpeg said of it; "" if it is progressive."""
    @property
    def scans(self) -> bytes:
        """From SOI to the end of the last scan, without EOI. Opaque: the bytes as they came."""
    @property
    def group_sizes(self) -> list[int]:
        """Bytes of `scans` in each group: G values, which sum to its length."""
    @property
    def ancillary(self) -> bytes:
        """The segments that do not change pixels (EXIF, ICC, comments), in their order."""
    @property
    def ancillary_offset(self) -> int:
        """Offset in `scans` at which they go."""
    @property
    def trailing(self) -> bytes:
        """The bytes after EOI in the source."""
    @property
    def orientation(self) -> int:
        """The EXIF orientation as a record stores it: 2 to 8; 0 if none, upright, or opaque."""

class CodedImageSummary:
    """What became of one image, without its bytes."""

    @property
    def coding(self) -> str:
        """ "progressive" or "opaque"."""
    @property
    def reason(self) -> str:
        """As CodedImage.reason."""
    @property
    def detail(self) -> str:
        """As CodedImage.detail."""
    @property
    def source_bytes(self) -> int:
        """Size of the image as it came."""
    @property
    def stored_bytes(self) -> int:
        """Sum of `group_bytes`."""
    @property
    def group_bytes(self) -> list[int]:
        """Size of its slice in each group: G values."""
    @property
    def ancillary_bytes(self) -> int:
        """Size of its ancillary and trailing bytes, which the record deflates with all others."""
    @property
    def exif_orientation(self) -> int:
        """As `exif_orientation` has it of the image as it came, which may be opaque."""

def transcode(image: bytes, script: ScanScript, prove: bool = True) -> CodedImage:
    """Codes a JPEG in the progression of `script`, with the same DCT coefficients.

    Args:
      image: any bytes. What cannot be re-coded without loss comes back opaque, with the reason.
      script: the progression and its scan groups.
      prove: whether to decode the result and compare its coefficients with the source's.
    """

def exif_orientation(jpeg: bytes) -> int:
    """The EXIF orientation of a JPEG, 1 to 8; 1, upright, where it has none or a malformed one.

    It is tag 0x0112 of IFD 0 in the first Exif segment before the first scan, one SHORT.
    """

def scan_ends(jpeg: bytes) -> list[int]:
    """Offset just past the last byte of each scan of a JPEG, ascending.

    Raises:
      DataLossError: if its markers are out of order or cut short.
    """

def check_jpeg(jpeg: bytes) -> str:
    """Decodes all scans: "" if libjpeg has neither error nor warning, else what it said."""

def same_coefficients(a: bytes, b: bytes) -> str:
    """Compares two JPEGs by what determines their pixels.

    Returns:
      "" if dimensions, components, sampling, colour space, quantization tables and DCT coefficients
      are equal; else the first difference, or what is wrong with one of the two.
    """

class CodedExample:
    """An example whose images are coded, ready to be added to the shard that it was coded for."""

    @property
    def summaries(self) -> list[CodedImageSummary]:
        """One for each image, in the order of section 6 of the format."""

class ShardWriter:
    """Makes the bytes of one PCR file, for the caller to write one after the other.

    Call `header` once; then, for each record, `add_example` for its examples and `end_record`; then
    `finish`. Holds one record in memory.
    """

    def __init__(self, script: ScanScript, image_features: list[str], created_by: str) -> None:
        """Begins a file.

        Args:
          script: how its images are coded.
          image_features: the features that hold images: one or more distinct keys, none empty.
          created_by: name and version of the writer; informative.
        """

    def header(self) -> bytes:
        """The header frame: the first call.

        Raises:
          ValueError: the second time.
        """
    def add_example(self, example: bytes, prove: bool = True) -> list[CodedImageSummary]:
        """Adds an example to the record being made and transcodes its images.

        Args:
          example: a serialized tf.train.Example.
          prove: as for `transcode`.

        Returns:
          One summary for each image, in the order of section 6 of the format.

        Raises:
          ValueError: if `example` is no tf.train.Example, or an image feature holds no bytes.
        """

    def code_example(self, example: bytes, prove: bool = True) -> CodedExample:
        """The first half of `add_example`: transcodes the images, and adds nothing.

        For callers that drop or change an example once they see what becomes of its images.
        """

    def add(self, coded: CodedExample) -> None:
        """The second half: adds what `code_example` of a writer of the same features gave.

        Raises:
          ValueError: it was added before.
        """

    def end_record(self) -> bytes:
        """The frames of a record of the examples added since the last call.

        Raises:
          ValueError: if there are none.
        """

    def finish(self) -> bytes:
        """The index frame and the footer frame."""
    @property
    def pending_examples(self) -> int:
        """Examples added since the last record."""
    @property
    def pending_bytes(self) -> int:
        """Bytes held for them."""
    @property
    def num_records(self) -> int:
        """Records made so far."""
    @property
    def num_examples(self) -> int:
        """Examples in the records made so far."""

class Header:
    """What a file says of itself in its header and index frames."""

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the format."""
    @property
    def num_groups(self) -> int:
        """Number of scan groups G, 1 to 100."""
    @property
    def scans_per_group(self) -> list[int]:
        """Scans of the script in each group: G values."""
    @property
    def scan_script(self) -> str:
        """The script's text."""
    @property
    def image_features(self) -> list[str]:
        """Keys of the features that hold images."""
    @property
    def created_by(self) -> str:
        """Name and version of the writer."""

class RecordEntry:
    """Where a record is."""

    @property
    def shard(self) -> int:
        """Its shard, from 0."""
    @property
    def ordinal(self) -> int:
        """Its ordinal in that file, from 0."""
    @property
    def offset(self) -> int:
        """Offset of its metadata frame in that file."""
    @property
    def frame_sizes(self) -> list[int]:
        """Sizes of its metadata frame and its G scan-group frames."""
    @property
    def num_examples(self) -> int:
        """Number of its examples, at least 1."""

class ShardIndex:
    """The index of one file, from its tail."""

    @staticmethod
    def tail_bytes() -> int:
        """Bytes to read from a file's end first; the index of most files is among them."""
    @staticmethod
    def footer_bytes() -> int:
        """Size of the footer frame."""
    @staticmethod
    def from_tail(name: str, tail: bytes, file_bytes: int) -> ShardIndex | int:
        """Parses the last bytes of a file.

        Args:
          name: the file's name, for messages.
          tail: its last `tail_bytes()` bytes, or all of a smaller file.
          file_bytes: its size.

        Returns:
          The index; or, if it begins before `tail`, the number of bytes to read instead.
        """

    @property
    def header(self) -> Header:
        """The header's features, as the index repeats them."""
    @property
    def file_bytes(self) -> int:
        """Size of the file."""
    @property
    def num_records(self) -> int:
        """Number of records R; may be 0."""
    @property
    def num_examples(self) -> int:
        """Number of examples in all records."""
    @property
    def index_offset(self) -> int:
        """Offset of the index frame: where the records end."""
    @property
    def index_frame_size(self) -> int:
        """Size of the index frame."""
    def check_header(self, data: bytes) -> None:
        """Holds the data of the header frame to index and footer, of which alone this was made.

        Raises:
          DataLossError: it is no header frame, or says something else; or the footer does.
        """
    @property
    def contents_checksum(self) -> int:
        """CRC-32C over the checksums of all frames before the footer, as the footer has it."""
    @property
    def footer_checksum(self) -> int:
        """Checksum of the footer frame; names the contents of the whole file."""

class DatasetIndex:
    """Where every record of a data set is. Records count through the shards, from 0."""

    @staticmethod
    def from_bytes(name: str, data: bytes) -> DatasetIndex:
        """Parses a side index; `name` is its file's, for messages."""
    @staticmethod
    def from_shards(shards: list[tuple[str, ShardIndex]]) -> DatasetIndex:
        """Joins the indexes of one or more named shards, in this order.

        The header is the first one's, with the lowest version of all.

        Raises:
          ValueError: if their headers differ; names both files.
        """

    def to_bytes(self) -> bytes:
        """The side index as a file holds it."""
    @property
    def header(self) -> Header:
        """The header's features, equal in all shards."""
    @property
    def num_shards(self) -> int:
        """Number of files."""
    @property
    def num_records(self) -> int:
        """Number of records in all shards."""
    @property
    def num_examples(self) -> int:
        """Number of examples in all shards."""
    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the index takes."""
    def shard(self, s: int) -> tuple[str, int, int, int, int]:
        """Name, size, footer checksum, first record and number of records of shard `s`."""
    def record(self, r: int) -> RecordEntry:
        """Where record `r` is."""
    def prefix(self, r: int, scan_groups: int) -> tuple[int, int, int]:
        """Shard, offset and size of the one range to read of record `r` at a fidelity of 1 to G."""
    def prefix_bytes(self, scan_groups: int) -> int:
        """Sum of the sizes of all records' prefixes at a fidelity of 1 to G."""

def check_shard_names(names: list[str] | list[bytes]) -> None:
    """Raises ValueError if files of a set NAME-00000-of-00008.pcr and so on are not among the names
    of a folder while others are; names some of them, and the remedies.
    """

def parse_record(index: DatasetIndex, r: int, scan_groups: int, prefix: bytes) -> list[bytes]:
    """Checks a record's prefix and puts its examples together.

    Args:
      index: the index that named the range.
      r: the record.
      scan_groups: the fidelity, 1 to G.
      prefix: the bytes of the range `index.prefix(r, scan_groups)`.

    Returns:
      The record's serialized tf.train.Examples, with the images at that fidelity.
    """

def record_images(
    index: DatasetIndex, r: int, scan_groups: int, prefix: bytes
) -> list[tuple[int, str, str, bytes]]:
    """The images of a record, checked as by `parse_record`.

    Returns:
      For each image, in the order of storage: its example in the record, its feature's key, its
      coding ("progressive" or "opaque"), and its bytes at that fidelity.
    """

def ancillary_bytes(index: DatasetIndex, metadata_frame: bytes) -> int:
    """Bytes that the ancillary stream of a record inflates to, as its metadata frame has it."""

def record_order(
    example_counts: list[int],
    *,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    num_shards: int = 1,
    shard_index: int = 0,
    resume: list[tuple[int, int]] = ...,
) -> list[tuple[int, int]]:
    """What one of `num_shards` readers reads in an epoch, in order.

    Args:
      example_counts: number of examples of each record.
      shuffle: whether to draw a permutation of all records from `seed` and `epoch`; else ascending.
      seed: of the shuffle, 0 to 2^64 - 1.
      epoch: from 0.
      num_shards: number of readers, at least 1.
      shard_index: which of them, 0 to num_shards - 1.
      resume: (number of readers, examples that each had read) of those that began the epoch, then
        of those that went on with the rest, and so on; the readers now share what is left.

    Returns:
      (record ordinal, its first example to read). Those of all readers are disjoint and together
      all that is left of the epoch.
    """

def crc32c(data: bytes, crc: int = 0) -> int:
    """The CRC-32C of bytes whose CRC is `crc`, followed by `data`."""

def masked_crc32c(data: bytes) -> int:
    """The CRC-32C of `data` in the masked form in which TFRecord files store it."""

def skip_static_destructors_at_exit() -> None:
    """Makes exit() leave out destructors registered before; see ops/base/clean_exit.h."""
