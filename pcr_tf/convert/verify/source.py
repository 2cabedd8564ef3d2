"""Proves a data set against the source that it was made of."""

from __future__ import annotations

import collections
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pcr_tf.convert.errors import ConvertError
from pcr_tf.convert.job.conversion import Conversion
from pcr_tf.convert.job.options import ConvertOptions
from pcr_tf.convert.job.workers import OnProgress, run_jobs
from pcr_tf.convert.sources import SourceItem
from pcr_tf.convert.verify.compare import (
    CompareJob,
    Pair,
    Signature,
    SignatureJob,
    SourceReader,
    StoredExample,
    compare_pairs,
    signatures,
)
from pcr_tf.format import filesystem
from pcr_tf.format.example import bytes_features
from pcr_tf.format.names import stored_name
from pcr_tf.format.reader import PcrReader

_FILE_NAME = "image/filename"  # of sources whose items are files
_PER_JOB = 512  # pairs, or examples and items

# Called with what is about to be done and how many items it takes; gives the way to report them.
Begin = Callable[[str, int], OnProgress]


class SourceProof:
    """Compares every stored example with the item that it was made of.

    The order of the data set follows from the source and the recorded flags, so normally example n
    is item n. Where they differ, because something is missing, too many or changed, examples
    and items are told apart by their features and images, and then compared.
    """

    def __init__(
        self,
        folder: str,
        manifest: dict[str, Any],
        inputs: Sequence[str],
        *,
        places: Mapping[str, str],
        num_workers: int,
    ) -> None:
        """Lists the source.

        Args:
            places: as in `ConvertOptions.from_fingerprint`.

        Raises:
            ConvertError: the source is unreadable or not laid out as the manifest says.
        """
        # Without its table, a source that is looked at anew would be taken for class folders.
        flags = manifest["flags"] | {"input_format": manifest["source"]["kind"]}
        if flags["input_format"] == "table" and "table" not in places:
            raise ConvertError(
                f"{folder}: made of a table; expected it to be named here too, with `table`, as "
                "pcr-convert had it"
            )
        options = ConvertOptions.from_fingerprint(
            flags, inputs=inputs, output=folder, places=places
        )
        conversion = Conversion(options)
        self._folder = folder
        self._manifest = manifest
        self._places = places
        self._class_names = list(map(stored_name, conversion.listing.class_names))
        self._source = conversion.source
        self._items = conversion.plan.items
        self._num_workers = num_workers
        self._skipped = collections.Counter(entry["name"] for entry in manifest["skipped"])
        encoded = frozenset(entry["name"] for entry in manifest["encoded"])
        self._reader = SourceReader(conversion.source, conversion.listing.context, options, encoded)
        self._stored = PcrReader(folder)
        self._index = self._stored.index

    def faults(self, begin: Begin) -> Iterator[str]:
        """Every difference, as a line that names it.

        Raises:
            ValueError: a record is damaged. OSError: a record cannot be read.
        """
        if self._class_names != self._manifest["class_names"]:
            # Whether the conversion had such a list is not recorded, unless it counts from 1.
            unnamed = (
                "label_column" in self._manifest["flags"] and "label_names" not in self._places
            )
            yield (
                f"{filesystem.join(self._folder, 'manifest.json')}: class_names; expected those of "
                f"the source, {self._class_names}, got {self._manifest['class_names']}"
                f"{'; did the conversion have `label_names`? Give it here as well' * unnamed}"
            )
        stored = [
            StoredExample(record, example)
            for record in range(self._index.num_records)
            for example in range(self._index.record(record).num_examples)
        ]
        items = self._without_skipped()
        pairs = [Pair(*pair) for pair in zip(stored, items, strict=False)]
        found = self._compare(
            pairs, begin("comparing with the source", len(pairs)), all_differences=False
        )
        if len(stored) == len(items) and not found:
            return
        odd_stored = [stored[position] for position in found] + stored[len(pairs) :]
        odd_items = [items[position] for position in found] + items[len(pairs) :]
        yield from self._resolve(odd_stored, odd_items, begin)

    def _without_skipped(self) -> list[SourceItem]:
        """The items, without those that the manifest says were left out.

        Keys need not be unique: where only some items of a key were left out, all stay, and are
        excused when they find no example.
        """
        keys = collections.Counter(self._key(item) for item in self._items)
        gone = {key for key, count in self._skipped.items() if keys[key] == count}
        for key in gone:
            del self._skipped[key]
        return [item for item in self._items if self._key(item) not in gone]

    def _compare(
        self, pairs: Sequence[Pair], on_progress: OnProgress, *, all_differences: bool
    ) -> dict[int, list[str]]:
        """Differences of the pairs that differ, by their positions, ascending."""
        jobs = [
            CompareJob(f"pairs from {first}", pairs[first : first + _PER_JOB], all_differences)
            for first in range(0, len(pairs), _PER_JOB)
        ]
        return {
            number * _PER_JOB + position: lines
            for number, found in enumerate(self._run(compare_pairs, jobs, on_progress))
            for position, lines in found.items()
        }

    def _run(self, function: Callable[..., Any], jobs: list[Any], on_progress: OnProgress) -> Any:
        """Results in the order of the jobs."""
        work = functools.partial(_numbered, function, folder=self._folder, source=self._reader)
        numbered = [_Numbered(number, job) for number, job in enumerate(jobs)]
        results = run_jobs(work, numbered, num_workers=self._num_workers, on_progress=on_progress)
        return [result for _, result in sorted(results, key=lambda pair: pair[0])]

    def _resolve(
        self, stored: list[StoredExample], items: list[SourceItem], begin: Begin
    ) -> Iterator[str]:
        """Names what becomes of examples and items that are not where they should be."""
        of_stored, of_items = self._signatures(stored, items, begin)
        pairs: list[tuple[int, int]] = []
        left_stored, left_items = list(range(len(stored))), list(range(len(items)))
        # Equal ones; then the same features with other images; then the same images with other
        # features.
        kinds: tuple[Callable[[Signature], Any], ...] = (
            lambda signature: signature,
            lambda signature: signature.features,
            lambda signature: signature.images,
        )
        for kind in kinds:
            waiting: dict[Any, collections.deque[int]] = collections.defaultdict(collections.deque)
            for number in left_items:
                signature = of_items[number]
                if signature is not None:
                    waiting[kind(signature)].append(number)
            for number in left_stored:
                queue = waiting.get(kind(of_stored[number]))
                if queue:
                    pairs.append((number, queue.popleft()))
            taken_stored, taken_items = ({pair[side] for pair in pairs} for side in (0, 1))
            left_stored = [number for number in left_stored if number not in taken_stored]
            left_items = [number for number in left_items if number not in taken_items]
        pairs.sort()
        matched = [Pair(stored[one], items[other]) for one, other in pairs]
        found = self._compare(matched, begin("comparing again", len(matched)), all_differences=True)
        for position, lines in found.items():
            pair = matched[position]
            for line in lines:
                yield f"{self._place(pair.stored)} ({self._key(pair.item)}): {line}"
        for number in left_items:
            key = self._key(items[number])
            if self._skipped[key] > 0:
                self._skipped[key] -= 1
            else:
                yield (
                    f"{items[number].name}: in the source, but no example of the data set is "
                    "made of it"
                )
        for number in left_stored:
            yield (
                f"{self._place(stored[number])}{self._file_name(stored[number])}: made of nothing "
                "that is in the source"
            )

    def _signatures(
        self, stored: list[StoredExample], items: list[SourceItem], begin: Begin
    ) -> tuple[list[Signature], list[Signature | None]]:
        on_progress = begin("telling examples apart", len(stored) + len(items))
        jobs = [
            SignatureJob(
                f"examples and items from {first}",
                stored[first : first + _PER_JOB],
                items[first : first + _PER_JOB],
            )
            for first in range(0, max(len(stored), len(items)), _PER_JOB)
        ]
        results = self._run(signatures, jobs, on_progress)
        one, other = ([result[side] for result in results] for side in (0, 1))
        return list(itertools.chain(*one)), list(itertools.chain(*other))

    def _key(self, item: SourceItem) -> str:
        return stored_name(self._source.key(item))

    def _place(self, stored: StoredExample) -> str:
        entry = self._index.record(stored.record)
        path = filesystem.join(self._folder, self._index.shard(entry.shard)[0])
        return f"{path}: record {entry.ordinal}, example {stored.example}"

    def _file_name(self, stored: StoredExample) -> str:
        """In brackets, the name of the image of an example that holds it; else nothing."""
        try:
            example = self._stored.read_record(stored.record, 1)[stored.example]
            names = bytes_features(example, [_FILE_NAME]).get(_FILE_NAME)
        except ValueError:  # Damage is reported elsewhere.
            return ""
        return f" ({os.fsdecode(names[0])})" if names else ""


class _Numbered:
    """A job and its place among the others."""

    def __init__(self, number: int, job: Any) -> None:
        self.number = number
        self.job = job
        self.name = job.name


def _numbered(
    function: Callable[..., Any], numbered: _Numbered, progress: Any, **arguments: Any
) -> tuple[int, Any]:
    return numbered.number, function(numbered.job, progress=progress, **arguments)
