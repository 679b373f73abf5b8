"""Which pictures of a part may be the golden reference of their view."""

from inspection import hooks
from inspection.models import Image, Part


def reference_choices(part: Part) -> set[int]:
    """Return the ids of the part's images that are known to show a normal part.

    None while somebody is asked about the part: it is not settled, and to offer it would tell.
    """
    if Part.objects.filter(hooks.parts_in_review.ask(), pk=part.pk).exists():
        return set()
    found = set(hooks.known_normals.ask(part))
    images = Image.objects.filter(part=part).exclude(state=Image.State.FAILED)
    if part.verdict == Part.Verdict.GOOD:
        found.update(images.filter(round=part.round).values_list("pk", flat=True))
    return found
