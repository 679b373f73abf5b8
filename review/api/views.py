"""What the review station asks for. People only: a device does not decide."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inspection.access import DECIDERS, person_of
from review.api import serializers
from review.selectors.queue import QueueFilter, item_of, waiting_summary
from review.selectors.reveal import reveal_of
from review.selectors.station import decision_record_of, recent_decisions, station_items
from review.services.decisions import decision_record, decision_undo
from review.services.leases import item_defer, item_lease_next, item_release, item_renew
from review.services.looks import item_look

NOTHING = None


def _checked(serializer: Any) -> dict[str, Any]:
    """Return the checked fields of a request body."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class ReviewView(APIView):
    """Everybody who decides, on the lines where they do."""

    allowed_roles: ClassVar = DECIDERS
    allowed_scopes: ClassVar = ()


class NextView(ReviewView):
    """The parts that come next."""

    @extend_schema(
        operation_id="review_next",
        request=serializers.NextRequest,
        responses={200: serializers.NextResponse},
    )
    def post(self, request: Request) -> Response:
        """Take the next items; they stay the caller's for a minute, longer if renewed."""
        asked = _checked(serializers.NextRequest(data=request.data))
        person = person_of(request)
        chosen = QueueFilter(asked["product"], asked["line"], asked["station"])
        taken = item_lease_next(
            person=person,
            chosen=chosen,
            count=asked["count"],
            holding=asked["holding"],
            first=asked["item"],
        )
        waiting, oldest = waiting_summary(person, chosen)
        items = station_items(person, taken)
        return Response({"items": items, "waiting": waiting, "oldest_waited_s": oldest})


class LookView(ReviewView):
    """What the model says, before the answer."""

    @extend_schema(
        operation_id="review_look", request=NOTHING, responses={200: serializers.RevealShape}
    )
    def post(self, request: Request, item_id: int) -> Response:
        """Open what the model says; the look is recorded."""
        person = person_of(request)
        item = item_look(person=person, item_id=item_id)
        return Response(reveal_of(person, item))


class DecisionView(ReviewView):
    """Answers."""

    @extend_schema(
        operation_id="review_decide",
        request=serializers.DecisionRequest,
        responses={201: serializers.DecisionResponse},
    )
    def post(self, request: Request, item_id: int) -> Response:
        """Record an answer. 409: somebody else was first; who and when stand in ``extra``."""
        asked = _checked(serializers.DecisionRequest(data=request.data))
        person = person_of(request)
        decision = decision_record(
            person=person,
            item_id=item_id,
            verdict=asked["verdict"],
            defect_types=asked["defect_types"],
            note=asked["note"],
            seconds=asked["seconds"],
            key=str(asked["key"]),
            terminal=str(request.META.get("REMOTE_ADDR", "")),
        )
        waiting, _ = waiting_summary(person, QueueFilter())
        body = {
            "decision": decision_record_of(decision),
            "reveal": reveal_of(person, item_of(person, item_id)),
            "waiting": waiting,
        }
        return Response(body, status=201)


class UndoView(ReviewView):
    """The undoing of answers."""

    @extend_schema(
        operation_id="review_undo",
        request=serializers.UndoRequest,
        responses={201: serializers.UndoResponse},
    )
    def post(self, request: Request, decision_id: int) -> Response:
        """Take one's own answer back; the item is the caller's again."""
        asked = _checked(serializers.UndoRequest(data=request.data))
        person = person_of(request)
        undone = decision_undo(person=person, decision_id=decision_id, key=str(asked["key"]))
        return Response({"item": station_items(person, [undone.item_id])[0]}, status=201)


class RenewView(ReviewView):
    """Keeping an item."""

    @extend_schema(
        operation_id="review_renew", request=NOTHING, responses={200: serializers.RenewResponse}
    )
    def post(self, request: Request, item_id: int) -> Response:
        """Keep the item for another minute. 409: it is no longer the caller's."""
        until = item_renew(person=person_of(request), item_id=item_id)
        return Response({"lease_until": until.isoformat()})


class ReleaseView(ReviewView):
    """Giving an item back."""

    @extend_schema(operation_id="review_release", request=NOTHING, responses={204: NOTHING})
    def post(self, request: Request, item_id: int) -> Response:
        """Give the item back unanswered."""
        item_release(person=person_of(request), item_id=item_id)
        return Response(status=204)


class DeferView(ReviewView):
    """Putting an item off."""

    @extend_schema(operation_id="review_defer", request=NOTHING, responses={204: NOTHING})
    def post(self, request: Request, item_id: int) -> Response:
        """Put the item off: another person gets it."""
        item_defer(person=person_of(request), item_id=item_id)
        return Response(status=204)


class RecentView(ReviewView):
    """The caller's own answers."""

    @extend_schema(operation_id="review_recent", responses={200: serializers.RecentResponse})
    def get(self, request: Request) -> Response:
        """Return the caller's last answers that count, newest first."""
        return Response({"decisions": recent_decisions(person_of(request))})
