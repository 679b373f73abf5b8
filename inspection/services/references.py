"""The golden reference of a view: the picture that the station shows beside each part."""

from django.db import transaction

from inspection.access import MAKERS, require
from inspection.errors import ConflictError
from inspection.models import Image, Person, View
from inspection.selectors.references import reference_choices
from inspection.services.events import event_record


@transaction.atomic
def reference_set(*, image: Image, person: Person) -> View:
    """Make an image the golden reference of its view.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: It is the reference already, or not known to show a normal part.
    """
    view = View.objects.select_for_update(of=("self",)).select_related("product__line").get(
        pk=image.view_id
    )  # fmt: skip
    require(person, view.product.line, MAKERS)
    if image.pk not in reference_choices(image.part):
        raise ConflictError(
            "Only a verified normal, or a part that was said good and that nobody is asked about, "
            "can be the golden reference."
        )
    if view.reference_image_id == image.pk:
        raise ConflictError("This picture is the golden reference already.")
    return reference_write(view=view, image=image, person=person)


@transaction.atomic
def reference_write(*, view: View, image: Image | None, person: Person | None) -> View:
    """Write a view's reference, or take it away, with its event; rights are the caller's."""
    before = view.reference_image_id
    view.reference_image = image
    view.save(update_fields=["reference_image"])
    event_record(
        kind="reference.set", subject=f"view:{view.pk}", actor=person,
        data={
            "image": image.pk if image is not None else None,
            "sha256": image.blob_id if image is not None else None,
            "before": before,
        },
    )  # fmt: skip
    return view
