"""A colleague who has answered some of the demo's parts, so that a shift has been going on.

She knows the truth of sample parts; she slips now and then, as people do. What she leaves is the
visitor's queue. She cannot sign in.
"""

from django.db import transaction

from detection.samples import PRODUCTS
from inspection.models import DefectType, Membership, Person, Role
from review.models import Decision, ReviewItem
from review.services.decisions import decision_record
from review.services.leases import item_lease_next
from training.demo.plan import FIRST_NUMBER, PLANS, ProductPlan, stream_defect

NAME = "colleague"
ANSWERED_OF_FIVE = 3  # of every five waiting parts; the other two are left
SLIP_EVERY = 12
SECONDS = 4.2  # what a part takes at a practised station


def colleague_answers() -> int:
    """Answer a share of what waits and return how many were answered; once per demo."""
    person = _colleague()
    if Decision.objects.filter(person=person).exists():
        return 0
    answered = 0
    waiting = ReviewItem.objects.filter(state=ReviewItem.State.WAITING).order_by("id")
    for number, item in enumerate(waiting.select_related("part__product")):
        plan = next(p for p in PLANS if PRODUCTS[p.key].name == item.part.product.name)
        if number % 5 >= ANSWERED_OF_FIVE:
            continue
        if item_lease_next(person=person, count=1, first=item.pk) != [item.pk]:
            continue  # the visitor has it already
        defect = _truth(plan, item.part.serial)
        if answered % SLIP_EVERY == SLIP_EVERY - 1:
            defect = None
        decision_record(
            person=person,
            item_id=item.pk,
            verdict="good" if defect is None else "defect",
            defect_types=_types(item, defect),
            seconds=SECONDS,
            terminal="demo",
            key=f"demo-{item.pk}",
        )
        answered += 1
    return answered


@transaction.atomic
def _colleague() -> Person:
    person, made = Person.objects.get_or_create(
        username=NAME,
        defaults={"first_name": "Anna", "last_name": "Lis", "is_demo": True},
    )
    if made:
        person.set_unusable_password()
        person.save(update_fields=["password"])
        Membership.objects.create(person=person, role=Role.OPERATOR)
    return person


def _truth(plan: ProductPlan, serial: str) -> str | None:
    """Return what is wrong with a part of the stream, by the number at the end of its serial."""
    number = int(serial.rsplit("-", 1)[1]) - FIRST_NUMBER
    return stream_defect(number, list(PRODUCTS[plan.key].defects))


def _types(item: ReviewItem, defect: str | None) -> list[int]:
    if defect is None:
        return []
    name = defect.replace("_", " ")
    return list(
        DefectType.objects.filter(product=item.product_id, name=name).values_list("pk", flat=True)
    )
