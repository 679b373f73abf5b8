"""``POST /api/v1/images``: how images come in over HTTP."""

import base64
import binascii
from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inspection.access import MAKERS, person_of
from inspection.api.authentication import Device
from inspection.api.serializers import ImageReceived, ImageUpload
from inspection.errors import DomainError, RefusedImageError
from inspection.models import Image, Product, Station
from inspection.selectors.products import (
    product_by_name_or_id,
    products_to_send_to,
    station_by_name_or_id,
    view_by_name_or_id,
)
from inspection.services.intake import Received, image_receive

FORM_BYTES = 64 * 1024  # the fields beside the file


class ImageUploadView(APIView):
    """Send one image."""

    allowed_roles = MAKERS
    allowed_scopes = ("images:write",)
    parser_classes = [MultiPartParser]

    @extend_schema(
        request=ImageUpload,
        responses={201: ImageReceived, 200: ImageReceived},
        parameters=[
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER),
            OpenApiParameter("Digest", str, OpenApiParameter.HEADER),
        ],
    )
    def post(self, request: Request) -> Response:
        """Take an image in: 201 when it is new, 200 when it was here already."""
        _refuse_early(request)
        form = ImageUpload(data=request.data)
        form.is_valid(raise_exception=True)
        fields: dict[str, Any] = form.validated_data
        device = request.user.token if isinstance(request.user, Device) else None
        person = None if device else person_of(request)
        products = products_to_send_to(person=person, device=device)
        product = product_by_name_or_id(products, fields["product"])
        received = image_receive(
            data=fields["file"].read(),
            product=product,
            view=view_by_name_or_id(product, fields["view"]) if fields["view"] else None,
            station=_station(product, fields["station"]),
            channel=Image.Channel.API if device else Image.Channel.BROWSER,
            person=person,
            device=device,
            capture_key=_capture_key(request, fields["capture_key"]),
            sha256=fields["sha256"] or _digest(request),
            serial=fields["serial"],
            lot=fields["lot"],
            tags=fields["tags"],
            captured_at=fields["captured_at"],
            file_name=fields["file"].name or "",
        )
        return Response(_as_json(received), status=201 if received.created else 200)


def _refuse_early(request: Request) -> None:
    """Refuse by the declared length, before the body is read."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > settings.MAX_IMAGE_BYTES + FORM_BYTES:
        limit = settings.MAX_IMAGE_BYTES // 1024**2
        raise RefusedImageError(
            f"The file is over {limit} MB. Send a smaller one, or raise the limit.",
            {"reason": "file_too_big"},
        )


def _station(product: Product, key: str) -> Station | None:
    return station_by_name_or_id(product.line, key) if key else None


def _capture_key(request: Request, field: str) -> str:
    header = str(request.headers.get("Idempotency-Key", "")).strip()
    if header and field and header != field:
        raise DomainError("capture_key and Idempotency-Key differ: send one of them.")
    return field or header


def _digest(request: Request) -> str:
    """Return the sha256 of the ``Digest`` header in hex, empty when it names none."""
    for word in str(request.headers.get("Digest", "")).split(","):
        name, _, value = word.strip().partition("=")
        if name.lower() != "sha-256":
            continue
        try:
            return base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            raise DomainError("Write Digest: sha-256=BASE64.") from None
    return ""


def _as_json(received: Received) -> dict[str, Any]:
    image, twin = received.image, received.same_bytes_as
    return {
        "id": image.pk,
        "created": received.created,
        "part": {"id": image.part_id, "serial": image.part.serial, "round": image.round},
        "view": {"id": image.view_id, "name": image.view.name},
        "sha256": image.blob_id,
        "same_bytes_as": None if twin is None else twin.pk,
    }
