"""Sample parts as files: one image's bytes, or a whole folder in MVTec layout."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from detection.protocol import Progress, UInt8Array
from detection.samples.parts import SamplePart, SampleProduct, make_part

LOTS: Final = ("0475", "0476", "0477", "0478")
JPEG_QUALITY: Final = 95
_TRIES: Final = 40  # a view that shows four of five defects fails 40 times in 1e-28
# Seeds of training, test and defective parts must never meet.
_APART: Final = 1_000_000


def encode_image(image: UInt8Array) -> bytes:
    """Return the image as the JPEG a camera would send."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def write_mvtec(
    directory: Path,
    product: SampleProduct,
    *,
    view: str | None = None,
    normals: int = 80,
    defects: int = 40,
    test_normals: int | None = None,
    seed: int = 0,
    lots: Sequence[str] = LOTS,
    on_progress: Progress | None = None,
) -> None:
    """Write sample images of one view in MVTec layout.

    Args:
        directory: Made if missing. Files already there under the same names are replaced.
        product: One of ``PRODUCTS``.
        view: Name of the view; None for the main one.
        normals: Images in ``train/good``.
        defects: Images in ``test/<defect>``, dealt over all defects in turn, with masks.
        test_normals: Images in ``test/good``; None for half as many as defects.
        seed: Another seed gives other parts.
        lots: Dealt over the images in turn; file names begin with the lot.
        on_progress: Called after each image with (done, total, path in the folder).
    """
    chosen = view if view is not None else next(iter(product.views))
    good = test_normals if test_normals is not None else defects // 2
    kinds = list(product.defects)
    jobs: list[tuple[str, int, str | None]] = [
        *(("train/good", k, None) for k in range(normals)),
        *(("test/good", _APART + k, None) for k in range(good)),
        *(
            (f"test/{kinds[k % len(kinds)]}", 2 * _APART + k, kinds[k % len(kinds)])
            for k in range(defects)
        ),
    ]
    for done, (folder, number, defect) in enumerate(jobs, start=1):
        lot = lots[number % len(lots)]
        part = _visible_part(product, chosen, seed, number, defect, lot)
        stem = f"{lot}_{number % _APART:04d}"
        path = directory / folder / f"{stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(part.images[chosen]))
        if defect is not None:
            truth = directory / "ground_truth" / defect / f"{stem}.png"
            truth.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(part.masks[chosen].astype(np.uint8) * 255).save(truth)
        if on_progress is not None:
            on_progress(done, len(jobs), f"{folder}/{path.name}")


def _visible_part(
    product: SampleProduct, view: str, seed: int, number: int, defect: str | None, lot: str
) -> SamplePart:
    """A part whose defect this view shows; the next ones are tried where it does not."""
    for attempt in range(_TRIES):
        part_seed = seed * 10 * _APART + number + attempt * 3 * _APART
        part = make_part(product, seed=part_seed, defect=defect, lot=lot, views=[view])
        if defect is None or part.masks[view].any():
            return part
    raise ValueError(f"the view {view!r} of {product.name} never shows a {defect}")
