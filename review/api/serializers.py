"""Shapes of the review API: field checks of what comes in, the schema of what goes out."""

from rest_framework import serializers as s


class NextRequest(s.Serializer[None]):
    """Which items are wanted."""

    product = s.IntegerField(allow_null=True, required=False, default=None)
    line = s.IntegerField(allow_null=True, required=False, default=None)
    station = s.IntegerField(allow_null=True, required=False, default=None)
    count = s.IntegerField(min_value=0, max_value=10, required=False, default=3)
    holding = s.ListField(child=s.IntegerField(), max_length=100, required=False, default=list)
    item = s.IntegerField(
        allow_null=True, required=False, default=None, help_text="An item picked from the queue."
    )


class DecisionRequest(s.Serializer[None]):
    """An answer."""

    verdict = s.ChoiceField(choices=["defect", "good", "unsure", "reshoot"])
    defect_types = s.ListField(child=s.IntegerField(), max_length=50, required=False, default=list)
    note = s.CharField(max_length=2000, allow_blank=True, required=False, default="")
    seconds = s.FloatField(min_value=0, required=False, default=0.0)
    key = s.UUIDField(help_text="Made by the client; the same key again is the same answer.")


class UndoRequest(s.Serializer[None]):
    """The undoing of an answer."""

    key = s.UUIDField()


class DefectTypeShape(s.Serializer[None]):
    """A defect type and the digit that answers it."""

    id = s.IntegerField()
    name = s.CharField()
    key = s.IntegerField(allow_null=True)


class ProductShape(s.Serializer[None]):
    """A product's name."""

    id = s.IntegerField()
    name = s.CharField()


class ImageShape(s.Serializer[None]):
    """A raw picture."""

    id = s.IntegerField()
    view = s.CharField()
    width = s.IntegerField()
    height = s.IntegerField()
    mm_per_pixel = s.FloatField(allow_null=True)
    thumb_url = s.CharField()
    preview_url = s.CharField()
    original_url = s.CharField()
    reference_url = s.CharField(allow_null=True)


class DecisionShape(s.Serializer[None]):
    """An answer as it was recorded."""

    id = s.IntegerField()
    verdict = s.CharField()
    defect_types = s.ListField(child=s.CharField())
    note = s.CharField()
    at = s.DateTimeField()


class ItemShape(s.Serializer[None]):
    """A part to review, before the first look: the same fields for every part."""

    id = s.IntegerField()
    serial = s.CharField()
    lot = s.CharField()
    product = ProductShape()
    line = s.CharField()
    station = s.CharField()
    seen_at = s.DateTimeField()
    waited_s = s.IntegerField()
    priority = s.ChoiceField(choices=["look first", "soon", "can wait"])
    lease_until = s.DateTimeField(allow_null=True)
    overlay_first = s.BooleanField()
    defect_types = DefectTypeShape(many=True)
    images = ImageShape(many=True)
    previous_decision = DecisionShape(allow_null=True)


class NextResponse(s.Serializer[None]):
    """Items now in use by the caller, and what waits behind them."""

    items = ItemShape(many=True)
    waiting = s.IntegerField()
    oldest_waited_s = s.IntegerField(allow_null=True)


class RegionShape(s.Serializer[None]):
    """A connected place above the pixel threshold."""

    box_xyxy = s.ListField(child=s.FloatField())
    area_px = s.FloatField()
    area_mm2 = s.FloatField(allow_null=True)
    peak = s.FloatField()
    mean = s.FloatField()
    peak_xy = s.ListField(child=s.FloatField())


class ExplanationShape(s.Serializer[None]):
    """The hottest place and the normal patch nearest to it."""

    words = s.CharField()
    normal_image_id = s.IntegerField(allow_null=True)
    normal_url = s.CharField(allow_null=True)
    normal_place_xy = s.ListField(child=s.FloatField(), allow_null=True)
    place_xy = s.ListField(child=s.FloatField(), allow_null=True)


class ShownImageShape(s.Serializer[None]):
    """What the model says of one image."""

    image_id = s.IntegerField()
    score = s.FloatField()
    surprise = s.FloatField()
    surprise_words = s.CharField()
    model_version = s.CharField()
    heat_url = s.CharField(allow_null=True)
    map_max = s.FloatField(help_text="What grey value 255 of the heat stands for.")
    pixel_threshold = s.FloatField()
    heat_from = s.FloatField()
    heat_to = s.FloatField()
    regions = RegionShape(many=True)
    explanation = ExplanationShape(allow_null=True)


class RevealShape(s.Serializer[None]):
    """What the model says of a part."""

    images = ShownImageShape(many=True)
    outcome = s.CharField()
    reasons = s.ListField(child=s.CharField())
    review_from = s.FloatField(allow_null=True)
    reject_from = s.FloatField(allow_null=True)
    policy_version = s.IntegerField(allow_null=True)


class DecisionResponse(s.Serializer[None]):
    """The recorded answer, what the model says, and how many parts wait."""

    decision = DecisionShape()
    reveal = RevealShape()
    waiting = s.IntegerField()


class UndoResponse(s.Serializer[None]):
    """The item that waits again, with the answer that was taken back."""

    item = ItemShape()


class RenewResponse(s.Serializer[None]):
    """Until when the item is the caller's."""

    lease_until = s.DateTimeField()


class RecentDecisionShape(s.Serializer[None]):
    """One of the caller's last answers."""

    id = s.IntegerField()
    item_id = s.IntegerField()
    serial = s.CharField()
    thumb_url = s.CharField(allow_null=True)
    verdict = s.CharField()
    defect_types = s.ListField(child=s.CharField())
    at = s.DateTimeField()
    undoable = s.BooleanField()


class RecentResponse(s.Serializer[None]):
    """The caller's last answers, newest first."""

    decisions = RecentDecisionShape(many=True)
