"""The options of a conversion: one value type, checked once."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pcr_tf._native import ScanScript
from pcr_tf.convert.errors import ConvertError, check_at_least, check_choice, check_prefix
from pcr_tf.convert.job.memory import parse_bytes
from pcr_tf.convert.option import declared, option
from pcr_tf.convert.sources import INPUT_FORMATS, SourceOptions
from pcr_tf.format import scan_scripts
from pcr_tf.format.names import stored_name
from pcr_tf.format.scan_scripts import load_scan_script

ON_UNSUPPORTED = ("keep", "raise", "skip", "encode")
ON_UNREADABLE = ("raise", "skip")


class SplitPart(NamedTuple):
    """A part of a split.

    Attributes:
        name: of its folder.
        share: of the items, above 0; the shares of all parts add up to 1.
    """

    name: str
    share: float


@dataclasses.dataclass(frozen=True)
class ConvertOptions:
    """What a conversion does. Construction checks every field and raises ConvertError.

    Attributes:
        inputs: folders, files and globs. output: the folder of the data set.
        input_format: "auto", or a kind of source.
        image_features: keys of the bytes features that hold images.
        examples_per_record: examples per record, at least 1; None for 256, and fewer for small data
            sets (`pcr_tf.convert.job.plan.default_examples_per_record`).
        num_shards: number of shards, at least 1; None to derive it from `shard_size_mib`.
        shard_size_mib: source MiB per shard, at least 1.
        shuffle: whether to shuffle all examples. shuffle_seed: the order follows from it.
        scan_script: None for the default one; a name, file or text. Held as the script's text.
        prove: whether to compare the coefficients of every stored image with its source's.
        on_unsupported: what becomes of images that cannot be re-coded losslessly.
        encode_quality: JPEG quality for "encode", 1 to 100.
        encode_upright: for "encode", whether to turn images by their EXIF orientation, and to
            store none. Other features, as boxes, stay as they are.
        on_unreadable: what becomes of items that cannot be read.
        prefix: how the names of shards begin.
        num_workers: processes; 0 converts in the calling process.
        max_memory_bytes: what the processes share for images that are being re-coded, at least 1;
            None for half of the machine's or the container's memory.
        source_options: options of single kinds of sources.
        split: parts and their shares, which add up to 1: `SplitPart`s, or plain pairs, as
            ("train", 0.8), ("validation", 0.2). Each part is a data set of its own, in a folder of
            its name below `output`; which part an item belongs to follows from `split_seed` and its
            key. Empty for no split.
        split_seed: see `split`.
        part: the one part that a `Conversion` writes; see `split_conversions`.
        profile_images: images that the manifest's profile is measured on; 0 for no profile.
    """

    inputs: tuple[str, ...] = option(
        identity=False,
        section="input",
        flag="input",
        flag_default=[],
        is_repeated=True,
        help="folder of class folders, folders of the images of a table, TFRecord files, tar "
        "shards, or a builder of TensorFlow Datasets: paths and quoted patterns, separated by "
        "commas; may be repeated",
    )
    output: str = option(
        identity=False,
        section="output",
        flag_default="",
        help="folder of the data set; new, empty, or this job's own",
    )
    input_format: str = option(
        "auto",
        identity=True,
        section="input",
        choices=INPUT_FORMATS,
        help="what the input is; auto looks at it",
    )
    image_features: tuple[str, ...] = option(
        ("image/encoded",),
        identity=True,
        section="input",
        flag="image_feature",
        parse=lambda names: tuple(map(stored_name, names)),
        help="key of the feature that holds the image; several, separated by commas, for several "
        "images per example",
    )
    examples_per_record: int | None = option(
        None,
        identity=True,
        section="output",
        help="examples per record, the unit of reading and of shuffling; 2 MB or more at the "
        "fidelity that is read suits object stores; by default 256, and fewer for less than 16,384 "
        "images, so that there are at least 64 records",
    )
    num_shards: int | None = option(
        None,
        identity=True,
        section="output",
        help="number of files; by default it follows from `shard_size_mib`",
    )
    shard_size_mib: int = option(
        128,
        identity=True,
        section="output",
        help="source MiB per file; small data sets get 8 files or one per record, so that workers "
        "share the work",
    )
    shuffle: bool = option(
        True, identity=True, section="output", help="shuffle all examples, over all files"
    )
    shuffle_seed: int = option(
        0, identity=True, section="output", help="the order follows from it and the names"
    )
    scan_script: str | None = option(
        None,
        identity=True,
        section="coding",
        flag_default=scan_scripts.DEFAULT,
        help=f"a scan script of the package ({', '.join(scan_scripts.named_scripts())}), or a file "
        "in the form that jpegtran -scans reads",
    )
    prove: bool = option(
        True,
        identity=True,
        section="coding",
        help="decode every stored image again and compare its coefficients with the source's; "
        "takes about a third more time",
    )
    on_unsupported: str = option(
        "keep",
        identity=True,
        section="policies",
        choices=ON_UNSUPPORTED,
        help="what becomes of an image that cannot be re-coded losslessly (PNG, damaged JPEG, "
        "...): keep it byte for byte, raise an error, skip its example, or encode it as JPEG, "
        "which loses information",
    )
    encode_quality: int = option(
        95,
        identity=True,
        section="policies",
        help="JPEG quality of `on_unsupported=encode`, 1 to 100",
    )
    encode_upright: bool = option(
        False,
        identity=True,
        section="policies",
        help="turn images by their EXIF orientation where `on_unsupported=encode` encodes them "
        "anew, and store no orientation; other features, as boxes or image/height, stay as they "
        "are",
    )
    on_unreadable: str = option(
        "raise",
        identity=True,
        section="policies",
        choices=ON_UNREADABLE,
        help="what becomes of what cannot be read (no permission, wrong checksum, no image "
        "feature, a row of the wrong length): raise an error, or skip and name it",
    )
    prefix: str = option(
        "shard",
        identity=True,
        section="output",
        help="how file names begin: <prefix>-00000-of-00010.pcr",
    )
    num_workers: int = option(
        identity=False,
        section="run",
        default_factory=lambda: os.cpu_count() or 1,
        help="worker processes",
    )
    max_memory_bytes: int | None = option(
        None,
        identity=False,
        section="run",
        flag="max_memory",
        flag_default="",
        parse=lambda text: parse_bytes(text) if text else None,
        help="what the workers share for images that are being re-coded, as 8G: a large image "
        "waits until there is room for it; half of the machine's or the container's memory by "
        "default",
    )
    source_options: SourceOptions = option(  # noqa: RUF009, as the others: it makes a field
        identity=True, default_factory=SourceOptions
    )
    split: tuple[SplitPart, ...] = option(
        (),
        identity=True,
        section="split",
        flag_default="",
        parse=lambda text: parse_split(text),
        help="parts and their shares, as train:0.8,validation:0.2: each becomes a data set of its "
        "own, <output>/<part>; an item's part follows from its name and `split_seed` alone",
    )
    split_seed: int = option(
        0, identity=True, section="split", help="another seed gives other parts"
    )
    part: str = option("", identity=True)
    profile_images: int = option(
        64,
        identity=False,
        section="policies",
        help="images to measure the MS-SSIM of each fidelity on, for tuning; takes some seconds "
        "and TensorFlow at the end; 0: none",
    )

    def __post_init__(self) -> None:
        if self.examples_per_record is not None:
            check_at_least("examples_per_record", self.examples_per_record, 1)
        check_at_least("shard_size_mib", self.shard_size_mib, 1)
        check_at_least("num_workers", self.num_workers, 0)
        check_at_least("profile_images", self.profile_images, 0)
        if self.max_memory_bytes is not None:
            check_at_least("max_memory_bytes", self.max_memory_bytes, 1)
        if self.num_shards is not None:
            check_at_least("num_shards", self.num_shards, 1)
            if self.num_shards > 99999:
                raise ConvertError(f"`num_shards`; expected at most 99999, got {self.num_shards}")
        if not 1 <= self.encode_quality <= 100:
            raise ConvertError(f"`encode_quality`; expected 1 to 100, got {self.encode_quality}")
        for name, declaration in _DECLARED.items():
            if declaration.choices:
                check_choice(name, getattr(self, name), declaration.choices)
        if self.encode_upright and self.on_unsupported != "encode":
            raise ConvertError(
                "`encode_upright`: turns images that are encoded anew; requires "
                "`on_unsupported=encode`"
            )
        features = self.image_features
        if not features or not all(features) or len(set(features)) != len(features):
            raise ConvertError(
                f"`image_features`; expected distinct keys, got {','.join(features)!r}"
            )
        check_prefix(self.prefix)
        object.__setattr__(self, "split", tuple(SplitPart(*part) for part in self.split))
        self._check_split()
        if not self.output:
            raise ConvertError("`output`; expected a folder, got nothing")
        try:
            text = load_scan_script(self.scan_script)
            ScanScript(text)
        except ValueError as error:
            raise ConvertError(f"`scan_script={self.scan_script}`: {error}") from error
        object.__setattr__(self, "scan_script", text)

    @staticmethod
    def from_fingerprint(
        flags: Mapping[str, Any],
        *,
        inputs: Sequence[str],
        output: str,
        places: Mapping[str, str] | None = None,
    ) -> ConvertOptions:
        """The options that `flags`, a fingerprint, was made of; without a profile.

        Args:
            places: options of the source that name files and folders, which no fingerprint holds:
                "table", "label_names", "tfds_data_dir".

        Raises:
            ConvertError: they are not those of a conversion by this version.
        """
        flags = _with_names_of_today(flags)
        of_source = {field.name for field in dataclasses.fields(SourceOptions)}
        known = {name for name, option in _DECLARED.items() if option.identity} | of_source
        unknown = sorted(set(flags) - known)
        if unknown:
            raise ConvertError(f"flags of another version: {', '.join(unknown)}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in flags.items()
            if value is not None
        }
        if "split" in values:
            values["split"] = parse_split(",".join(values["split"]))
        source = {name: values.pop(name) for name in of_source & set(values)} | dict(places or {})
        return ConvertOptions(
            inputs=tuple(inputs),
            output=output,
            profile_images=0,
            source_options=SourceOptions(**source),
            **values,
        )

    def fingerprint(self) -> dict[str, Any]:
        """The options that the result depends on, as JSON values."""
        fields = dataclasses.asdict(self)
        fields["image_features"] = list(self.image_features)
        fields["split"] = [f"{name}:{share}" for name, share in self.split]
        if not self.shuffle:
            fields["shuffle_seed"] = None
        if self.num_shards is not None:
            fields["shard_size_mib"] = None
        if self.on_unsupported != "encode":
            fields["encode_quality"] = None
        if not self.encode_upright:
            del fields["encode_upright"]
        if not self.split:
            for name in ("split", "split_seed", "part"):
                del fields[name]
        del fields["source_options"]
        fields.update(self.source_options.fingerprint())
        free = {name for name, option in _DECLARED.items() if not option.identity}
        return {name: value for name, value in fields.items() if name not in free}

    def check_is_one_job(self) -> None:
        """Raises ConvertError where there is a split and no `part` is chosen."""
        if self.split and not self.part:
            raise ConvertError("a split has several jobs; see pcr_tf.convert.split_conversions")

    def _check_split(self) -> None:
        names = [name for name, _ in self.split]
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) or names.count(name) > 1:
                raise ConvertError(f"`split`; expected distinct names of folders, got {name!r}")
        shares = [share for _, share in self.split]
        if shares and (min(shares) <= 0 or not math.isclose(sum(shares), 1, abs_tol=1e-9)):
            raise ConvertError(
                "`split`; expected shares above 0 that add up to 1, got "
                f"{', '.join(map(str, shares))}: {sum(shares):g}"
            )
        if self.part and self.part not in names:
            raise ConvertError(f"part: expected one of {', '.join(names)}; got {self.part!r}")
        if self.source_options.split_column and not self.split:
            raise ConvertError("`split_column`: keeps rows together in a split; requires `split`")


def _with_names_of_today(flags: Mapping[str, Any]) -> dict[str, Any]:
    """A fingerprint of an earlier version, in the words of this one."""
    renamed = {"source": "input_format", "images_per_record": "examples_per_record"}
    return {
        renamed.get(name, name): "raise" if name.startswith("on_") and value == "fail" else value
        for name, value in flags.items()
        if renamed.get(name) not in flags
    }


def parse_split(text: str) -> tuple[SplitPart, ...]:
    """The parts and shares of "train:0.8,validation:0.2"; none for "".

    Raises:
        ConvertError: the text has another form.
    """
    parts = []
    for part in filter(None, text.split(",")):
        name, colon, share = part.partition(":")
        try:
            if not colon:
                raise ValueError
            parts.append(SplitPart(name.strip(), float(share)))
        except ValueError as error:
            raise ConvertError(
                f"`split`; expected parts and shares, as train:0.8,validation:0.2, got {part!r}"
            ) from error
    return tuple(parts)


_DECLARED = declared(ConvertOptions)
