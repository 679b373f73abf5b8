"""Products, their views and defect types: what the set-up form writes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import ForeignObjectRel
from django.utils import timezone

from inspection.access import MAKERS, require
from inspection.errors import ConflictError, DomainError
from inspection.models import DefectType, Line, Person, Product, Station, View
from inspection.services.events import event_record
from inspection.services.policies import policy_change, policy_first

# Names are folders of the watched inbox too.
FORBIDDEN_IN_NAMES: Final = ("/", "\\", "\x00")
RESERVED_NAMES: Final = frozenset({"rejected"})


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """What a product is, without its policy."""

    name: str
    line: Line
    aim: str = Product.Aim.LOCALISE
    imaging: str = Product.Imaging.CONTROLLED
    normals_expected: int = 0
    defects_expected: int = 0
    images_per_minute: float = 60
    latency_allowed_s: float = 5


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """What a view is; ``id`` names one that is there already."""

    name: str = "face"
    station: Station | None = None
    mm_per_pixel: float | None = None
    region_of_interest: tuple[float, float, float, float] | None = None
    any_angle: bool = False
    id: int | None = None


@dataclass(frozen=True, slots=True)
class DefectTypeFacts:
    """What a defect type is; ``id`` names one that is there already."""

    name: str
    family: str = DefectType.Family.SURFACE
    definition: str = ""
    severity: int = 2
    miss_cost: float | None = None
    key: int | None = None
    id: int | None = None


@transaction.atomic
def product_create(
    *,
    facts: ProductFacts,
    person: Person | None,
    policy: dict[str, Any] | None = None,
    views: Sequence[ViewFacts] = (),
    defect_types: Sequence[DefectTypeFacts] = (),
) -> Product:
    """Create a product with policy version 1, its views and its defect types.

    Args:
        facts: The product.
        person: Who sets it up; none for the system itself (demo, commands).
        policy: Fields of the first policy; the rest take their defaults.
        views: In the order in which they are shown.
        defect_types: Of the product.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: The name is taken.
        DomainError: A value that cannot be used.
    """
    if person is not None:
        require(person, facts.line, MAKERS)
    _check(facts)
    try:
        with transaction.atomic():
            product = Product.objects.create(**_fields(facts))
    except IntegrityError:
        raise ConflictError(f"There is a product {facts.name} already.") from None
    policy_first(product=product, person=person, **(policy or {}))
    event_record(
        kind="product.created",
        subject=f"product:{product.pk}",
        actor=person,
        data={"name": product.name, "line": product.line_id},
    )
    views_set(product=product, views=views, person=person)
    defect_types_set(product=product, types=defect_types, person=person)
    return product


@transaction.atomic
def product_update(
    *,
    product: Product,
    facts: ProductFacts,
    person: Person,
    policy: dict[str, Any] | None = None,
    note: str = "",
    views: Sequence[ViewFacts] | None = None,
    defect_types: Sequence[DefectTypeFacts] | None = None,
) -> Product:
    """Change a product; a changed policy becomes its next version.

    ``views`` and ``defect_types`` left out stay as they are; given, they are the whole list.

    Raises:
        NotAllowedError: Not an engineer or administrator of the old and the new line.
        ConflictError: The name is taken, or a view that has images was left out.
        DomainError: A value that cannot be used.
    """
    require(person, product.line, MAKERS)
    if facts.line.pk != product.line_id:
        require(person, facts.line, MAKERS)
        if product.parts.exists():
            raise ConflictError("Parts were seen on the old line: make a new product instead.")
    _check(facts)
    before = _fields(facts_of(product))
    changed = {name: new for name, new in _fields(facts).items() if before[name] != new}
    if changed:
        for name, value in changed.items():
            setattr(product, name, value)
        try:
            with transaction.atomic():
                product.save(update_fields=list(changed))
        except IntegrityError:
            raise ConflictError(f"There is a product {facts.name} already.") from None
        event_record(
            kind="product.changed",
            subject=f"product:{product.pk}",
            actor=person,
            data={name: getattr(value, "pk", value) for name, value in changed.items()},
        )
    if policy:
        policy_change(product=product, person=person, note=note, **policy)
    if views is not None:
        views_set(product=product, views=views, person=person)
    if defect_types is not None:
        defect_types_set(product=product, types=defect_types, person=person)
    return product


@transaction.atomic
def product_archive(*, product: Product, person: Person) -> None:
    """Take a product out of use: no more images, not on lists; what was seen stays.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: It is archived already.
    """
    require(person, product.line, MAKERS)
    done = Product.objects.filter(pk=product.pk, archived_at__isnull=True)
    if done.update(archived_at=timezone.now()) != 1:
        raise ConflictError(f"{product.name} is archived already.")
    event_record(kind="product.archived", subject=f"product:{product.pk}", actor=person)


def facts_of(product: Product) -> ProductFacts:
    """Return a product's facts as they are now."""
    return ProductFacts(
        name=product.name,
        line=product.line,
        aim=product.aim,
        imaging=product.imaging,
        normals_expected=product.normals_expected,
        defects_expected=product.defects_expected,
        images_per_minute=product.images_per_minute,
        latency_allowed_s=product.latency_allowed_s,
    )


@transaction.atomic
def view_create(
    *,
    product: Product,
    person: Person | None,
    facts: ViewFacts | None = None,
) -> View:
    """Add a view to a product, shown last.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: The product has a view of that name.
        DomainError: A value that cannot be used.
    """
    if person is not None:
        require(person, product.line, MAKERS)
    facts = facts or ViewFacts()
    return _view_write(
        View(product=product), product=product, facts=facts, rank=product.views.count()
    )


