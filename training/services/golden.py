"""The golden set: frozen images of known truth that judge every candidate."""

import io

import numpy as np
from django.db import transaction
from django.utils import timezone

from inspection.access import MAKERS, require
from inspection.blobs import blob_put
from inspection.errors import ConflictError, DomainError, RefusedImageError
from inspection.models import Blob, DefectType, Image, Person, View
from inspection.services.events import event_record
from training.models import GoldenEntry, PoolEntry


def golden_add(
    *,
    view: View,
    person: Person,
    data: bytes,
    is_defect: bool,
    defect_type: DefectType | None = None,
    mask: bytes | None = None,
    file_name: str = "",
    channel: str = Image.Channel.BROWSER,
) -> GoldenEntry:
    """Take in an image of known truth; the same bytes again return the entry that is there.

    Golden images are never learned: one that waits in a pool is withdrawn from it.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        RefusedImageError: The image or its mask cannot be used.
        ConflictError: A model has learned from this very image, or its truth was said otherwise.
    """
    from inspection.services.intake import image_receive

    require(person, view.product.line, MAKERS)
    if mask is not None and not is_defect:
        raise DomainError("A mask marks a defect: a normal image has none.")
    received = image_receive(
        data=data, product=view.product, view=view, channel=channel, person=person,
        file_name=file_name, score=False,
    )  # fmt: skip
    image = received.image
    blob = _mask_blob(mask, image) if mask is not None else None
    with transaction.atomic():
        known = GoldenEntry.objects.filter(image=image).first()
        if known is not None:
            if known.is_defect != is_defect:
                raise ConflictError(f"{file_name or 'This image'} is golden with another truth.")
            return known
        _leave_pool(image)
        entry = GoldenEntry.objects.create(
            image=image, view=view, is_defect=is_defect, defect_type=defect_type, mask=blob,
            added_by=person, added_at=timezone.now(),
        )  # fmt: skip
        event_record(
            kind="golden.added", subject=f"image:{image.pk}", actor=person,
            data={"is_defect": is_defect, "sha256": image.blob_id},
        )  # fmt: skip
    return entry


def _leave_pool(image: Image) -> None:
    entry = PoolEntry.objects.filter(image=image).first()
    if entry is None:
        return
    if entry.state == PoolEntry.State.USED:
        raise ConflictError("A model has learned from this image: it cannot judge one.")
    entry.state = PoolEntry.State.WITHDRAWN
    entry.why = "golden"
    entry.changed_at = timezone.now()
    entry.save(update_fields=["state", "why", "changed_at"])


def _mask_blob(mask: bytes, image: Image) -> Blob:
    """Return the mask as a blob of one-channel PNG after checking that it fits its image."""
    from PIL import Image as Picture

    from detection.decoding import DecodeError, decode_image

    try:
        grey = decode_image(mask)[:, :, 0]
    except DecodeError as error:
        raise RefusedImageError(
            f"The mask cannot be used: {error.message}", {"reason": error.code}
        ) from error
    if grey.shape != (image.height, image.width):
        raise RefusedImageError(
            f"The mask is {grey.shape[1]} x {grey.shape[0]} pixels, "
            f"the image {image.width} x {image.height}.",
            {"reason": "mask_size"},
        )
    # Some tools write 0 and 1, some 0 and 255.
    marked = np.where(grey > (127 if grey.max() > 1 else 0), 255, 0).astype(np.uint8)
    if not marked.any():
        raise RefusedImageError("The mask marks nothing.", {"reason": "mask_empty"})
    buffer = io.BytesIO()
    Picture.fromarray(marked).save(buffer, format="PNG")
    return blob_put(buffer.getvalue())
