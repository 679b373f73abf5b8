"""Products, views, defect types and the versions of a policy."""

from typing import Any

import pytest

from inspection.errors import ConflictError, DomainError, NotAllowedError
from inspection.models import DefectType, Event, Person, Policy, Product, Role, View
from inspection.services.policies import policy_change
from inspection.services.products import (
    DefectTypeFacts,
    ProductFacts,
    ViewFacts,
    defect_types_set,
    facts_of,
    product_archive,
    product_create,
    product_update,
    view_create,
    views_set,
)
from review.models import Decision
from tests import factories

pytestmark = pytest.mark.django_db


def create(person: Person | None, name: str = "Flange ring", **fields: Any) -> Product:
    facts = ProductFacts(name=name, line=factories.make_line())
    return product_create(facts=facts, person=person, **fields)


def test_a_product_starts_with_policy_1_views_and_types(engineer: Person) -> None:
    product = create(
        engineer,
        policy={"miss_cost": 80.0, "audit_rate": 0.1},
        views=[ViewFacts("face", region_of_interest=(0.1, 0, 1, 1)), ViewFacts("back")],
        defect_types=[DefectTypeFacts("scratch", key=3)],
    )
    policy = Policy.objects.get()
    assert (policy.version, policy.miss_cost, policy.audit_rate) == (1, 80.0, 0.1)
    assert [(view.name, view.rank) for view in product.views.order_by("rank")] == [
        ("face", 0),
        ("back", 1),
    ]
    assert View.objects.get(name="face").region_of_interest == [0.1, 0, 1, 1]
    assert DefectType.objects.get().key == 3
    kinds = set(Event.objects.values_list("kind", flat=True))
    assert kinds == {"policy.created", "product.created"}


def test_who_may_not(operator: Person, supervisor: Person) -> None:
    elsewhere = factories.make_person("x", Role.ENGINEER, line=factories.make_line("Line 9"))
    product = create(None)
    for person in (operator, supervisor, elsewhere):
        with pytest.raises(NotAllowedError):
            create(person, "Other")
        with pytest.raises(NotAllowedError):
            policy_change(product=product, person=person, miss_cost=1)
        with pytest.raises(NotAllowedError):
            product_archive(product=product, person=person)


def test_a_name_is_taken_once(engineer: Person) -> None:
    create(engineer)
    with pytest.raises(ConflictError):
        create(engineer)
    assert Product.objects.count() == 1


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "rejected", "x" * 101, "a\\b"])
def test_names_that_are_no_folder_are_refused(engineer: Person, name: str) -> None:
    with pytest.raises(DomainError):
        create(engineer, name)


def test_a_changed_policy_is_the_next_version_with_its_thresholds(engineer: Person) -> None:
    view = factories.make_view()
    factories.make_threshold(factories.make_version(view), review_from=2.6, reject_from=4.0)
    product = view.product
    policy = policy_change(product=product, person=engineer, note="dearer", miss_cost=500)
    assert (policy.version, policy.miss_cost, policy.created_by) == (2, 500, engineer)
    threshold = policy.thresholds.get()
    assert (threshold.review_from, threshold.reject_from) == (2.6, 4.0)
    first = product.policies.get(version=1)
    assert (first.miss_cost, first.thresholds.count()) == (100, 1)
    event = Event.objects.get()
    assert (event.kind, event.data["from"], event.data["to"]) == (
        "policy.changed",
        {"miss_cost": 100.0},
        {"miss_cost": 500},
    )


def test_nothing_new_writes_no_version(engineer: Person) -> None:
    product = create(None)
    assert policy_change(product=product, person=engineer, miss_cost=100.0).version == 1
    assert Policy.objects.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"miss_cost": -1},
        {"audit_rate": 1.1},
        {"audit_rate": -0.1},
        {"miss_cost": float("nan")},
        {"retrain_after_normals": 0},
    ],
)
def test_a_policy_that_cannot_be_is_refused(engineer: Person, change: dict[str, Any]) -> None:
    product = create(None)
    with pytest.raises(DomainError):
        policy_change(product=product, person=engineer, **change)
    assert Policy.objects.count() == 1


def test_an_unknown_field_is_no_policy(engineer: Person) -> None:
    with pytest.raises(TypeError):
        policy_change(product=create(None), person=engineer, mis_cost=3)


