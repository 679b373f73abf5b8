"""From a reject_from set by hand to the queue: a rejected part is stopped, and comes last."""

import pytest

from inspection.models import Image, ModelVersion, Outbox, Part, Person, ScoringJob, View
from inspection.services.routing import part_route
from inspection.services.thresholds import thresholds_set
from review.models import ReviewItem
from review.selectors.queue import QueueFilter, queue_page
from review.services.leases import item_lease_next
from tests import factories

pytestmark = pytest.mark.django_db


def seen(view: View, version: ModelVersion, value: float, *, minutes_ago: float) -> Part:
    """Return a routed part whose only image has that score."""
    part = factories.make_part(view.product)
    at = factories.minutes_ago(minutes_ago)
    image = factories.make_image(view, part, state=Image.State.SCORED, received_at=at)
    factories.make_job(image, model_version=version, state=ScoringJob.State.DONE)
    factories.make_score(image, version, value)
    routing = part_route(part)
    assert routing is not None
    ReviewItem.objects.filter(routing=routing).update(waiting_since=at)
    part.refresh_from_db()
    return part


def test_a_rejected_part_is_told_to_the_line_and_waits_behind_the_flags(
    view: View, engineer: Person, operator: Person
) -> None:
    version = view.versions.get()
    before = seen(view, version, 9.0, minutes_ago=50)
    assert before.outcome == "review"
    thresholds_set(
        version=version, person=engineer, review_from=2.0, reject_from=8.0, note="scrap at once"
    )
    rejected = seen(view, version, 9.0, minutes_ago=40)
    flagged = seen(view, version, 7.0, minutes_ago=10)
    assert (rejected.outcome, flagged.outcome) == ("reject", "review")
    told = Outbox.objects.filter(topic="line", payload__part_id=rejected.pk).get()
    assert told.payload["outcome"] == "reject"
    item = ReviewItem.objects.get(part=rejected)
    assert (item.state, item.reason) == ("waiting", "flagged")
    assert item.priority == ReviewItem.Priority.CAN_WAIT
    page = queue_page(operator, QueueFilter(), tab="", start=0, size=9)
    assert [one.part for one in page] == [before, flagged, rejected]
    assert item_lease_next(person=operator, count=9)[-1] == item.pk
    assert rejected.routings.get().policy.version == 2  # type: ignore[union-attr]
