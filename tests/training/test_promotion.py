"""Promotion and rollback: one transaction, thresholds included."""

import numpy as np
import pytest

from inspection.errors import ConflictError, DomainError, NotAllowedError
from inspection.models import (
    Event,
    Image,
    ModelVersion,
    Person,
    Policy,
    PolicyThreshold,
    Promotion,
    Role,
    ScoringJob,
    View,
)
from inspection.services.registry import serving_version
from tests import factories
from training.services import promotion
from training.services.promotion import promote, rollback

pytestmark = pytest.mark.django_db


def candidate(view: View, *, n: int = 40, shift: float = 0.0, groups: int = 1) -> ModelVersion:
    scores = [float(score) for score in np.linspace(1, 2, n) + shift]
    return factories.make_version(
        view,
        serve=False,
        calibration_count=n,
        metrics={
            "groups": groups,
            "calibration": factories.calibration_json(scores, lots=groups),
            "health_reference": {"of": shift},
        },
    )


@pytest.fixture
def view() -> View:
    return factories.make_view(factories.make_product(miss_cost=77))


def test_a_promotion_brings_its_own_thresholds(view: View, engineer: Person) -> None:
    version = candidate(view)
    promote(version=version, person=engineer, reason="looks right")
    assert serving_version(view) == version
    policy = Policy.objects.get(product=view.product, version=2)
    assert policy.miss_cost == 77
    assert policy.created_by == engineer
    assert "looks right" in policy.note
    threshold = PolicyThreshold.objects.get(policy=policy)
    # 40 normals cannot carry 1 %: the largest of them is as far as they go.
    assert threshold.review_from == 2.00001
    assert threshold.reject_from is None
    assert threshold.is_promised is False
    assert "No promise" in threshold.basis
    view.refresh_from_db()
    assert view.health_reference == {"of": 0.0}
    kinds = list(Event.objects.values_list("kind", flat=True))
    assert {"model.promoted", "policy.changed", "thresholds.set"} <= set(kinds)


def test_enough_normals_of_enough_days_carry_a_promise(view: View, engineer: Person) -> None:
    promote(version=candidate(view, n=299, groups=12), person=engineer, reason="yes")
    threshold = PolicyThreshold.objects.latest("id")
    assert threshold.is_promised is True
    assert "95 % confidence" in threshold.basis


def test_enough_normals_of_one_day_promise_nothing(view: View, engineer: Person) -> None:
    promote(version=candidate(view, n=299, groups=1), person=engineer, reason="yes")
    threshold = PolicyThreshold.objects.latest("id")
    assert threshold.is_promised is False
    assert "10 are needed" in threshold.basis


def test_rollback_restores_the_thresholds_it_had(view: View, engineer: Person) -> None:
    old, new = candidate(view), candidate(view, shift=5)
    promote(version=old, person=engineer, reason="first")
    PolicyThreshold.objects.filter(model_version=old).update(review_from=1.5, reject_from=3.5)
    promote(version=new, person=engineer, reason="better")
    rollback(version=old, person=engineer, reason="too many flags")
    assert serving_version(view) == old
    newest = Policy.objects.filter(product=view.product).latest("version")
    assert newest.version == 4
    restored = PolicyThreshold.objects.get(policy=newest, model_version=old)
    assert (restored.review_from, restored.reject_from) == (1.5, 3.5)
    last = Promotion.objects.latest("id")
    assert last.is_rollback
    assert last.reason == "too many flags"
    view.refresh_from_db()
    assert view.health_reference == {"of": 0.0}


def test_nothing_is_promoted_by_halves(
    view: View, engineer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = candidate(view)

    def breaks(**_: object) -> None:
        raise RuntimeError("the disk went away")

    monkeypatch.setattr(promotion, "promotion_record", breaks)
    with pytest.raises(RuntimeError):
        promote(version=version, person=engineer, reason="yes")
    assert Promotion.objects.count() == 0
    assert Policy.objects.filter(product=view.product).count() == 1
    assert PolicyThreshold.objects.count() == 0
    view.refresh_from_db()
    assert view.health_reference is None


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR])
def test_only_makers_promote(view: View, engineer: Person, role: Role) -> None:
    person = factories.make_person("", role)
    elsewhere = factories.make_person("", Role.ENGINEER, line=factories.make_line("Line 9"))
    first, second = candidate(view), candidate(view)
    for somebody in (person, elsewhere):
        with pytest.raises(NotAllowedError):
            promote(version=first, person=somebody, reason="yes")
    promote(version=first, person=engineer, reason="yes")
    promote(version=second, person=engineer, reason="yes")
    with pytest.raises(NotAllowedError):
        rollback(version=first, person=person, reason="yes")
    assert serving_version(view) == second


def test_what_serves_is_not_promoted_again(view: View, engineer: Person) -> None:
    version = candidate(view)
    promote(version=version, person=engineer, reason="yes")
    with pytest.raises(ConflictError, match="serves already"):
        promote(version=version, person=engineer, reason="again")
    assert Policy.objects.filter(product=view.product).count() == 2


def test_what_never_served_cannot_be_rolled_back_to(view: View, engineer: Person) -> None:
    with pytest.raises(ConflictError, match="never served"):
        rollback(version=candidate(view), person=engineer, reason="yes")


def test_a_reason_is_asked_for(view: View, engineer: Person) -> None:
    with pytest.raises(DomainError, match="Say why"):
        promote(version=candidate(view), person=engineer, reason="  ")


def test_a_version_without_calibration_cannot_serve(view: View, engineer: Person) -> None:
    version = factories.make_version(view, serve=False)
    with pytest.raises(DomainError, match="no calibration"):
        promote(version=version, person=engineer, reason="yes")
    assert serving_version(view) is None


def test_the_first_model_scores_what_was_collected(view: View, engineer: Person) -> None:
    waiting = factories.make_image(view, state=Image.State.COLLECTED)
    job = factories.make_job(waiting, state=ScoringJob.State.COLLECTED)
    attested = factories.make_image(view, state=Image.State.COLLECTED)
    promote(version=candidate(view), person=engineer, reason="first")
    job.refresh_from_db()
    assert job.state == ScoringJob.State.QUEUED
    assert not ScoringJob.objects.filter(image=attested).exists()
