"""Pictures and heat maps: bytes by their hash, private, cached for good."""

from typing import Any

from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.utils.http import content_disposition_header, parse_etags, quote_etag
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from inspection.access import DECIDERS, person_of
from inspection.blobs import blob_store
from inspection.errors import NotFoundError
from inspection.selectors import image_of, score_of

FOREVER = "private, max-age=31536000, immutable"
PICTURE = {(200, "image/*"): OpenApiTypes.BINARY}


class AnyAccept(BaseContentNegotiation):
    """An ``img`` element asks for images only; errors are JSON all the same."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the first parser."""
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type


class FileView(APIView):
    """What every file endpoint shares."""

    allowed_roles = DECIDERS
    content_negotiation_class = AnyAccept


def blob_response(
    request: Request, sha256: str | None, *, content_type: str, download_as: str = ""
) -> HttpResponseBase:
    """Return the bytes, or 304 where the browser has them.

    Raises:
        NotFoundError: There is no such file.
    """
    if sha256 is None:
        raise NotFoundError("There is no such picture.")
    etag = quote_etag(sha256)
    headers = {"ETag": etag, "Cache-Control": FOREVER}
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return HttpResponse(status=304, headers=headers)
    response = FileResponse(blob_store().open(sha256), content_type=content_type, headers=headers)
    if download_as:
        header = content_disposition_header(as_attachment=True, filename=download_as)
        response.headers["Content-Disposition"] = header or "attachment"
    return response


class ImageThumbnail(FileView):
    """The picture at 256 pixels."""

    @extend_schema(responses=PICTURE)
    def get(self, request: Request, image_id: int) -> HttpResponseBase:
        """Return the thumbnail."""
        image = image_of(person_of(request), image_id)
        return blob_response(request, image.thumbnail_id, content_type="image/jpeg")


class ImagePreview(FileView):
    """The picture at 1,024 pixels."""

    @extend_schema(responses=PICTURE)
    def get(self, request: Request, image_id: int) -> HttpResponseBase:
        """Return the preview."""
        image = image_of(person_of(request), image_id)
        return blob_response(request, image.preview_id, content_type="image/jpeg")


class ImageOriginal(FileView):
    """True pixels: the upright 8-bit copy where there is one, else the file as it came."""

    @extend_schema(
        parameters=[OpenApiParameter("as_sent", bool, description="The untouched file.")],
        responses=PICTURE,
    )
    def get(self, request: Request, image_id: int) -> HttpResponseBase:
        """Return the pixels to show, or with ``as_sent=1`` the file to keep."""
        image = image_of(person_of(request), image_id)
        if request.query_params.get("as_sent"):
            name = image.file_name or f"image-{image.pk}"
            return blob_response(
                request, image.blob_id, content_type=image.content_type, download_as=name
            )
        if image.derived_id is not None:
            kind = "image/jpeg" if image.content_type == "image/jpeg" else "image/png"
            return blob_response(request, image.derived_id, content_type=kind)
        return blob_response(request, image.blob_id, content_type=image.content_type)


class ScoreHeat(FileView):
    """The heat map as 8-bit grey, once the part may be seen."""

    @extend_schema(responses=PICTURE)
    def get(self, request: Request, score_id: int) -> HttpResponseBase:
        """Return the map."""
        score = score_of(person_of(request), score_id)
        return blob_response(request, score.heat_id, content_type="image/png")
