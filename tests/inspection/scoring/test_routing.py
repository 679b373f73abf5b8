"""Routing: the worst image decides, nothing unknown passes, audits are drawn by chance."""

from datetime import timedelta
from itertools import product as every
from typing import Any

import pytest
from django.utils import timezone

from inspection import hooks
from inspection.models import (
    HealthSample,
    Image,
    ModelVersion,
    Outbox,
    Part,
    Policy,
    Product,
    Routing,
    Score,
    ScoringJob,
    View,
)
from inspection.services.routing import (
    outcome_for_line,
    part_route,
    parts_route_overdue,
    surprise_band,
)
from inspection.tasks import score_job
from tests import factories
from tests.inspection.scoring.conftest import FakeModel, Heard, Line


def _seen(
    view: View,
    version: ModelVersion | None,
    part: Part,
    value: float | None = 1.0,
    *,
    state: str = Image.State.SCORED,
    surprise: float = 0.5,
    minutes_ago: float = 0,
) -> Image:
    """Return an image whose live job has ended with that score (or none)."""
    image = factories.make_image(
        view, part, state=state, received_at=factories.minutes_ago(minutes_ago)
    )
    factories.make_job(image, model_version=version, state=ScoringJob.State.DONE)
    if value is not None and version is not None:
        factories.make_score(image, version, value, surprise=surprise)
    return image


@pytest.fixture
def two_views(db: None, heard: Heard) -> tuple[Product, list[View], list[ModelVersion]]:
    """A product seen from two sides; face flags from 2 on, rejects from 4 on; back from 20 on."""
    product = factories.make_product(audit_rate=0.0)
    views = [factories.make_view(product, "face"), factories.make_view(product, "back")]
    versions = [factories.make_version(view) for view in views]
    factories.make_threshold(versions[0], review_from=2.0, reject_from=4.0)
    factories.make_threshold(versions[1], review_from=20.0)
    return product, views, versions


@pytest.mark.parametrize(
    ("surprise", "band"),
    [(1.0, 0), (0.31, 0), (0.30, 1), (0.11, 1), (0.10, 2), (0.031, 2), (0.03, 3), (0.001, 3)],
)
def test_bands_of_surprise(surprise: float, band: int) -> None:
    assert surprise_band(surprise) == band


@pytest.mark.parametrize(
    ("face", "back", "outcome"),
    [
        (1.0, 1.0, "pass"),
        (2.0, 1.0, "review"),
        (1.999, 19.9, "pass"),
        (1.0, 20.0, "review"),
        (4.0, 1.0, "reject"),
        (4.0, 30.0, "reject"),
    ],
)
def test_the_worst_image_decides(
    two_views: tuple[Product, list[View], list[ModelVersion]],
    face: float,
    back: float,
    outcome: str,
) -> None:
    product, views, versions = two_views
    part = factories.make_part(product)
    for view, version, value in zip(views, versions, (face, back), strict=True):
        _seen(view, version, part, value)
    routing = part_route(part)
    assert routing is not None
    assert routing.outcome == outcome
    assert Part.objects.get().outcome == outcome
    assert routing.scores.count() == 2
    told = Outbox.objects.get(topic="line")
    assert told.line == product.line
    assert told.payload == {
        "event": "outcome",
        "part_id": part.pk,
        "serial": part.serial,
        "product": product.name,
        "round": 1,
        "outcome": outcome,
        "at": routing.at.isoformat(),
    }


def test_the_band_is_that_of_the_oddest_image_and_reasons_name_the_view(
    two_views: tuple[Product, list[View], list[ModelVersion]],
) -> None:
    product, views, versions = two_views
    part = factories.make_part(product)
    _seen(views[0], versions[0], part, 1.0, surprise=0.6)
    _seen(views[1], versions[1], part, 25.0, surprise=0.02)
    routing = part_route(part)
    assert routing is not None
    assert routing.worst_score is not None
    assert routing.worst_score.value == 25.0
    assert routing.surprise_band == 3
    assert routing.reasons == [
        {"code": "flagged", "message": "back: score 25 reached review_from 20"}
    ]


