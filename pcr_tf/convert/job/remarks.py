"""What a finished conversion says for people, beyond its counts: what to know of, and to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FEW_RECORDS = 8


def remarks(manifest: dict[str, Any]) -> list[str]:
    """Lines of text, none where there is nothing to remark."""
    reasons, encoded = manifest["counts"]["opaque_reasons"], manifest["encoded"]
    dataset = manifest["dataset"]
    encode = "`on_unsupported=encode` makes JPEGs of what Pillow reads"
    if manifest["flags"]["on_unsupported"] == "encode":
        encode = "a JPEG could not be made of them"

    def counted(key: str) -> int:
        return sum(key in entry for entry in encoded)

    said: list[tuple[int, Callable[[int], str]]] = [
        (
            reasons.get("not_a_jpeg", 0),
            lambda n: (
                f"of those kept as is {n} {'is' if n == 1 else 'are'} no JPEG: image_batches and "
                f"the decoding ops refuse such; {encode}, `on_unsupported=skip` leaves them out"
            ),
        ),
        (
            reasons.get("proof_failed", 0),
            lambda n: (
                f"{n} proof_failed: the re-coded image did not decode to the same "
                "coefficients, so it was kept as it came. Nothing is lost; it is a fault of "
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
    lines = [line(count) for count, line in said if count]
    return lines + few_records(dataset["records"], dataset["examples"])


def few_records(num_records: int, num_examples: int) -> list[str]:
    """What to say of a data set whose records are too few for `shuffle`: a text, or none."""
    if num_records >= FEW_RECORDS or num_examples <= num_records:
        return []
    records = "1 record" if num_records == 1 else f"{num_records} records"
    return [
        f"{records} only: shuffle=True gives records a new order in each epoch, not the examples "
        "in them; convert with fewer `examples_per_record`, or shuffle examples too: "
        f"shuffle_buffer={num_examples} in image_batches, or .shuffle({num_examples})"
    ]


def turned_images(manifest: dict[str, Any]) -> str:
    """What to say of a data set's images that are not upright; "" where there are none."""
    # Manifests of earlier versions do not count them.
    turned = manifest["counts"].get("turned", 0)
    if not turned:
        return ""
    subject = "1 image is" if turned == 1 else f"{turned} images are"
    return (
        f"{subject} stored turned (EXIF orientation). Decoders that ignore EXIF, tf.io.decode_jpeg "
        "among them, show such images turned: pass honor_orientation=True to the decoding ops and "
        "image_batches of pcr_tf, in training and validation alike"
    )
