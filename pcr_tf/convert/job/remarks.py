"""What a finished conversion reports beyond its counts: what people should know, and do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FEW_RECORDS = 8


def remarks(manifest: dict[str, Any]) -> list[str]:
    """Lines of text; empty if there is nothing to remark."""
    reasons, encoded = manifest["counts"]["opaque_reasons"], manifest["encoded"]
    dataset = manifest["dataset"]
    encode = "`on_unsupported=encode` makes JPEGs of what Pillow reads"
    if manifest["flags"]["on_unsupported"] == "encode":
        encode = "they could not be encoded as JPEG"

    def counted(key: str) -> int:
        return sum(key in entry for entry in encoded)

    candidates: list[tuple[int, Callable[[int], str]]] = [
        (
            reasons.get("not_a_jpeg", 0),
            lambda n: (
                f"of those kept as is {n} {'is' if n == 1 else 'are'} not JPEG: image_batches and "
                f"the decoding ops refuse these; {encode}, `on_unsupported=skip` skips them"
            ),
        ),
        (
            reasons.get("proof_failed", 0),
            lambda n: (
                f"{n} proof_failed: the transcoded image did not decode to the same "
                "coefficients, so the original was kept. Nothing is lost, but it is a bug in "
                "pcr_tf: please report it with the image"
            ),
        ),
        (
            counted("frames"),
            lambda n: f"{n} encoded had several frames or pages: the first one was taken",
        ),
        (
            counted("turned"),
            lambda n: (
                f"{n} encoded {'was' if n == 1 else 'were'} turned upright; boxes and sizes "
                "in other features were not"
            ),
        ),
    ]
    lines = [line(count) for count, line in candidates if count]
    return lines + few_records(dataset["records"], dataset["examples"])


def few_records(num_records: int, num_examples: int) -> list[str]:
    """A remark on a data set with too few records for `shuffle`; empty if it has enough."""
    if num_records >= FEW_RECORDS or num_examples <= num_records:
        return []
    records = "1 record" if num_records == 1 else f"{num_records} records"
    return [
        f"only {records}: shuffle=True gives records a new order in each epoch, not the examples "
        "in them; convert with fewer `examples_per_record`, or shuffle examples too: "
        f"shuffle_buffer={num_examples} in image_batches, or .shuffle({num_examples})"
    ]


def turned_images(manifest: dict[str, Any]) -> str:
    """A remark on a data set's images that are not upright; "" if there are none."""
    # Manifests of earlier versions do not count them.
    turned = manifest["counts"].get("turned", 0)
    if not turned:
        return ""
    subject = "1 image is" if turned == 1 else f"{turned} images are"
    return (
        f"{subject} stored turned (EXIF orientation). Decoders that ignore EXIF, tf.io.decode_jpeg "
        "among them, show these turned: pass honor_orientation=True to the decoding ops and "
        "image_batches of pcr_tf, in training and validation alike"
    )
