"""Review items: made when a part is routed, and made again for a fresh, blind pair of eyes."""

import random

from django.db.models import Max

from inspection.models import Outcome, Person, Routing
from review.models import ReviewItem
from review.selectors.reveal import threshold_of

Priority = ReviewItem.Priority
Reason = ReviewItem.Reason
State = ReviewItem.State

# How far out a part must be: as a multiple of review_from while nothing is rejected by machine,
# as a share of the way from review_from to reject_from where something is. Ours: by eye on the
# sample parts, where scratches lie near 1.2 and missing holes beyond 2.
LOOK_FIRST_TIMES, SOON_TIMES = 1.5, 1.15
LOOK_FIRST_SHARE, SOON_SHARE = 2 / 3, 1 / 3
SPREAD_ITEMS = 200  # so many flagged items say how priorities are spread today
# Before anything was flagged: any spread will do as long as flagged items could have it.
FIRST_SPREAD = (Priority.LOOK_FIRST, Priority.SOON, Priority.CAN_WAIT)

# Draws must not be guessable from the outside, so the system's own generator.
_draw = random.SystemRandom()


def items_create_for_routing(routing: Routing) -> None:
    """Create what a person must look at for a routing; runs in the routing's transaction.

    A part without a verdict (a view has no model yet) is collected: there is no flag to judge.
    Items of earlier rounds that nobody answered are withdrawn: the part has come back since.
    """
    if routing.round > 1:
        ReviewItem.objects.filter(
            part_id=routing.part_id, routing__round__lt=routing.round, state=State.WAITING
        ).update(state=State.WITHDRAWN, leased_by=None, lease_until=None)
    if routing.outcome == Outcome.PASS:
        if routing.is_audit:
            priority = priority_from_spread(routing.part.product_id)
            _create(routing, reason=Reason.AUDIT, priority=priority)
    elif routing.outcome == Outcome.REVIEW or (
        routing.outcome == Outcome.REJECT and _is_sampled(routing)
    ):
        _create(routing, reason=Reason.FLAGGED, priority=priority_for(routing))


def item_follow_up(*, item: ReviewItem, not_for: set[int]) -> ReviewItem:
    """Create the next round of an item for another person.

    Priority and waiting time stay those of the first round: a part that comes back must look
    like one that has waited all the time.
    """
    last = ReviewItem.objects.filter(routing_id=item.routing_id, reason=item.reason).aggregate(
        last=Max("round")
    )["last"]
    follow_up = ReviewItem.objects.create(
        part_id=item.part_id,
        routing_id=item.routing_id,
        product_id=item.product_id,
        line_id=item.line_id,
        station_id=item.station_id,
        reason=item.reason,
        round=last + 1,
        priority=item.priority,
        is_blind=item.is_blind,
        waiting_since=item.waiting_since,
    )
    people = Person.objects.filter(pk__in=not_for)
    follow_up.not_for.set([*people, *item.not_for.exclude(pk__in=not_for)])
    return follow_up


def priority_for(routing: Routing) -> int:
    """Return the priority of a flagged part by how far out it is; rejected ones come last."""
    if routing.outcome == Outcome.REJECT:
        return Priority.CAN_WAIT
    score, threshold = routing.worst_score, threshold_of(routing)
    if score is None or threshold is None or score.value < threshold.review_from:
        # Flagged for another reason (failed, unhealthy, late): nothing says how far out it is.
        return Priority.SOON
    if threshold.reject_from is not None and threshold.reject_from > threshold.review_from:
        width = threshold.reject_from - threshold.review_from
        return _rank((score.value - threshold.review_from) / width, LOOK_FIRST_SHARE, SOON_SHARE)
    return _rank(score.value / max(threshold.review_from, 1e-9), LOOK_FIRST_TIMES, SOON_TIMES)


def priority_from_spread(product_id: int) -> int:
    """Return the priority of a recent flagged item of the product, drawn at random.

    So an audit has every priority as often as a flagged part has it.
    """
    recent = list(
        ReviewItem.objects.filter(product_id=product_id, reason=Reason.FLAGGED, round=1)
        .order_by("-id")
        .values_list("priority", flat=True)[:SPREAD_ITEMS]
    )
    return _draw.choice(recent or list(FIRST_SPREAD))


def _rank(value: float, look_first: float, soon: float) -> int:
    if value >= look_first:
        return Priority.LOOK_FIRST
    return Priority.SOON if value >= soon else Priority.CAN_WAIT


def _is_sampled(routing: Routing) -> bool:
    """Return whether a rejected part is among those that a person reviews afterwards."""
    rate = routing.policy.rejected_review_rate if routing.policy is not None else 1.0
    return _draw.random() < rate


def _create(routing: Routing, *, reason: str, priority: int) -> ReviewItem:
    part = routing.part
    # The first view's station, never the hottest image's: that would answer for the person.
    image = (
        part.images.filter(round=routing.round)
        .order_by("view__rank", "view_id", "id")
        .only("station_id")
        .first()
    )
    return ReviewItem.objects.create(
        part=part,
        routing=routing,
        product_id=part.product_id,
        line_id=part.line_id,
        station_id=image.station_id if image is not None else None,
        reason=reason,
        priority=priority,
        is_blind=not (routing.policy is not None and routing.policy.overlay_first),
        waiting_since=routing.at,
    )
