"""Images to fit and score: real ones enlarged, or sample parts turned, shifted and noisy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from detection.protocol import DetectionError, UInt8Array

if TYPE_CHECKING:
    from detection.mvtec import ImageFiles

_PARTS: Final = 12  # drawn anew; making one takes longer than all the rest
_SHIFT_PX: Final = 6
_NOISE: Final = 2.0  # grey levels, a camera's; without it files would shrink and decode too fast
_JPEG_QUALITY: Final = 92


class Pictures:
    """Square images by number; none is kept but the few sample parts they are made from."""

    def __init__(self, count: int, side_px: int, *, directory: Path | None = None) -> None:
        """
        Args:
            count: How many there are.
            side_px: Their height and width.
            directory: Whose normal images are enlarged; None for sample parts.

        Raises:
            DetectionError: The directory holds no images.
        """
        self._count = count
        self._side_px = side_px
        if directory is None:
            from detection.samples import PRODUCTS, make_part

            product = PRODUCTS["flange-ring"]
            self._originals: list[UInt8Array] | ImageFiles = [
                make_part(product, seed=seed, views=["face"]).images["face"]
                for seed in range(min(_PARTS, count))
            ]
            self.source = f"sample parts ({product.name}), enlarged, turned, shifted and noisy"
        else:
            from detection.mvtec import read_folder

            self._originals = read_folder(directory).normals
            self.source = f"normal images of {directory.resolve().name}, enlarged"
        self._are_real = directory is not None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[UInt8Array]:
        return (self[number] for number in range(self._count))

    def __getitem__(self, number: int) -> UInt8Array:
        """``(side, side, 3)`` uint8 RGB, the same for a number every time."""
        if not 0 <= number < self._count:
            raise IndexError(number)
        turn, place = divmod(number, len(self._originals))
        image = self._sized(self._originals[place])
        if turn == 0 and self._are_real:
            return image
        rng = np.random.default_rng([number, 7])
        image = np.roll(image, rng.integers(-_SHIFT_PX, _SHIFT_PX + 1, 2), axis=(0, 1))
        image = np.rot90(image, turn % 4)
        # One draw for all three channels: it is three times faster, and noise enough.
        noise = rng.normal(0.0, _NOISE, image.shape[:2])[:, :, None]
        return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)

    def _sized(self, image: UInt8Array) -> UInt8Array:
        import cv2

        shrinks = min(image.shape[:2]) > self._side_px
        way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        sized = cv2.resize(image, (self._side_px, self._side_px), interpolation=way)
        return np.asarray(sized, dtype=np.uint8)


def write_pngs(pictures: Pictures, folder: Path) -> None:
    """Write all of them into a folder."""
    folder.mkdir(parents=True)
    for number in range(len(pictures)):
        (folder / f"{number:05d}.png").write_bytes(encoded(pictures[number], "PNG"))


def encoded(image: UInt8Array, format_name: str) -> bytes:
    """The image as a PNG or JPEG file.

    Raises:
        DetectionError: Another format.
    """
    options = {"PNG": {}, "JPEG": {"quality": _JPEG_QUALITY}}.get(format_name)
    if options is None:
        raise DetectionError("Pictures are written as PNG or JPEG.")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=format_name, **options)
    return buffer.getvalue()
