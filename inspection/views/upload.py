"""The upload page; the files themselves go to the API."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from inspection.access import MAKERS, allow, person_of
from inspection.selectors import products_to_send_to


@allow(*MAKERS)
def upload(request: HttpRequest) -> HttpResponse:
    """Show the page: product, view, lot, and a place to drop files."""
    products = list(products_to_send_to(person=person_of(request)).prefetch_related("views"))
    choices = [
        {
            "id": product.pk,
            "name": product.name,
            "views": [{"id": view.pk, "name": view.name} for view in product.views.all()],
        }
        for product in products
    ]
    return render(request, "inspection/upload.html", {"choices": choices})