@transaction.atomic
def views_set(*, product: Product, views: Sequence[ViewFacts], person: Person | None) -> list[View]:
    """Make these the product's views, in this order; one that has images cannot be left out.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: A name is there twice, or a view with images is missing.
        DomainError: A value that cannot be used.
    """
    if person is not None:
        require(person, product.line, MAKERS)
    known = {view.pk: view for view in product.views.all()}
    for pk in set(known) - {facts.id for facts in views}:
        if known[pk].images.exists() or known[pk].versions.exists():
            raise ConflictError(f"View {known[pk].name} has images: it cannot be taken away.")
        known.pop(pk).delete()
    return [
        _view_write(
            known.get(facts.id or 0, View(product=product)), product=product, facts=facts, rank=rank
        )
        for rank, facts in enumerate(views)
    ]


@transaction.atomic
def defect_types_set(
    *, product: Product, types: Sequence[DefectTypeFacts], person: Person | None
) -> list[DefectType]:
    """Make these the product's defect types; one that decisions name cannot be left out.

    Raises:
        NotAllowedError: Not an engineer or administrator of the line.
        ConflictError: Decisions name a type that was left out.
        DomainError: Two share a name or a key, or a value cannot be used.
    """
    if person is not None:
        require(person, product.line, MAKERS)
    keys = [facts.key for facts in types if facts.key is not None]
    names = [facts.name.strip().lower() for facts in types]
    if len(set(keys)) != len(keys) or len(set(names)) != len(names):
        raise DomainError("Two defect types share a name or a key.")
    known = {kind.pk: kind for kind in product.defect_types.all()}
    kept = {facts.id for facts in types}
    for pk, kind in known.items():
        if pk not in kept:
            _defect_type_remove(kind)
    written = []
    for facts in types:
        kind = known.get(facts.id or 0) or DefectType(product=product)
        kind.name = _name(facts.name, "defect type", 60)
        kind.family = facts.family
        kind.definition = facts.definition.strip()
        kind.severity = facts.severity
        kind.miss_cost = facts.miss_cost
        kind.key = facts.key
        if facts.miss_cost is not None and not facts.miss_cost >= 0:
            raise DomainError("A cost must be 0 or more.", {"field": "miss_cost"})
        if not 1 <= facts.severity <= 3 or (facts.key is not None and not 1 <= facts.key <= 9):
            raise DomainError("Severity goes from 1 to 3, the key from 1 to 9.")
        written.append(kind)
    try:
        with transaction.atomic():
            for kind in written:
                kind.save()
    except IntegrityError:
        raise ConflictError("Two defect types share a name. Save one change at a time.") from None
    return written


def _defect_type_remove(kind: DefectType) -> None:
    """Delete a type that nothing names; apps above add what may name one, so all are asked."""
    for relation in DefectType._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ForeignObjectRel):
            continue
        named_by = relation.related_model._default_manager.filter(**{relation.field.name: kind})
        if named_by.exists():
            raise ConflictError(
                f"Decisions name the defect type {kind.name}: it cannot be taken away."
            )
    kind.delete()


def _view_write(view: View, *, product: Product, facts: ViewFacts, rank: int) -> View:
    if facts.station is not None and facts.station.line_id != product.line_id:
        raise DomainError(f"Station {facts.station.name} is not on {product.line.name}.")
    if facts.mm_per_pixel is not None and not 0 < facts.mm_per_pixel < math.inf:
        raise DomainError("Millimetres per pixel must be above 0.", {"field": "mm_per_pixel"})
    box = facts.region_of_interest
    if box is not None and not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
        raise DomainError(
            "The region of interest goes from left, top to right, bottom, each 0 to 100 %.",
            {"field": "region_of_interest"},
        )
    view.name = _name(facts.name, "view", 100)
    view.station = facts.station
    view.mm_per_pixel = facts.mm_per_pixel
    view.region_of_interest = None if box is None else list(box)
    view.any_angle = facts.any_angle
    view.rank = rank
    try:
        with transaction.atomic():
            view.save()
    except IntegrityError:
        raise ConflictError(f"{product.name} has a view {facts.name} already.") from None
    return view


def _check(facts: ProductFacts) -> None:
    _name(facts.name, "product", 100)
    if not 0 < facts.images_per_minute < math.inf or not 0 < facts.latency_allowed_s < math.inf:
        raise DomainError("Images a minute and the latency allowed must be above 0.")


def _name(name: str, what: str, longest: int) -> str:
    name = name.strip()
    if not name or len(name) > longest or not name.isprintable():
        raise DomainError(f"Give the {what} a name of at most {longest} characters.")
    if name.startswith(".") or any(character in name for character in FORBIDDEN_IN_NAMES):
        raise DomainError("A name may hold no slash and not start with a dot: it is a folder too.")
    if name.lower() in RESERVED_NAMES:
        raise DomainError(f"{name} is a folder of the inbox already. Choose another name.")
    return name


def _fields(facts: ProductFacts) -> dict[str, Any]:
    return {
        "name": facts.name.strip(),
        "line": facts.line,
        "aim": facts.aim,
        "imaging": facts.imaging,
        "normals_expected": facts.normals_expected,
        "defects_expected": facts.defects_expected,
        "images_per_minute": facts.images_per_minute,
        "latency_allowed_s": facts.latency_allowed_s,
    }
