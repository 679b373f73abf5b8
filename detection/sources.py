"""Images to walk over that are parts of other sources, or a plain list."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from detection.protocol import ImageSource, Int64Array, UInt8Array


class Subset:
    """Some images of a source, in its order, walked without holding them."""

    def __init__(self, images: ImageSource, numbers: Int64Array) -> None:
        """
        Args:
            images: The whole source.
            numbers: Rising numbers of the images wanted.
        """
        self.images = images
        self.numbers = [int(number) for number in numbers]

    @classmethod
    def of(cls, images: ImageSource, numbers: Int64Array) -> Subset:
        """The subset; read by number where the source can be, so that no other image is read."""
        return (ReadSubset if hasattr(images, "__getitem__") else cls)(images, numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[UInt8Array]:
        walk = iter(self.images)
        at = 0
        for number in self.numbers:
            yield next(islice(walk, number - at, None))
            at = number + 1


class ReadSubset(Subset):
    """Some images of a source that reads them by number."""

    def __iter__(self) -> Iterator[UInt8Array]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, at: int) -> UInt8Array:
        """The image at this place of the subset, read anew."""
        images: Any = self.images
        image: UInt8Array = images[self.numbers[at]]
        return image


class Listed:
    """A list as an image source."""

    def __init__(self, images: list[UInt8Array]) -> None:
        self.images = images

    def __iter__(self) -> Iterator[UInt8Array]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)
