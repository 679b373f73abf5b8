"""The two thresholds of a serving model version, set by hand: the next version of the policy."""

import math

from django.db import transaction

from inspection.access import MAKERS, require
from inspection.errors import ConflictError, DomainError
from inspection.models import ModelVersion, Person, PolicyThreshold, View
from inspection.selectors.thresholds import first_threshold_of, threshold_of
from inspection.services.events import event_record
from inspection.services.policies import policy_change
from inspection.services.registry import serving_version


@transaction.atomic
def thresholds_set(
    *,
    version: ModelVersion,
    person: Person,
    review_from: float,
    reject_from: float | None,
    note: str,
) -> PolicyThreshold:
    """Set the thresholds of the version that serves; parts routed before keep their outcome.

    Args:
        version: The version, whose scores have the scale of the thresholds.
        person: Who sets them.
        review_from: Scores at or above it are reviewed.
        reject_from: Scores at or above it are rejected; none: nothing is rejected by machine.
        note: Why.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: The version does not serve, or somebody else changed the policy just now.
        DomainError: No note, a number that is none, the two the wrong way round, or no change.
    """
    # A promotion of the same view waits, or is seen here.
    view = View.objects.select_for_update(of=("self",)).select_related("product__line").get(
        pk=version.view_id
    )  # fmt: skip
    require(person, view.product.line, MAKERS)
    note = " ".join(note.split())
    _check(review_from, reject_from, note)
    serving = serving_version(view)
    if serving is None or serving.pk != version.pk:
        raise ConflictError(f"{version} does not serve: it gets thresholds once it is promoted.")
    before = threshold_of(version)
    if before is not None and (before.review_from, before.reject_from) == (
        review_from, reject_from,
    ):  # fmt: skip
        raise DomainError("These are its thresholds already: nothing was changed.")
    basis = f"Set by {person.display_name}: {note}"[:300]
    policy = policy_change(
        product=view.product, person=person, always=True,
        note=f"thresholds of {version} of {view.name}: {note}",
    )  # fmt: skip
    threshold, _ = PolicyThreshold.objects.update_or_create(
        policy=policy, view=view, model_version=version,
        defaults={
            "review_from": review_from, "reject_from": reject_from, "basis": basis,
            "is_promised": _is_promised(version, review_from),
        },
    )  # fmt: skip
    event_record(
        kind="thresholds.set", subject=f"policy:{policy.pk}", actor=person,
        data={
            "version": version.pk, "review_from": review_from, "reject_from": reject_from,
            "basis": basis,
            "before": None if before is None else [before.review_from, before.reject_from],
        },
    )  # fmt: skip
    return threshold


def _check(review_from: float, reject_from: float | None, note: str) -> None:
    for name, value in (("review_from", review_from), ("reject_from", reject_from)):
        if value is not None and not math.isfinite(value):
            raise DomainError(f"{name} must be a number.", {"field": name})
    if reject_from is not None and reject_from < review_from:
        raise DomainError("reject_from cannot lie below review_from.", {"field": "reject_from"})
    if not note:
        raise DomainError("Say why: it stays in the policy beside your name.", {"field": "note"})


def _is_promised(version: ModelVersion, review_from: float) -> bool:
    """Return whether the threshold is the very one that the calibration normals carry."""
    if not version.metrics.get("calibration"):
        return False
    first = first_threshold_of(version)
    return first.promise and first.review_from == review_from
