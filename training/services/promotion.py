"""Which version serves: promotion, and rollback, the same move backwards.

A promotion and the thresholds that go with it are one transaction: a version never serves under
the thresholds of another one, whose scores have another scale.
"""

from django.db import transaction

from inspection.access import MAKERS, require
from inspection.errors import ConflictError, DomainError
from inspection.models import ModelVersion, Person, Policy, PolicyThreshold, Promotion, View
from inspection.selectors.thresholds import first_threshold_of, threshold_of
from inspection.services.events import event_record
from inspection.services.references import reference_write
from inspection.services.registry import promotion_record, serving_version
from training.selectors.pools import first_normal

FIRST_REASON = "first model of this view"


def promote(*, version: ModelVersion, person: Person, reason: str) -> Promotion:
    """Let a version serve its view from now on, with thresholds of its own.

    A version that served before comes back with the thresholds it last had.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: It serves already.
        DomainError: No reason given, or the version has no calibration to set thresholds from.
    """
    return _serve(version=version, person=person, reason=_said(reason), is_rollback=False)


def rollback(*, version: ModelVersion, person: Person, reason: str) -> Promotion:
    """Let a version that served before serve again, with the thresholds it last had.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: It serves now, or it never served.
        DomainError: No reason given.
    """
    if not version.promotions.exists():
        raise ConflictError(f"{version} never served: promote it instead.")
    return _serve(version=version, person=person, reason=_said(reason), is_rollback=True)


def promote_first(*, version: ModelVersion, person: Person | None) -> Promotion:
    """Let the first model of a view serve; the person asked for this when requesting the run."""
    return _serve(version=version, person=person, reason=FIRST_REASON, is_rollback=False)


def _said(reason: str) -> str:
    if not reason.strip():
        raise DomainError("Say why: the reason stays in the log beside your name.")
    return reason.strip()[:300]


@transaction.atomic
def _serve(
    *, version: ModelVersion, person: Person | None, reason: str, is_rollback: bool
) -> Promotion:
    from inspection.services.policies import policy_change

    view = View.objects.select_for_update(of=("self",)).select_related("product__line").get(
        pk=version.view_id
    )  # fmt: skip
    if person is not None:
        require(person, view.product.line, MAKERS)
    before = serving_version(view)
    if before is not None and before.pk == version.pk:
        raise ConflictError(f"{version} serves already.")
    earlier = threshold_of(version)
    policy = policy_change(
        product=view.product, person=person, always=True,
        note=f"{version} serves {view.name}: {reason}"[:300],
    )  # fmt: skip
    threshold = _threshold_write(policy, version, earlier)
    # Light and focus are compared with what this very version has learned.
    reference = version.metrics.get("health_reference")
    if reference is not None:
        view.health_reference = reference
        view.save(update_fields=["health_reference"])
    normal = first_normal(view) if view.reference_image_id is None else None
    if normal is not None:
        reference_write(view=view, image=normal, person=person)
    promotion = promotion_record(
        view=view, version=version, person=person, reason=reason, is_rollback=is_rollback
    )
    event_record(
        kind="thresholds.set", subject=f"policy:{policy.pk}", actor=person,
        data={
            "version": version.pk, "review_from": threshold.review_from,
            "reject_from": threshold.reject_from, "basis": threshold.basis,
        },
    )  # fmt: skip
    return promotion


def _threshold_write(
    policy: Policy, version: ModelVersion, earlier: PolicyThreshold | None
) -> PolicyThreshold:
    """Return the version's row under the new policy: copied, restored, or the first one."""
    copied = PolicyThreshold.objects.filter(policy=policy, model_version=version).first()
    if copied is not None:
        return copied
    if earlier is not None:
        return PolicyThreshold.objects.create(
            policy=policy, view=version.view, model_version=version,
            review_from=earlier.review_from, reject_from=earlier.reject_from,
            false_alarm_level=earlier.false_alarm_level, is_promised=earlier.is_promised,
            basis=earlier.basis,
        )  # fmt: skip
    first = first_threshold_of(version)
    return PolicyThreshold.objects.create(
        policy=policy, view=version.view, model_version=version,
        review_from=first.review_from, reject_from=None, false_alarm_level=first.level,
        is_promised=first.promise, basis=first.sentence[:300],
    )  # fmt: skip