def test_a_part_waits_for_all_its_views_and_all_their_scores(
    two_views: tuple[Product, list[View], list[ModelVersion]],
) -> None:
    product, views, versions = two_views
    part = factories.make_part(product)
    _seen(views[0], versions[0], part)
    assert part_route(part) is None
    waiting = _seen(views[1], versions[1], part, None, state=Image.State.ACCEPTED)
    assert part_route(part) is None
    factories.make_score(waiting, versions[1], 1.0)
    assert part_route(part) is not None
    assert part_route(part) is None
    assert Routing.objects.count() == 1


def test_a_missing_view_never_passes_and_is_routed_after_the_time_out(
    two_views: tuple[Product, list[View], list[ModelVersion]], settings: Any
) -> None:
    product, views, versions = two_views
    part = factories.make_part(product, first_seen_at=factories.minutes_ago(5))
    _seen(views[0], versions[0], part, minutes_ago=5)
    settings.PART_TIMEOUT_S = 600
    assert parts_route_overdue() == 0
    settings.PART_TIMEOUT_S = 60
    assert parts_route_overdue() == 1
    assert parts_route_overdue() == 0
    routing = Routing.objects.get()
    assert routing.outcome == "review"
    assert routing.reasons == [{"code": "late", "message": "back: no image within 60 s"}]
    assert outcome_for_line(routing) == "no verdict"


