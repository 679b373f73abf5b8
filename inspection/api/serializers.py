"""Shapes of what inspection's endpoints take and give; field checks only."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from inspection.selectors.parts import IN_REVIEW


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class TagsField(serializers.Field[dict[str, str], Any, dict[str, str], Any]):
    """A JSON object of texts; in a form, written as JSON."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Return the tags, or say how they are written."""
        if isinstance(data, str):
            try:
                data = json.loads(data) if data.strip() else {}
            except ValueError:
                data = None
        if not isinstance(data, dict):
            raise serializers.ValidationError('Write tags as JSON: {"tool": "4"}.')
        return {str(key): str(value) for key, value in data.items()}

    def to_representation(self, value: dict[str, str]) -> dict[str, str]:
        """Return the tags."""
        return value


class ImageUpload(serializers.Serializer[Any]):
    """One image with what is known of it."""

    file = serializers.FileField(allow_empty_file=True, help_text="PNG, JPEG, TIFF or BMP.")
    product = serializers.CharField(help_text="Name or number.")
    view = serializers.CharField(
        default="", allow_blank=True, help_text="Name or number; needed with several views."
    )
    station = serializers.CharField(default="", allow_blank=True, help_text="Name or number.")
    serial = serializers.CharField(default="", allow_blank=True, max_length=120)
    lot = serializers.CharField(default="", allow_blank=True, max_length=120)
    tags = TagsField(default=dict, help_text='JSON object of texts, such as {"tool": "4"}.')
    captured_at = serializers.DateTimeField(default=None, allow_null=True)
    capture_key = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=200,
        help_text="The sender's own name of this shot; the header Idempotency-Key does the same.",
    )
    sha256 = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=64,
        help_text="Of the file, in hex; the header Digest: sha-256=BASE64 does the same.",
    )


class PartName(serializers.Serializer[Any]):
    """Which part."""

    id = serializers.IntegerField()
    serial = serializers.CharField()
    round = serializers.IntegerField()


class NamedThing(serializers.Serializer[Any]):
    """A number and a name."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class ImageReceived(serializers.Serializer[Any]):
    """What became of an image that was sent."""

    id = serializers.IntegerField()
    created = serializers.BooleanField(help_text="False: it was here already.")
    part = PartName()
    view = NamedThing()
    sha256 = serializers.CharField()
    same_bytes_as = serializers.IntegerField(
        allow_null=True, help_text="An earlier image with the very same bytes: a stuck camera?"
    )


class ViewShown(NamedThing):
    """A view and its station."""

    station = serializers.CharField(allow_null=True)


class DefectTypeShown(NamedThing):
    """A defect type and the digit that answers it."""

    key = serializers.IntegerField(allow_null=True)
    family = serializers.CharField()


class ProductShown(NamedThing):
    """A product with what a sender must know of it."""

    line = serializers.CharField()
    views = ViewShown(many=True)
    defect_types = DefectTypeShown(many=True)


class PartStatusShown(serializers.Serializer[Any]):
    """What is told of a part. A person is told "in review" while somebody is still asked."""

    id = serializers.IntegerField()
    serial = serializers.CharField()
    product = NamedThing()
    line = serializers.CharField()
    lot = serializers.CharField()
    round = serializers.IntegerField()
    outcome = serializers.CharField(
        help_text=f"pass, review, reject, no verdict, reshoot; to people also {IN_REVIEW}."
    )
    machine_outcome = serializers.CharField()
    verdict = serializers.CharField()
    held = serializers.BooleanField()
    hold_reason = serializers.CharField()
    disposition = serializers.CharField()
    first_seen_at = serializers.DateTimeField()
    verdict_at = serializers.DateTimeField(allow_null=True)


class HoldReason(serializers.Serializer[Any]):
    """Why a part is held."""

    reason = serializers.CharField(max_length=300)


class LineMessage(serializers.Serializer[Any]):
    """One message to a line: a routing, a person's word, a hold."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    line = serializers.IntegerField(allow_null=True)
    message = serializers.DictField()


class LineMessages(serializers.Serializer[Any]):
    """The next messages, and the cursor to send as ``after`` for those behind them."""

    messages = LineMessage(many=True)
    after = serializers.IntegerField()
