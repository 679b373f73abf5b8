"""Makes the demo, step by step, each step only where its work is missing."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings
from django.db import transaction

from detection.samples import PRODUCTS
from inspection.errors import DomainError
from inspection.models import (
    DefectType,
    Line,
    Membership,
    Person,
    Product,
    Role,
    Site,
    Station,
    View,
)
from inspection.services.products import DefectTypeFacts, ProductFacts, ViewFacts, product_create
from training.demo.colleague import colleague_answers
from training.demo.factory import Drawn, Factory, Order
from training.demo.fitting import Say, fit, wait_for_models, wait_for_scores
from training.demo.folder import demo_prepare_folder
from training.demo.plan import (
    GOLDEN_DEFECTS,
    GOLDEN_NORMALS,
    GOLDEN_SEED,
    NORMAL_SEED,
    NORMALS,
    PLANS,
    STREAM,
    ProductPlan,
)
from training.demo.stream import send_part, stream_orders
from training.models import GoldenEntry, PoolEntry
from training.services.golden import golden_add
from training.services.normals import NormalFile, normals_import

SHIFTS = [
    {"name": "early", "start": "06:00", "end": "14:00"},
    {"name": "late", "start": "14:00", "end": "22:00"},
    {"name": "night", "start": "22:00", "end": "06:00"},
]
# User name and password of each come from config.demo; this is who they are.
PEOPLE = {
    "operator": ("Marta", "Kowalska", (Role.OPERATOR,)),
    "supervisor": ("Paul", "Okafor", (Role.SUPERVISOR,)),
    "engineer": ("Jonas", "Weber", (Role.ENGINEER, Role.ADMIN)),
}
REASON = "set-up shoot of the sample parts, looked through by the engineer"
SAY_EVERY_S = 3.0


def demo_prepare(*, folder: Path | None, logins: Sequence[tuple[str, str, str]], say: Say) -> None:
    """Make what is missing of the demo and return when its queue has work.

    Args:
        folder: Images in MVTec layout to use instead of the sample parts.
        logins: (user name, password, purpose) of the demo people.
        say: Told each step in words.

    Raises:
        DomainError: Not in demo mode; a fit failed; the workers do not answer.
    """
    if not settings.DEMO:
        raise DomainError("The demo needs demo mode: start it with `make demo`.")
    people = make_people(logins)
    engineer = people["engineer"]
    if folder is not None:
        demo_prepare_folder(folder=folder, engineer=engineer, line=make_line("Line 1"), say=say)
        return
    with Factory(processes=2) as factory:
        views: list[View] = []
        for plan in PLANS:
            product = make_product(plan)
            own = list(product.views.order_by("rank"))
            take_normals(factory, plan, own, engineer, say)
            take_golden(factory, plan, product, engineer, say)
            # Fitted one after the other by the training worker, while the rest is drawn here.
            for view in own:
                fit(view, engineer)
            views += own
        # Drawn while the models are fitted, sent when they serve: a part that comes before the
        # first model is collected, and the demo's queue is to show flags.
        arriving = []
        for plan in PLANS:
            orders = stream_orders(plan, range(STREAM))
            say(f"{PRODUCTS[plan.key].name}: {len(orders)} parts for the line")
            drawn_parts = counted(factory.draw_all(orders), len(orders), say, "parts")
            arriving += [(plan, drawn) for drawn in drawn_parts]
    wait_for_models(views, say)
    say(f"{len(arriving)} parts arrive at the line")
    for plan, drawn in arriving:
        send_part(plan, drawn)
    wait_for_scores(say)
    if answered := colleague_answers():
        say(f"a colleague has answered {answered} parts; the rest waits for you")


@transaction.atomic
def make_people(logins: Sequence[tuple[str, str, str]]) -> dict[str, Person]:
    """Return the demo people by user name, made where missing."""
    people = {}
    for name, password, _ in logins:
        first, last, roles = PEOPLE[name]
        person = Person.objects.filter(username=name).first()
        if person is None:
            person = Person.objects.create_user(
                username=name, password=password, first_name=first, last_name=last, is_demo=True
            )
        for role in roles:
            Membership.objects.get_or_create(person=person, line=None, role=role)
        people[name] = person
    return people


def make_line(name: str) -> Line:
    """Return a line of the demo plant, made where missing."""
    site, _ = Site.objects.get_or_create(
        name="Demo plant",
        defaults={"time_zone": "Europe/Berlin", "currency": "EUR", "shifts": SHIFTS},
    )
    line, _ = Line.objects.get_or_create(site=site, name=name)
    return line


def make_product(plan: ProductPlan) -> Product:
    """Return a sample product with its stations, views and defect types, made where missing."""
    sample = PRODUCTS[plan.key]
    found = Product.objects.filter(name=sample.name).first()
    if found is not None:
        return found
    line = make_line(plan.line)
    stations = {
        view: Station.objects.get_or_create(line=line, name=name)[0]
        for view, name in plan.stations.items()
    }
    return product_create(
        person=None,
        facts=ProductFacts(
            name=sample.name,
            line=line,
            normals_expected=NORMALS,
            defects_expected=GOLDEN_DEFECTS,
        ),
        policy={
            "miss_cost": plan.miss_cost,
            "false_alarm_cost": plan.false_alarm_cost,
            "overlay_first": plan.overlay_first,
            "audit_rate": 0.15,  # high, so that a short demo has audits at all
        },
        views=[
            ViewFacts(
                name=view.name,
                station=stations[view.name],
                mm_per_pixel=round(1 / view.px_per_mm, 4),
                any_angle=view.any_angle,
            )
            for view in sample.views.values()
        ],
        defect_types=[
            DefectTypeFacts(name=name.replace("_", " "), family=family, key=key)
            for key, (name, family) in enumerate(sample.defects.items(), start=1)
        ],
    )


def take_normals(
    factory: Factory, plan: ProductPlan, views: Sequence[View], engineer: Person, say: Say
) -> None:
    """Import the normals of a product's views, as an engineer would after a set-up shoot."""
    there = PoolEntry.objects.filter(view=views[0]).count()
    orders = [Order(plan.key, NORMAL_SEED + number) for number in range(there, NORMALS)]
    if not orders:
        return
    say(f"{PRODUCTS[plan.key].name}: {len(orders)} normal parts to learn from")
    batches: dict[str, list[NormalFile]] = {view.name: [] for view in views}
    for drawn in counted(factory.draw_all(orders), len(orders), say, "normals"):
        for name, picture in drawn.pictures.items():
            batches[name].append(
                NormalFile(f"{plan.key}-{name}-{drawn.order.seed}.jpg", picture, drawn.order.lot)
            )
    for view in views:
        normals_import(view=view, person=engineer, reason=REASON, files=batches[view.name])