def test_a_part_that_cannot_be_routed_does_not_keep_the_others_waiting(
    two_views: tuple[Product, list[View], list[ModelVersion]],
    heard: Heard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    product, views, versions = two_views
    parts = [factories.make_part(product, first_seen_at=factories.minutes_ago(5)) for _ in "ab"]
    for part in parts:
        _seen(views[0], versions[0], part, minutes_ago=5)

    def refuses_first(routing: Routing) -> None:
        if routing.part_id == parts[0].pk:
            raise RuntimeError("receiver")

    monkeypatch.setattr(hooks.part_routed, "_receivers", [refuses_first])
    assert parts_route_overdue() == 1
    assert [routing.part_id for routing in Routing.objects.all()] == [parts[1].pk]


def test_a_time_out_waits_for_what_is_still_being_scored(
    two_views: tuple[Product, list[View], list[ModelVersion]],
) -> None:
    product, views, versions = two_views
    part = factories.make_part(product, first_seen_at=factories.minutes_ago(5))
    _seen(views[0], versions[0], part, None, state=Image.State.ACCEPTED, minutes_ago=5)
    assert parts_route_overdue() == 0


def test_a_late_image_is_scored_and_routes_nothing_again(line: Line, model: FakeModel) -> None:
    job = line.job()
    score_job(job.pk)
    assert Routing.objects.get().outcome == "pass"
    late = line.job(dark=False, part=job.image.part)
    score_job(late.pk)
    assert Score.objects.filter(image=late.image).count() == 1
    assert Routing.objects.get().outcome == "pass"
    assert Outbox.objects.filter(topic="line").count() == 1


def test_the_next_round_is_routed_by_itself(line: Line, model: FakeModel) -> None:
    job = line.job()
    score_job(job.pk)
    part = job.image.part
    Part.objects.filter(pk=part.pk).update(round=2, outcome="")
    score_job(line.job(dark=False, part=part, round=2).pk)
    assert list(Routing.objects.order_by("round").values_list("round", "outcome")) == [
        (1, "pass"),
        (2, "review"),
    ]
    assert Part.objects.get().outcome == "review"


def test_a_late_image_of_an_old_round_does_not_touch_the_new_one(
    line: Line, model: FakeModel
) -> None:
    job = line.job(dark=False)
    Part.objects.update(round=2)
    score_job(job.pk)
    assert Routing.objects.get().round == 1
    assert Part.objects.get().outcome == ""


def test_unhealthy_images_go_to_review_whatever_their_score(
    two_views: tuple[Product, list[View], list[ModelVersion]],
) -> None:
    product, views, versions = two_views
    for value in (1.0, 9.0):
        part = factories.make_part(product)
        image = _seen(views[0], versions[0], part, value)
        _seen(views[1], versions[1], part)
        HealthSample.objects.create(
            image=image, brightness=3, contrast=1, sharpness=1, is_healthy=False,
            reasons=["too dark: brightness 3, usual 80 to 120"],
        )  # fmt: skip
        routing = part_route(part)
        assert routing is not None
        assert routing.outcome == "review"
        assert outcome_for_line(routing) == "no verdict"
        message = "face: too dark: brightness 3, usual 80 to 120"
        assert routing.reasons == [{"code": "unhealthy", "message": message}]


def test_a_version_without_a_threshold_goes_to_review(line: Line, heard: Heard) -> None:
    version = factories.make_version(line.view)
    part = factories.make_part(line.product)
    _seen(line.view, version, part, 0.1)
    routing = part_route(part)
    assert routing is not None
    assert routing.outcome == "review"
    assert routing.reasons[0]["code"] == "no threshold"


def test_only_the_policy_in_force_counts(line: Line) -> None:
    newer = Policy.objects.create(product=line.product, version=2, audit_rate=0)
    part = factories.make_part(line.product)
    _seen(line.view, line.version, part, 0.1)
    first = part_route(part)
    assert first is not None
    assert first.policy == newer
    assert first.outcome == "review"  # version 1 had a threshold, version 2 has none
    factories.make_threshold(line.version, review_from=0.7)
    part = factories.make_part(line.product)
    _seen(line.view, line.version, part, 0.1)
    second = part_route(part)
    assert second is not None
    assert second.outcome == "pass"


def test_scores_of_shadow_versions_do_not_count(line: Line) -> None:
    part = factories.make_part(line.product)
    image = _seen(line.view, line.version, part, 0.1)
    shadow = factories.make_version(line.view, serve=False)
    factories.make_score(image, shadow, 99.0)
    routing = part_route(part)
    assert routing is not None
    assert routing.outcome == "pass"
    assert [score.model_version_id for score in routing.scores.all()] == [line.version.pk]


def test_a_second_view_without_a_model_gives_no_verdict(
    two_views: tuple[Product, list[View], list[ModelVersion]],
) -> None:
    product, views, versions = two_views
    for value, outcome in ((1.0, "no verdict"), (3.0, "review")):
        part = factories.make_part(product)
        _seen(views[0], versions[0], part, value)
        _seen(views[1], None, part, None, state=Image.State.COLLECTED)
        routing = part_route(part)
        assert routing is not None
        assert routing.outcome == outcome
        assert outcome_for_line(routing) == outcome


def test_imported_normals_are_no_parts_to_route(line: Line, heard: Heard) -> None:
    part = factories.make_part(line.product, first_seen_at=factories.minutes_ago(60))
    factories.make_image(
        line.view, part, state=Image.State.COLLECTED, received_at=factories.minutes_ago(60)
    )
    assert part_route(part) is None
    assert parts_route_overdue() == 0
    assert heard.collected == []


def test_a_collected_part_is_told_once(db: None, heard: Heard, model: FakeModel) -> None:
    product = factories.make_product()
    views = [factories.make_view(product, name) for name in ("face", "back")]
    part = factories.make_part(product)
    for view in views:
        score_job(factories.make_job(factories.make_image(view, part)).pk)
    assert part_route(part) is None
    assert len(heard.collected) == 1
    assert Outbox.objects.filter(topic="line").count() == 1


def test_a_receiver_that_fails_takes_the_routing_back(
    line: Line, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(routing: Routing) -> None:
        raise RuntimeError("review could not write its item")

    monkeypatch.setattr(hooks.part_routed, "_receivers", [fails])
    job = line.job()
    score_job(job.pk)
    assert Score.objects.count() == Routing.objects.count() == Outbox.objects.count() == 0
    again = ScoringJob.objects.get()
    assert (again.state, again.attempts) == ("queued", 1)


def test_passed_parts_are_audited_by_chance_at_the_policys_rate(db: None, heard: Heard) -> None:
    product = factories.make_product(audit_rate=0.3)
    view = factories.make_view(product)
    version = factories.make_version(view)
    factories.make_threshold(version, review_from=0.7)
    for _ in range(200):
        part = factories.make_part(product)
        _seen(view, version, part, 0.1)
        part_route(part)
    audits = Routing.objects.filter(is_audit=True).count()
    # 60 expected; 6 standard deviations (6.5 each) are left by chance once in 10^9 runs.
    assert 20 < audits < 100
    assert set(Routing.objects.values_list("audit_probability", flat=True)) == {0.3}


@pytest.mark.parametrize(("rate", "audited"), [(0.0, False), (1.0, True)])
def test_audit_rates_of_none_and_all(db: None, heard: Heard, rate: float, audited: bool) -> None:
    product = factories.make_product(audit_rate=rate)
    view = factories.make_view(product)
    version = factories.make_version(view)
    factories.make_threshold(version, review_from=0.7)
    for _ in range(20):
        part = factories.make_part(product)
        _seen(view, version, part, 0.1)
        part_route(part)
    assert {routing.is_audit for routing in Routing.objects.all()} == {audited}


def test_flagged_parts_are_no_audits_and_rejected_ones_keep_their_rate(
    db: None, heard: Heard
) -> None:
    product = factories.make_product(audit_rate=1.0, rejected_review_rate=0.25)
    view = factories.make_view(product)
    version = factories.make_version(view)
    factories.make_threshold(version, review_from=1.0, reject_from=2.0)
    found = []
    for value in (1.5, 2.5):
        part = factories.make_part(product)
        _seen(view, version, part, value)
        routing = part_route(part)
        assert routing is not None
        found.append((routing.outcome, routing.is_audit, routing.audit_probability))
    assert found == [("review", False, None), ("reject", False, 0.25)]


def test_nothing_but_a_healthy_score_below_the_threshold_passes(db: None, heard: Heard) -> None:
    """Every way in which one of two images can end, beside a perfect one."""
    product = factories.make_product(audit_rate=0.0)
    views = [factories.make_view(product, name) for name in ("face", "back")]
    versions = [factories.make_version(view) for view in views]
    for version in versions:
        factories.make_threshold(version, review_from=1.0)
    states = [Image.State.SCORED, Image.State.FAILED, Image.State.COLLECTED]
    passed = []
    for state, has_score, is_healthy in every(states, (True, False), (True, False)):
        part = factories.make_part(product)
        _seen(views[0], versions[0], part, 0.1)
        image = _seen(views[1], versions[1], part, 0.1 if has_score else None)
        Image.objects.filter(pk=image.pk).update(state=state)
        HealthSample.objects.create(
            image=image, brightness=1, contrast=1, sharpness=1, is_healthy=is_healthy,
            reasons=[] if is_healthy else ["too dark"],
        )  # fmt: skip
        routing = part_route(part)
        assert routing is not None
        told = Outbox.objects.filter(topic="line").latest("id").payload["outcome"]
        if "pass" in {routing.outcome, told}:
            passed.append((state, has_score, is_healthy))
    assert passed == [(Image.State.SCORED, True, True)]


def test_overdue_parts_cost_the_same_questions_whatever_else_there_is(
    two_views: tuple[Product, list[View], list[ModelVersion]],
    django_assert_max_num_queries: Any,
) -> None:
    product, views, versions = two_views
    for _ in range(40):
        part = factories.make_part(product, first_seen_at=timezone.now() - timedelta(hours=1))
        for view, version in zip(views, versions, strict=True):
            _seen(view, version, part, minutes_ago=60)
        part_route(part)
    with django_assert_max_num_queries(1):
        assert parts_route_overdue() == 0
