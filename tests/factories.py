"""Makes records for tests: each function one record, sensible defaults, everything overridable."""

import hashlib
import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from detection.calibration import Calibration
from inspection.blobs import blob_put
from inspection.models import (
    DeviceToken,
    Image,
    Line,
    Membership,
    ModelVersion,
    Part,
    Person,
    Policy,
    PolicyThreshold,
    Product,
    Promotion,
    Role,
    Routing,
    Score,
    ScoringJob,
    Site,
    Station,
    View,
)
from review.models import ReviewItem
from review.services.items import items_create_for_routing

_numbers = itertools.count(1)


def make_person(name: str = "", *roles: Role, line: Line | None = None) -> Person:
    """Return a person with the roles on one line (or on every line)."""
    person = Person.objects.create_user(username=name or f"person{next(_numbers)}", password="pw")
    for role in roles:
        Membership.objects.create(person=person, line=line, role=role)
    return person


def make_line(name: str = "Line 2") -> Line:
    """Return a line of the one test site."""
    site, _ = Site.objects.get_or_create(name="Plant", defaults={"time_zone": "Europe/Berlin"})
    line, _ = Line.objects.get_or_create(site=site, name=name)
    return line


def make_station(line: Line | None = None, name: str = "2A") -> Station:
    """Return a station."""
    return Station.objects.create(line=line or make_line(), name=name)


def make_product(name: str = "", line: Line | None = None, **policy: Any) -> Product:
    """Return a product with policy version 1 and no view."""
    product = Product.objects.create(
        name=name or f"Flange ring {next(_numbers)}", line=line or make_line()
    )
    Policy.objects.create(product=product, version=1, **policy)
    return product


def make_view(product: Product | None = None, name: str = "face", **fields: Any) -> View:
    """Return a view of a product."""
    return View.objects.create(product=product or make_product(), name=name, **fields)


def make_part(product: Product | None = None, serial: str = "", **fields: Any) -> Part:
    """Return a part without images."""
    product = product or make_product()
    fields.setdefault("first_seen_at", timezone.now())
    return Part.objects.create(
        product=product,
        line=product.line,
        serial=serial or f"R62-{next(_numbers):04d}",
        **fields,
    )


def make_image(
    view: View | None = None, part: Part | None = None, data: bytes = b"", **fields: Any
) -> Image:
    """Return an image whose blob holds ``data`` (not a real picture unless you pass one)."""
    view = view or make_view(part.product if part else None)
    part = part or make_part(view.product)
    blob = blob_put(data or f"pixels {next(_numbers)}".encode())
    now = timezone.now()
    defaults: dict[str, Any] = {
        "content_type": "image/png",
        "width": 64,
        "height": 48,
        "channel": Image.Channel.API,
        "captured_at": now,
        "received_at": now,
        "preview": blob,
        "thumbnail": blob,
    }
    return Image.objects.create(
        part=part, product=view.product, view=view, blob=blob, **(defaults | fields)
    )


def make_job(image: Image | None = None, **fields: Any) -> ScoringJob:
    """Return a queued live job."""
    fields.setdefault("queued_at", timezone.now())
    return ScoringJob.objects.create(image=image or make_image(), **fields)


def calibration_json(scores: Sequence[float], *, lots: int = 1) -> dict[str, Any]:
    """Return what a version's metrics say of held-out normals, dealt out to so many lots."""
    groups = [f"lot {number % lots}" for number in range(len(scores))]
    return Calibration.of(scores, "held-out images", groups=groups).to_json()


def make_version(view: View, *, serve: bool = True, **fields: Any) -> ModelVersion:
    """Return a model version without an artefact behind it; serving unless told otherwise."""
    number = view.versions.count() + 1
    defaults: dict[str, Any] = {
        "method": "patchcore",
        "manifest": {"parts": {}},
        "manifest_sha256": hashlib.sha256(f"{view.pk} {number}".encode()).hexdigest(),
        "pixel_threshold": 2.0,
        "heat_top": 6.0,
        "calibration_kind": "held-out images",
        "calibration_count": 40,
    }
    version = ModelVersion.objects.create(view=view, number=number, **(defaults | fields))
    if serve:
        Promotion.objects.create(view=view, version=version, at=timezone.now())
    return version


def make_threshold(version: ModelVersion, **fields: Any) -> PolicyThreshold:
    """Return thresholds for a version under the product's policy in force."""
    policy = version.view.product.policies.order_by("-version")[0]
    fields.setdefault("review_from", 2.6)
    return PolicyThreshold.objects.create(
        policy=policy, view=version.view, model_version=version, **fields
    )


def make_score(image: Image, version: ModelVersion, value: float = 3.4, **fields: Any) -> Score:
    """Return a score."""
    fields.setdefault("surprise", 0.01)
    fields.setdefault("scored_at", timezone.now())
    Image.objects.filter(pk=image.pk).update(state=Image.State.SCORED)
    return Score.objects.create(image=image, model_version=version, value=value, **fields)


def make_routing(part: Part, outcome: str = "review", **fields: Any) -> Routing:
    """Return a routing, without telling anybody (no hook is called)."""
    fields.setdefault("at", timezone.now())
    fields.setdefault("policy", part.product.policies.order_by("-version").first())
    routing = Routing.objects.create(part=part, outcome=outcome, **fields)
    Part.objects.filter(pk=part.pk).update(outcome=outcome)
    part.outcome = outcome
    return routing


def make_routed(
    view: View, outcome: str = "review", *, value: float = 3.4, **fields: Any
) -> Routing:
    """Return the routing of a new part with one scored image, its review item made as well.

    The view needs a version; without one the score is left out.
    """
    part = make_part(view.product)
    image = make_image(view, part, station=view.station)
    version = view.versions.first()
    score = make_score(image, version, value) if version is not None else None
    if outcome == "review":
        fields.setdefault("reasons", [{"code": "flagged", "message": f"score {value:.3g}"}])
    routing = make_routing(part, outcome, worst_score=score, **fields)
    if score is not None:
        routing.scores.add(score)
    items_create_for_routing(routing)
    return routing


def make_review_item(
    view: View | None = None, *, audit: bool = False, value: float | None = None, **fields: Any
) -> ReviewItem:
    """Return a waiting item: a flag, or the audit of a passed part."""
    if view is None:
        view = make_view()
        make_threshold(make_version(view))
    if audit:
        fields = {"is_audit": True, "audit_probability": 0.1, "surprise_band": 0} | fields
    outcome = "pass" if audit else "review"
    routing = make_routed(view, outcome, value=value or (1.1 if audit else 3.4), **fields)
    return routing.review_items.get()


def make_open_item(routing: Routing, **fields: Any) -> ReviewItem:
    """Return a waiting item for a routing, whatever its outcome."""
    part = routing.part
    defaults: dict[str, Any] = {
        "product": part.product,
        "line": part.line,
        "reason": ReviewItem.Reason.FLAGGED,
        "priority": ReviewItem.Priority.SOON,
        "waiting_since": timezone.now(),
    }
    return ReviewItem.objects.create(part=part, routing=routing, **(defaults | fields))


def make_token(token: str = "slk_test", *scopes: str, line: Line | None = None) -> DeviceToken:
    """Return a device token whose secret is ``token``."""
    return DeviceToken.objects.create(
        name="camera",
        token_sha256=hashlib.sha256(token.encode()).hexdigest(),
        scopes=list(scopes),
        line=line,
    )


def minutes_ago(minutes: float) -> Any:
    """Return an aware time in the past."""
    return timezone.now() - timedelta(minutes=minutes)
