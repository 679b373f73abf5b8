"""Policies: versioned, never overwritten."""

import math
from typing import Any, Final

from django.db import IntegrityError, transaction

from inspection.access import MAKERS, require
from inspection.errors import ConflictError, DomainError
from inspection.models import Person, Policy, PolicyThreshold, Product
from inspection.selectors.products import policy_in_force
from inspection.services.events import event_record

COSTS: Final = ("miss_cost", "false_alarm_cost", "review_minute_cost")
SHARES: Final = ("audit_rate", "rejected_review_rate")
FIELDS: Final = (*COSTS, *SHARES, "overlay_first", "retrain_at", "retrain_after_normals")


@transaction.atomic
def policy_change(
    *,
    product: Product,
    person: Person | None,
    note: str = "",
    always: bool = False,
    **changes: Any,
) -> Policy:
    """Write the next version of a product's policy, with the thresholds of the one before.

    Args:
        product: Whose policy.
        person: Who changes it; none for the system itself.
        note: Why.
        always: Write a version even if no field changes: its thresholds are about to.
        changes: Fields of ``Policy`` to set; the others stay. Nothing new: nothing is written.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        DomainError: A cost below 0 or a share outside 0 to 1.
        ConflictError: Somebody else changed it at the same moment.
    """
    if person is not None:
        require(person, product.line, MAKERS)
    policy_check(changes)
    before = policy_in_force(product)
    changed = {name: new for name, new in changes.items() if getattr(before, name) != new}
    if not changed and not always:
        return before
    kept = {name: getattr(before, name) for name in FIELDS}
    try:
        with transaction.atomic():
            policy = Policy.objects.create(
                product=product,
                version=before.version + 1,
                created_by=person,
                note=note[:300],
                **(kept | changed),
            )
    except IntegrityError:
        raise ConflictError("Somebody else changed this policy just now. Look again.") from None
    thresholds = list(before.thresholds.all())
    for threshold in thresholds:
        threshold.pk = None
        threshold._state.adding = True
        threshold.policy = policy
    PolicyThreshold.objects.bulk_create(thresholds)
    event_record(
        kind="policy.changed",
        subject=f"policy:{policy.pk}",
        actor=person,
        data={
            "product": product.pk,
            "version": policy.version,
            "note": note[:300],
            "from": {name: _plain(getattr(before, name)) for name in changed},
            "to": {name: _plain(new) for name, new in changed.items()},
        },
    )
    return policy


def policy_first(*, product: Product, person: Person | None, **fields: Any) -> Policy:
    """Write version 1 for a new product, in the caller's transaction.

    Raises:
        DomainError: A cost below 0 or a share outside 0 to 1.
    """
    policy_check(fields)
    policy = Policy.objects.create(product=product, version=1, created_by=person, **fields)
    event_record(
        kind="policy.created",
        subject=f"policy:{policy.pk}",
        actor=person,
        data={"product": product.pk, **{name: _plain(value) for name, value in fields.items()}},
    )
    return policy


def policy_check(fields: dict[str, Any]) -> None:
    """Do nothing, or say which field cannot be used.

    Raises:
        TypeError: A name that no policy has.
        DomainError: A value out of range.
    """
    unknown = set(fields) - set(FIELDS)
    if unknown:
        raise TypeError(f"a policy has no {', '.join(sorted(unknown))}")
    for name in COSTS:
        value = fields.get(name, 0)
        if not (math.isfinite(value) and value >= 0):
            raise DomainError("A cost must be 0 or more.", {"field": name})
    for name in SHARES:
        if not 0 <= fields.get(name, 0) <= 1:
            raise DomainError("A share lies between 0 and 1.", {"field": name})
    after = fields.get("retrain_after_normals")
    if after is not None and after < 1:
        raise DomainError("Retrain after 1 new normal or more.", {"field": "retrain_after_normals"})


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)
