"""Says which image an error is about, where only the order of the images tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from detection.protocol import DetectionError

_Result = TypeVar("_Result")


def named_in_order(results: Iterable[_Result], ids: Sequence[str]) -> Iterator[_Result]:
    """The results as they come; a DetectionError on the way names the image it is about.

    Args:
        results: One for each image, in order.
        ids: The images' ids, in the same order.

    Raises:
        DetectionError: As ``results`` raises it, with the id in front unless it is named already.
    """
    walk = iter(results)
    for name in ids:
        try:
            result = next(walk)
        except StopIteration:
            return
        except DetectionError as error:
            if name in str(error):
                raise
            raise DetectionError(f"{name}: {error}") from error
        yield result
