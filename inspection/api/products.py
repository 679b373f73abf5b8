"""``GET /api/v1/products``: what a sender must know to send images."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inspection.access import DECIDERS, person_of
from inspection.api.authentication import Device
from inspection.api.serializers import ProductShown
from inspection.selectors import products_of, products_to_send_to


class ProductsView(APIView):
    """The products of the caller's lines."""

    allowed_roles = DECIDERS
    allowed_scopes = ("images:write", "line:read")

    @extend_schema(responses=ProductShown(many=True))
    def get(self, request: Request) -> Response:
        """Return every product that is in use, with its views and defect types."""
        if isinstance(request.user, Device):
            products = products_to_send_to(device=request.user.token)
        else:
            products = products_of(person_of(request))
        found = products.prefetch_related("views__station", "defect_types")
        return Response(
            [
                {
                    "id": product.pk,
                    "name": product.name,
                    "line": product.line.name,
                    "views": [
                        {
                            "id": view.pk,
                            "name": view.name,
                            "station": view.station.name if view.station else None,
                        }
                        for view in product.views.all()
                    ],
                    "defect_types": [
                        {"id": kind.pk, "name": kind.name, "key": kind.key, "family": kind.family}
                        for kind in product.defect_types.all()
                    ],
                }
                for product in found
            ]
        )
