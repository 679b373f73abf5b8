"""``manage.py train``."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from inspection.models import Person, View
from tests import factories, images
from tests.training.records import add_normal
from training.models import PoolEntry, Run
from training.services import execution

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fake_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "CHILD", "tests.training.children")


@pytest.fixture
def view() -> View:
    view = factories.make_view(factories.make_product("Ring, large"))
    for _ in range(6):
        add_normal(view)
    return view


def train(*words: str) -> str:
    out = io.StringIO()
    call_command("train", *words, stdout=out, stderr=out)
    return out.getvalue()


def test_queues_by_number_or_name(view: View, engineer: Person) -> None:
    assert "is queued" in train("--view", str(view.pk), "--person", "engineer")
    assert Run.objects.get().requested_by == engineer
    Run.objects.all().delete()
    train("--view", "Ring, large, face", "--person", "engineer")
    assert Run.objects.get().view == view


def test_imports_trains_and_promotes(view: View, engineer: Person, tmp_path: Path) -> None:
    for seed in range(3):
        (tmp_path / f"{seed}.png").write_bytes(images.good_png(seed))
    said = train(
        "--view", str(view.pk), "--person", "engineer", "--import", str(tmp_path), "--now",
        "--promote", "first",
    )  # fmt: skip
    assert "3 added" in said
    assert "v1 serves." in said
    assert view.promotions.get().by == engineer
    assert PoolEntry.objects.count() == 9


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--view", "77", "--person", "engineer"], "no view"),
        (["--view", "1", "--person", "nobody"], "no person"),
        (["--view", "1", "--person", "engineer", "--promote", "x"], "needs --now"),
    ],
)
def test_says_what_is_wrong(engineer: Person, words: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        train(*words)


def test_refusals_come_in_words(view: View, operator: Person, engineer: Person) -> None:
    with pytest.raises(CommandError, match="This needs one of these roles"):
        train("--view", str(view.pk), "--person", "operator")
    with pytest.raises(CommandError, match="There is no folder"):
        train("--view", str(view.pk), "--person", "engineer", "--import", "/nowhere")
