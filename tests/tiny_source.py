"""A kind of source of its own: the least that a new one needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from pcr_tf.convert import SourceOptions
from pcr_tf.convert.sources import Listing, Source, SourceContext, SourceItem
from pcr_tf.convert.sources.base import Match
from pcr_tf.format.example import encode_example


@dataclasses.dataclass(frozen=True)
class PairsContext(SourceContext):
    """What reading needs beside the item: the part of the names that all items share."""

    prefix: str = ""


@dataclasses.dataclass(frozen=True)
class PairsSource(Source):
    """The images that a text file lists: lines of a class and the name of a file beside it."""

    kind = "pairs"

    path: str
    image_features: tuple[str, ...]

    @classmethod
    def create(
        cls, inputs: Sequence[str], image_features: Sequence[str], options: SourceOptions
    ) -> PairsSource:
        (path,) = inputs
        return cls(path, tuple(image_features))

    @classmethod
    def match(cls, path: str, *, is_folder: bool) -> Match:
        return Match.CERTAIN if path.endswith(".pairs") else Match.NO

    def list_items(self, *, skip_unreadable: bool) -> Listing:
        lines = [line.split() for line in Path(self.path).read_text().splitlines()]
        names = sorted({name for name, _ in lines})
        folder = Path(self.path).parent
        items = [
            SourceItem(str(folder / file), 0, (folder / file).stat().st_size, -1, names.index(name))
            for name, file in lines
        ]
        context = PairsContext(tuple(names), prefix=f"{folder.name}/")
        return Listing(tuple(items), {self.path: str(len(items))}, context)

    def key(self, item: SourceItem) -> str:
        return Path(item.path).name

    def read(self, item: SourceItem, context: SourceContext) -> bytes:
        assert isinstance(context, PairsContext)
        return encode_example(
            {
                self.image_features[0]: [Path(item.path).read_bytes()],
                "image/class/label": [item.label],
                "image/class/text": [context.class_names[item.label].encode()],
                "name": [(context.prefix + self.key(item)).encode()],
            }
        )
