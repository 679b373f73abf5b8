"""Setting thresholds by hand: the next policy version, by the right person, for what serves."""

import math

import pytest

from inspection.errors import ConflictError, DomainError, NotAllowedError
from inspection.models import Event, ModelVersion, Person, Policy, PolicyThreshold, Role, View
from inspection.selectors.thresholds import first_threshold_of, threshold_of
from inspection.services.thresholds import thresholds_set
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def view() -> View:
    return factories.make_view(factories.make_product(miss_cost=77))


@pytest.fixture
def version(view: View) -> ModelVersion:
    """A serving version with enough held-out normals of enough lots for a promise."""
    scores = [1 + number / 400 for number in range(400)]
    version = factories.make_version(
        view, metrics={"groups": 12, "calibration": factories.calibration_json(scores, lots=12)}
    )
    first = first_threshold_of(version)
    assert first.promise
    factories.make_threshold(version, review_from=first.review_from, is_promised=True)
    return version


def test_it_is_the_next_policy_with_everything_else_kept(
    version: ModelVersion, engineer: Person
) -> None:
    other = factories.make_threshold(
        factories.make_version(version.view, serve=False), review_from=9.0
    )
    made = thresholds_set(
        version=version, person=engineer, review_from=1.5, reject_from=3.5, note=" too  many "
    )
    policy = Policy.objects.get(product=version.view.product, version=2)
    assert made.policy == policy
    assert (policy.miss_cost, policy.created_by) == (77, engineer)
    assert "too many" in policy.note
    assert threshold_of(version) == made
    assert (made.review_from, made.reject_from, made.is_promised) == (1.5, 3.5, False)
    assert made.basis == f"Set by {engineer.display_name}: too many"
    assert PolicyThreshold.objects.get(policy=policy, model_version=other.model_version)
    assert PolicyThreshold.objects.filter(policy__version=1, model_version=version).count() == 1
    event = Event.objects.get(kind="thresholds.set")
    assert event.actor == engineer
    assert (event.data["review_from"], event.data["reject_from"]) == (1.5, 3.5)
    assert event.data["before"] == [first_threshold_of(version).review_from, None]


def test_the_promise_stays_with_the_promised_value_alone(
    version: ModelVersion, engineer: Person
) -> None:
    promised = first_threshold_of(version).review_from

    def set_to(review_from: float) -> bool:
        return thresholds_set(
            version=version, person=engineer, review_from=review_from,
            reject_from=review_from + 1, note="try",
        ).is_promised  # fmt: skip

    assert set_to(promised) is True
    assert set_to(math.nextafter(promised, 0)) is False
    assert set_to(math.nextafter(promised, 9)) is False
    assert set_to(promised) is True


@pytest.mark.parametrize(
    ("pair", "note", "words"),
    [
        ((math.nan, None), "why", "must be a number"),
        ((1.0, math.inf), "why", "must be a number"),
        ((2.0, 1.99), "why", "cannot lie below"),
        ((2.0, None), "  ", "Say why"),
    ],
)
def test_what_cannot_be_set(
    version: ModelVersion,
    engineer: Person,
    pair: tuple[float, float | None],
    note: str,
    words: str,
) -> None:
    with pytest.raises(DomainError, match=words):
        thresholds_set(
            version=version, person=engineer, review_from=pair[0], reject_from=pair[1], note=note
        )
    assert Policy.objects.count() == 1


def test_equal_thresholds_reject_every_flag(version: ModelVersion, engineer: Person) -> None:
    made = thresholds_set(
        version=version, person=engineer, review_from=2.0, reject_from=2.0, note="strict"
    )
    assert made.reject_from == made.review_from


def test_the_same_again_writes_no_policy(version: ModelVersion, engineer: Person) -> None:
    promised = first_threshold_of(version).review_from
    with pytest.raises(DomainError, match="nothing was changed"):
        thresholds_set(
            version=version, person=engineer, review_from=promised, reject_from=None, note="x"
        )
    assert Policy.objects.count() == 1


def test_only_what_serves_has_thresholds_to_set(version: ModelVersion, engineer: Person) -> None:
    factories.make_version(version.view)
    with pytest.raises(ConflictError, match="does not serve"):
        thresholds_set(
            version=version, person=engineer, review_from=2.0, reject_from=None, note="late"
        )


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.SUPERVISOR, None])
def test_only_makers_of_the_line(version: ModelVersion, role: Role | None) -> None:
    if role is None:
        person = factories.make_person("", Role.ENGINEER, line=factories.make_line("Line 9"))
    else:
        person = factories.make_person("", role)
    with pytest.raises(NotAllowedError):
        thresholds_set(
            version=version, person=person, review_from=2.0, reject_from=None, note="mine"
        )
    assert Policy.objects.count() == 1


def test_a_version_without_calibration_promises_nothing(view: View, engineer: Person) -> None:
    bare = factories.make_version(view)
    made = thresholds_set(
        version=bare, person=engineer, review_from=2.0, reject_from=None, note="by hand"
    )
    assert made.is_promised is False
