"""Products: the list and the set-up form."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_POST

from inspection.access import MAKERS, allow, lines_for, person_of
from inspection.errors import DomainError
from inspection.forms import (
    DefectTypeFormSet,
    ProductForm,
    ViewFormSet,
    defect_type_initial,
    product_initial,
    view_initial,
)
from inspection.models import Person, Product, View
from inspection.selectors import policy_in_force, product_of, products_of
from inspection.selectors.lines import shown_currency
from inspection.services.products import product_archive, product_create, product_update
from inspection.views import show_error


@allow(*MAKERS)
def products(request: HttpRequest) -> HttpResponse:
    """List the products of the person's lines."""
    person = person_of(request)
    found = products_of(person).prefetch_related("views")
    rows = [
        {
            "product": product,
            "views": [
                {"name": view.name, "url": training_url(view)} for view in product.views.all()
            ],
            "has_model": product.has_model,  # type: ignore[attr-defined]  # annotated
        }
        for product in found
    ]
    has_line = bool(rows) or lines_for(person, MAKERS).exists()
    return render(request, "inspection/products.html", {"rows": rows, "has_line": has_line})


@allow(*MAKERS)
def product_new(request: HttpRequest) -> HttpResponse:
    """Set up a new product; then its first normals are wanted."""
    person = person_of(request)
    forms = _forms(request, person, None)
    if request.method == "POST" and _are_valid(forms):
        try:
            product = product_create(
                facts=forms["form"].facts(), person=person, policy=forms["form"].policy(),
                views=_kept(forms["views"]), defect_types=_kept(forms["types"]),
            )  # fmt: skip
        except DomainError as error:
            show_error(forms["form"], error)
        else:
            messages.success(request, f"{product.name} is set up. Next: its first normal images.")
            first = product.views.first()
            return redirect(
                (training_url(first) if first else None)
                or reverse("inspection:product", args=[product.pk])
            )
    context = {**forms, "product": None, "currency": shown_currency()}
    return render(request, "inspection/product.html", context)


@allow(*MAKERS)
def product(request: HttpRequest, product_id: int) -> HttpResponse:
    """Change a product; a changed policy becomes its next version."""
    person = person_of(request)
    found = product_of(person, product_id)
    forms = _forms(request, person, found)
    if request.method == "POST" and _are_valid(forms):
        form = forms["form"]
        try:
            product_update(
                product=found, facts=form.facts(), person=person, policy=form.policy(),
                note=form.cleaned_data["note"], views=_kept(forms["views"]),
                defect_types=_kept(forms["types"]),
            )  # fmt: skip
        except DomainError as error:
            show_error(form, error)
            found.refresh_from_db()
        else:
            messages.success(request, f"{found.name} is saved.")
            return redirect("inspection:product", product_id=found.pk)
    context = {
        **forms,
        "product": found,
        "currency": shown_currency(),
        "policy": policy_in_force(found),
        "training": [{"name": view.name, "url": training_url(view)} for view in found.views.all()],
    }
    return render(request, "inspection/product.html", context)


@require_POST
@allow(*MAKERS)
def archive(request: HttpRequest, product_id: int) -> HttpResponse:
    """Take a product out of use."""
    person = person_of(request)
    found = product_of(person, product_id)
    product_archive(product=found, person=person)
    messages.success(request, f"{found.name} is archived. What was seen of it stays.")
    return redirect("inspection:products")


def training_url(view: View) -> str | None:
    """Return where the view's model is made, if this installation has that page."""
    try:
        return reverse("training:view", args=[view.pk])
    except NoReverseMatch:
        return None


def _forms(request: HttpRequest, person: Person, product: Product | None) -> dict[str, Any]:
    data = request.POST if request.method == "POST" else None
    kwargs = {"form_kwargs": {"person": person}}
    if product is None:
        return {
            "form": ProductForm(data, person=person),
            "views": ViewFormSet(data, prefix="views", initial=[{"name": "face"}], **kwargs),
            "types": DefectTypeFormSet(data, prefix="types", initial=[]),
        }
    initial = product_initial(product, policy_in_force(product))
    views = [view_initial(view) for view in product.views.all()]
    types = [defect_type_initial(kind) for kind in product.defect_types.all()]
    return {
        "form": ProductForm(data, person=person, initial=initial),
        "views": ViewFormSet(data, prefix="views", initial=views, **kwargs),
        "types": DefectTypeFormSet(data, prefix="types", initial=types),
    }


def _are_valid(forms: dict[str, Any]) -> bool:
    # Not all(): every form shows its own errors at once.
    return sum(not form.is_valid() for form in forms.values()) == 0


def _kept(formset: Any) -> list[Any]:
    """Return the facts of the rows that were filled and not taken away."""
    return [
        form.facts()
        for form in formset
        if form.cleaned_data.get("name") and not form.cleaned_data.get("DELETE")
    ]