def take_golden(
    factory: Factory, plan: ProductPlan, product: Product, engineer: Person, say: Say
) -> None:
    """Make the golden set: parts of known truth that judge every model."""
    views = {view.name: view for view in product.views.all()}
    types = {kind.name: kind for kind in DefectType.objects.filter(product=product)}
    defects = list(PRODUCTS[plan.key].defects)
    orders = [Order(plan.key, GOLDEN_SEED + n) for n in range(GOLDEN_NORMALS)]
    orders += [
        Order(plan.key, GOLDEN_SEED + GOLDEN_NORMALS + n, defect=defects[n % len(defects)])
        for n in range(GOLDEN_DEFECTS)
    ]
    if GoldenEntry.objects.filter(view__product=product).exists():
        return
    say(f"{product.name}: {len(orders)} parts of known truth for the golden set")
    for drawn in counted(factory.draw_all(orders), len(orders), say, "golden parts"):
        for name, picture in drawn.pictures.items():
            mask = drawn.masks[name]
            shows = mask is not None
            if drawn.order.defect is not None and not shows:
                continue  # this camera cannot see it: neither a defect nor a fair normal
            kind = types[drawn.order.defect.replace("_", " ")] if drawn.order.defect else None
            golden_add(
                view=views[name],
                person=engineer,
                data=picture,
                is_defect=shows,
                defect_type=kind,
                mask=mask,
                file_name=f"{plan.key}-{name}-{drawn.order.seed}.jpg",
            )


def counted(parts: Iterator[Drawn], total: int, say: Say, what: str) -> Iterator[Drawn]:
    """Pass the parts on and say every few seconds how far it is."""
    said_at = time.monotonic()
    for number, drawn in enumerate(parts, start=1):
        yield drawn
        if time.monotonic() - said_at > SAY_EVERY_S:
            said_at = time.monotonic()
            say(f"  {number} of {total} {what}")
