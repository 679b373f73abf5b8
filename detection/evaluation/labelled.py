"""Images with what is known of them, as a source that is walked one image at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detection.protocol import BoolArray, ImageSource, UInt8Array


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with what is known of it; ``mask`` is ``(height, width)`` bool or None."""

    id: str
    image: UInt8Array
    is_defect: bool
    defect_type: str
    mask: BoolArray | None


class LabelledSource:
    """Images with labels, walked together and as often as wanted.

    Args:
        images: Re-iterable; not all in memory.
        labels: True where defective, in the order of ``images``.
        ids: One each.
        defect_types: One each, ``""`` for normals. None: all defects are just ``"defect"``.
        masks: One each, None where there is none; may read lazily. None: no masks at all.

    Raises:
        ValueError: The lengths differ.
    """

    def __init__(
        self,
        images: ImageSource,
        labels: Sequence[bool],
        *,
        ids: Sequence[str],
        defect_types: Sequence[str] | None = None,
        masks: Sequence[BoolArray | None] | None = None,
    ) -> None:
        if defect_types is None:
            defect_types = ["defect" if label else "" for label in labels]
        given = {len(images), len(labels), len(ids), len(defect_types)}
        if masks is not None:
            given.add(len(masks))
        if len(given) != 1:
            raise ValueError("images, labels, ids, defect types and masks differ in length")
        self.images = images
        self.labels = labels
        self.ids = ids
        self.defect_types = defect_types
        self.masks = masks

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[LabelledImage]:
        for number, image in enumerate(self.images):
            yield LabelledImage(
                id=self.ids[number],
                image=image,
                is_defect=bool(self.labels[number]),
                defect_type=self.defect_types[number],
                mask=None if self.masks is None else self.masks[number],
            )
