"""Parts and lines over HTTP: outcome, hold, release, and the messages a line follows."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inspection.access import DECIDERS, WATCHERS, person_of
from inspection.api.authentication import Device
from inspection.api.serializers import HoldReason, LineMessages, PartStatusShown
from inspection.errors import NotAllowedError
from inspection.selectors import line_messages, part_for_line, part_of, part_status_for_line
from inspection.selectors.messages import PAGE
from inspection.selectors.parts import status_for_person
from inspection.services.parts import part_hold, part_release


class PartQuery(serializers.Serializer[Any]):
    """Which product, where several have the serial."""

    product = serializers.IntegerField(default=None, allow_null=True)


class MessagesQuery(serializers.Serializer[Any]):
    """Where to go on reading."""

    after = serializers.IntegerField(default=0, min_value=0, max_value=2**62)
    limit = serializers.IntegerField(default=PAGE, min_value=1, max_value=PAGE)


class PartStatusView(APIView):
    """What became of a part."""

    allowed_roles = DECIDERS
    allowed_scopes = ("line:read",)

    @extend_schema(
        responses=PartStatusShown,
        parameters=[OpenApiParameter("product", int, description="Where several have the serial.")],
    )
    def get(self, request: Request, serial: str) -> Response:
        """Return the part's outcome; to a person "in review" while somebody is still asked."""
        query = PartQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        product = query.validated_data["product"]
        if isinstance(request.user, Device):
            part = part_for_line(serial=serial, product=product, device=request.user.token)
            return Response(part_status_for_line(part).as_json())
        part = part_for_line(serial=serial, product=product, person=person_of(request))
        return Response(status_for_person(part).as_json())


class PartHold(APIView):
    """Hold a part."""

    allowed_roles = DECIDERS

    @extend_schema(request=HoldReason, responses=PartStatusShown)
    def post(self, request: Request, part_id: int) -> Response:
        """Hold it and tell its line."""
        form = HoldReason(data=request.data)
        form.is_valid(raise_exception=True)
        person = person_of(request)
        part = part_of(person, part_id)
        part_hold(part=part, person=person, reason=form.validated_data["reason"])
        return Response(status_for_person(part).as_json())


class PartRelease(APIView):
    """Release a held part."""

    allowed_roles = WATCHERS

    @extend_schema(request=None, responses=PartStatusShown)
    def post(self, request: Request, part_id: int) -> Response:
        """Release it and tell its line."""
        person = person_of(request)
        part = part_of(person, part_id)
        part_release(part=part, person=person)
        return Response(status_for_person(part).as_json())


class LineMessagesView(APIView):
    """What a line is told, in order. For device tokens only: it names outcomes."""

    allowed_roles = ()
    allowed_scopes = ("line:read",)

    @extend_schema(
        responses=LineMessages,
        parameters=[
            OpenApiParameter("after", int, description="The cursor of the answer before."),
            OpenApiParameter("limit", int),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return the messages after a cursor."""
        query = MessagesQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        if not isinstance(request.user, Device):
            raise NotAllowedError("Line messages are for device tokens.")
        after: int = query.validated_data["after"]
        limit: int = query.validated_data["limit"]
        rows = list(line_messages(device=request.user.token, after=after, limit=limit))
        return Response(
            {
                "messages": [
                    {
                        "id": row.pk,
                        "at": row.created_at,
                        "line": row.line_id,
                        "message": row.payload,
                    }
                    for row in rows
                ],
                "after": rows[-1].pk if rows else after,
            }
        )
