"""The options of a conversion: one value type, checked once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pcr_tf._native import ScanScript
from pcr_tf.convert.errors import ConvertError, check_at_least, check_choice, check_prefix
from pcr_tf.convert.sources import KINDS
from pcr_tf.format.scan_scripts import load_scan_script

ON_UNSUPPORTED = ("keep", "fail", "skip", "encode")
ON_UNREADABLE = ("fail", "skip")

# Options that change neither the bytes of a shard nor which shards there are.
_FREE = frozenset({"inputs", "output", "num_workers", "profile_images"})


@dataclasses.dataclass(frozen=True)
class ConvertOptions:
    """What a conversion does. Construction checks every field and raises ConvertError.

    Attributes:
        inputs: folders, files and globs. output: the folder of the data set.
        source: "auto", or a kind of source.
        image_features: keys of the bytes features that hold images.
        images_per_record: examples per record, at least 1.
        num_shards: number of shards, at least 1; None to derive it from `shard_size_mib`.
        shard_size_mib: source MiB per shard, at least 1.
        shuffle: whether to shuffle all examples. shuffle_seed: the order follows from it.
        scan_script: None for the default one; a name, file or text. Held as the script's text.
        prove: whether to compare the coefficients of every stored image with its source's.
        on_unsupported: what becomes of images that cannot be re-coded losslessly.
        encode_quality: JPEG quality for "encode", 1 to 100.
        on_unreadable: what becomes of items that cannot be read.
        prefix: how the names of shards begin.
        num_workers: processes; 0 converts in the calling process.
        profile_images: images that the manifest's profile is measured on; 0 for no profile.
    """

    inputs: tuple[str, ...]
    output: str
    source: str = "auto"
    image_features: tuple[str, ...] = ("image/encoded",)
    images_per_record: int = 256
    num_shards: int | None = None
    shard_size_mib: int = 128
    shuffle: bool = True
    shuffle_seed: int = 0
    scan_script: str | None = None
    prove: bool = True
    on_unsupported: str = "keep"
    encode_quality: int = 95
    on_unreadable: str = "fail"
    prefix: str = "shard"
    num_workers: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    profile_images: int = 64

    def __post_init__(self) -> None:
        check_at_least("images_per_record", self.images_per_record, 1)
        check_at_least("shard_size_mib", self.shard_size_mib, 1)
        check_at_least("num_workers", self.num_workers, 0)
        check_at_least("profile_images", self.profile_images, 0)
        if self.num_shards is not None:
            check_at_least("num_shards", self.num_shards, 1)
            if self.num_shards > 99999:
                raise ConvertError(f"--num_shards: at most 99999; got {self.num_shards}")
        if not 1 <= self.encode_quality <= 100:
            raise ConvertError(f"--encode_quality: expected 1 to 100, got {self.encode_quality}")
        check_choice("source", self.source, ("auto", *KINDS))
        check_choice("on_unsupported", self.on_unsupported, ON_UNSUPPORTED)
        check_choice("on_unreadable", self.on_unreadable, ON_UNREADABLE)
        features = self.image_features
        if not features or not all(features) or len(set(features)) != len(features):
            raise ConvertError(
                f"--image_feature: expected distinct keys, got {','.join(features)!r}"
            )
        check_prefix(self.prefix)
        if not self.output:
            raise ConvertError("no output; name a folder with --output")
        try:
            text = load_scan_script(self.scan_script)
            ScanScript(text)
        except ValueError as error:
            raise ConvertError(f"--scan_script={self.scan_script}: {error}") from error
        object.__setattr__(self, "scan_script", text)

    @staticmethod
    def from_fingerprint(
        flags: Mapping[str, Any], *, inputs: Sequence[str], output: str
    ) -> ConvertOptions:
        """The options that `flags`, a fingerprint, was made of; without a profile.

        Raises:
            ConvertError: they are not those of a conversion by this version.
        """
        known = {field.name for field in dataclasses.fields(ConvertOptions)} - _FREE
        unknown = sorted(set(flags) - known)
        if unknown:
            raise ConvertError(f"flags of another version: {', '.join(unknown)}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in flags.items()
            if value is not None
        }
        return ConvertOptions(inputs=tuple(inputs), output=output, profile_images=0, **values)

    def fingerprint(self) -> dict[str, Any]:
        """The options that the result depends on, as JSON values."""
        fields = dataclasses.asdict(self)
        fields["image_features"] = list(self.image_features)
        if not self.shuffle:
            fields["shuffle_seed"] = None
        if self.num_shards is not None:
            fields["shard_size_mib"] = None
        if self.on_unsupported != "encode":
            fields["encode_quality"] = None
        return {name: value for name, value in fields.items() if name not in _FREE}