def test_update_changes_only_what_differs(engineer: Person) -> None:
    product = create(None, views=[ViewFacts()])
    product_update(product=product, facts=facts_of(product), person=engineer)
    assert not Event.objects.filter(kind="product.changed").exists()
    facts = ProductFacts(name="Ring", line=product.line, normals_expected=50)
    product_update(product=product, facts=facts, person=engineer, policy={"audit_rate": 0.5})
    product.refresh_from_db()
    assert (product.name, product.normals_expected) == ("Ring", 50)
    assert product.policies.count() == 2
    assert product.views.count() == 1


def test_a_product_with_parts_stays_on_its_line(engineer: Person) -> None:
    product = create(None)
    factories.make_part(product)
    other = factories.make_line("Line 9")
    with pytest.raises(ConflictError):
        product_update(
            product=product, facts=ProductFacts(name="Flange ring", line=other), person=engineer
        )


def test_views_come_change_and_go(engineer: Person) -> None:
    product = create(None, views=[ViewFacts("face"), ViewFacts("back")])
    face, back = product.views.order_by("rank")
    factories.make_image(face)
    views_set(
        product=product, person=engineer,
        views=[ViewFacts("top"), ViewFacts("front", id=face.pk, mm_per_pixel=0.1)],
    )  # fmt: skip
    assert list(product.views.order_by("rank").values_list("name", flat=True)) == ["top", "front"]
    assert not View.objects.filter(pk=back.pk).exists()
    with pytest.raises(ConflictError, match="has images"):
        views_set(product=product, person=engineer, views=[ViewFacts("top")])
    view_create(product=product, person=engineer, facts=ViewFacts("side"))
    assert product.views.get(name="side").rank == 2


@pytest.mark.parametrize(
    "facts",
    [
        ViewFacts(region_of_interest=(0.5, 0, 0.4, 1)),
        ViewFacts(region_of_interest=(0, 0, 1.2, 1)),
        ViewFacts(mm_per_pixel=0),
        ViewFacts(name="a/b"),
    ],
)
def test_a_view_that_cannot_be_is_refused(engineer: Person, facts: ViewFacts) -> None:
    with pytest.raises(DomainError):
        view_create(product=create(None), person=engineer, facts=facts)


def test_a_view_takes_stations_of_its_line_only(engineer: Person) -> None:
    station = factories.make_station(factories.make_line("Line 9"))
    with pytest.raises(DomainError):
        view_create(product=create(None), person=engineer, facts=ViewFacts(station=station))


def test_defect_types_come_change_and_go(engineer: Person) -> None:
    product = create(
        None, defect_types=[DefectTypeFacts("scratch", key=1), DefectTypeFacts("dent")]
    )
    scratch = product.defect_types.get(name="scratch")
    types = [DefectTypeFacts("deep scratch", id=scratch.pk, key=2, severity=3)]
    defect_types_set(product=product, types=types, person=engineer)
    scratch.refresh_from_db()
    assert (scratch.name, scratch.key, scratch.severity) == ("deep scratch", 2, 3)
    assert product.defect_types.count() == 1


def test_a_defect_type_that_a_decision_names_stays(engineer: Person) -> None:
    item = factories.make_review_item()
    kind = DefectType.objects.create(product=item.product, name="scratch")
    decision = Decision.objects.create(
        item=item, person=engineer, verdict="defect", key="1", at=item.waiting_since
    )
    decision.defect_types.add(kind)
    with pytest.raises(ConflictError, match="cannot be taken away"):
        defect_types_set(product=item.product, types=[], person=engineer)
    assert DefectType.objects.filter(pk=kind.pk).exists()


@pytest.mark.parametrize(
    "types",
    [
        [DefectTypeFacts("dent", key=1), DefectTypeFacts("stain", key=1)],
        [DefectTypeFacts("dent"), DefectTypeFacts("Dent ")],
        [DefectTypeFacts("dent", severity=4)],
        [DefectTypeFacts("dent", key=0)],
        [DefectTypeFacts("dent", miss_cost=-1)],
    ],
)
def test_types_that_cannot_be_are_refused(engineer: Person, types: list[DefectTypeFacts]) -> None:
    product = create(None)
    with pytest.raises(DomainError):
        defect_types_set(product=product, types=types, person=engineer)
    assert not product.defect_types.exists()


def test_an_archived_product_is_archived_once(engineer: Person) -> None:
    product = create(None)
    product_archive(product=product, person=engineer)
    with pytest.raises(ConflictError):
        product_archive(product=product, person=engineer)
