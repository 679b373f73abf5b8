"""Images and heat maps, behind one rule of who may see them."""

from inspection.access import lines_for
from inspection.errors import NotFoundError
from inspection.models import Image, Person, Score
from inspection.selectors.parts import may_see


def image_of(person: Person, image_id: int) -> Image:
    """Return one image on the person's lines.

    Raises:
        NotFoundError: No such image, or not on a line of this person.
    """
    image = Image.objects.filter(pk=image_id, part__line__in=lines_for(person)).first()
    if image is None:
        raise NotFoundError("There is no such image on your lines.")
    return image


def score_of(person: Person, score_id: int) -> Score:
    """Return one score whose part the person may see open.

    Raises:
        NotFoundError: No such score, not on a line of this person, or still blind: the three are
            not told apart.
    """
    score = (
        Score.objects.select_related("image__part__line")
        .filter(pk=score_id, image__part__line__in=lines_for(person))
        .first()
    )
    if score is None or not may_see(person, score.image.part):
        raise NotFoundError("There is no such heat map, or the part was not looked at yet.")
    return score
