"""Products: which a person sees, and the policy in force."""

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from inspection.access import MAKERS, lines_for
from inspection.errors import NotFoundError
from inspection.models import (
    DeviceToken,
    Line,
    Person,
    Policy,
    Product,
    Promotion,
    Station,
    View,
)


def policy_in_force(product: Product) -> Policy:
    """Return the highest version of the product's policy.

    Raises:
        NotFoundError: It has none, which only a row made by hand can cause.
    """
    policy = Policy.objects.filter(product=product).order_by("-version").first()
    if policy is None:
        raise NotFoundError(f"{product.name} has no policy. Save its set-up form once.")
    return policy


def products_of(person: Person) -> QuerySet[Product]:
    """Return the products on the person's lines, with ``view_count`` and ``part_count``."""
    serving = Promotion.objects.filter(view=OuterRef("pk")).order_by("-id")
    served = View.objects.filter(product=OuterRef("pk")).annotate(
        serving=Subquery(serving.values("version")[:1])
    )
    return (
        Product.objects.filter(line__in=lines_for(person), archived_at__isnull=True)
        .select_related("line")
        .annotate(
            view_count=Count("views", distinct=True),
            has_model=Exists(served.filter(serving__isnull=False)),
        )
    )


def product_of(person: Person, product_id: int) -> Product:
    """Return one product.

    Raises:
        NotFoundError: No such product, or on none of the person's lines.
    """
    product = products_of(person).filter(pk=product_id).first()
    if product is None:
        raise NotFoundError("There is no such product on your lines.")
    return product


def products_to_send_to(
    *, person: Person | None = None, device: DeviceToken | None = None
) -> QuerySet[Product]:
    """Return the products this person or camera may send images of."""
    products = Product.objects.filter(archived_at__isnull=True).select_related("line")
    if device is not None:
        line = device.line_id or (device.station.line_id if device.station else None)
        return products if line is None else products.filter(line=line)
    if person is None:
        return products.none()
    return products.filter(line__in=lines_for(person, MAKERS))


def product_by_name_or_id(products: QuerySet[Product], key: str) -> Product:
    """Return the product that was named, by name or else by number.

    Raises:
        NotFoundError: None of them is it.
    """
    where = Q(name=key) | (Q(pk=int(key)) if key.isascii() and key.isdigit() else Q())
    found = sorted(products.filter(where)[:2], key=lambda product: product.name != key)
    if not found:
        raise NotFoundError(f"There is no product {key!r} here.", {"product": key})
    return found[0]


def view_by_name_or_id(product: Product, key: str) -> View:
    """Return the product's view that was named, by name or else by number.

    Raises:
        NotFoundError: It has no such view.
    """
    views = list(product.views.select_related("station"))
    for view in views:
        if view.name == key:
            return view
    for view in views:
        if str(view.pk) == key:
            return view
    names = ", ".join(view.name for view in views) or "none yet"
    raise NotFoundError(f"{product.name} has no view {key!r}. It has: {names}.", {"view": key})


def station_by_name_or_id(line: Line, key: str) -> Station:
    """Return the line's station that was named, by name or else by number.

    Raises:
        NotFoundError: It has no such station.
    """
    stations = list(line.stations.all())
    for matches in (lambda station: station.name == key, lambda station: str(station.pk) == key):
        for station in stations:
            if matches(station):
                return station
    raise NotFoundError(f"{line.name} has no station {key!r}.", {"station": key})
