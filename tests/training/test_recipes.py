"""What an engineer may choose of how a model learns: on the page, in the run, by schedule."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from detection.recipe import PatchCoreConfig
from inspection.models import Person, View
from tests import factories
from tests.conftest import client_of
from tests.training.records import add_normal, make_run
from tests.training.test_promotion import candidate
from training.forms import TRAIN_FORM_ID, TrainForm
from training.models import Run
from training.recipes import PRESETS, TILES, choices_of, settings_of, words_of
from training.selectors import settings_of_view
from training.services.promotion import promote
from training.services.schedule import schedule_tick

pytestmark = pytest.mark.django_db
FAST: dict[str, Any] = {"preset": "fast"}


@pytest.fixture
def view() -> View:
    view = factories.make_view()
    for _ in range(6):
        add_normal(view)
    return view


@pytest.fixture
def web(engineer: Person) -> Client:
    return client_of(engineer)


def test_every_choice_is_one_that_the_detector_knows() -> None:
    for preset in PRESETS:
        for tiles in TILES:
            for foreground in (False, True):
                settings = settings_of(preset=preset, foreground=foreground, tiles=tiles)
                config = PatchCoreConfig.from_json(settings)
                assert (config.preset, config.foreground) == (preset, foreground)
                assert config.to_json()["tiles"] == TILES[tiles][0]
                assert choices_of(settings) == {
                    "preset": preset, "foreground": foreground, "tiles": tiles
                }  # fmt: skip


def test_the_default_is_said_nowhere() -> None:
    assert settings_of(preset="best", foreground=False, tiles="whole") == {}
    assert PatchCoreConfig.from_json({}).preset == "best"
    assert words_of({}) == ""
    settings = settings_of(preset="fast", foreground=True, tiles="2x2")
    assert words_of(settings) == "fast, ground left out, in 4 tiles, 2 by 2"


def test_settings_that_no_form_offers_are_shown_as_the_default() -> None:
    assert choices_of({"tiles": [5, 7], "side": 512})["tiles"] == "whole"


def test_a_bare_form_is_the_default() -> None:
    form = TrainForm({})
    assert form.is_valid(), form.errors
    assert form.cleaned_data == {
        "preset": "best", "tiles": "whole", "foreground": False, "serve": False
    }  # fmt: skip


def test_what_is_chosen_is_what_the_run_learns_by(web: Client, view: View) -> None:
    address = reverse("training:train", args=[view.pk])
    web.post(address, {"preset": "fast", "tiles": "native", "foreground": "on"})
    run = Run.objects.get()
    assert run.config == {"preset": "fast", "tiles": "native", "foreground": True}
    assert run.promote_when_done is False
    page = web.get(reverse("training:run", args=[run.pk])).content.decode()
    assert "6 normals; fast, ground left out, in as many tiles as its full size needs." in page


@pytest.mark.parametrize("wrong", [{"preset": "best of all"}, {"tiles": "9x9"}])
def test_an_unknown_choice_is_refused_beside_its_field(
    web: Client, view: View, wrong: dict[str, str]
) -> None:
    answer = web.post(reverse("training:train", args=[view.pk]), wrong)
    assert answer.status_code == 400
    assert "is not one of the available choices" in answer.content.decode()
    assert not Run.objects.exists()


def test_the_fields_belong_to_the_button(web: Client, view: View) -> None:
    page = web.get(reverse("training:view", args=[view.pk])).content.decode()
    assert f'id="{TRAIN_FORM_ID}"' in page
    for name in ("preset", "tiles", "foreground"):
        assert f'name="{name}"' in page
    assert page.count(f'form="{TRAIN_FORM_ID}"') == 3
    empty = factories.make_view()
    page = web.get(reverse("training:view", args=[empty.pk])).content.decode()
    assert "How the next model learns" not in page


def made_by(view: View, config: dict[str, Any]) -> Any:
    version = candidate(view)
    make_run(view, state=Run.State.DONE, config=config, model_version=version)
    return version


def test_the_choice_of_the_model_that_serves_is_offered_again(
    web: Client, view: View, engineer: Person
) -> None:
    assert settings_of_view(view) == {}
    fast = made_by(view, FAST)
    assert settings_of_view(view) == FAST, "before any serves, the newest that was made"
    made_by(view, {"tiles": "native"})
    promote(version=fast, person=engineer, reason="fast enough")
    assert settings_of_view(view) == FAST
    page = web.get(reverse("training:view", args=[view.pk])).content.decode()
    assert '<option value="fast" selected>' in page


def test_a_run_by_count_learns_as_what_serves(engineer: Person) -> None:
    view = factories.make_view(factories.make_product(retrain_after_normals=6))
    promote(version=made_by(view, FAST), person=engineer, reason="fast enough")
    for _ in range(6):
        add_normal(view)
    (run,) = schedule_tick(now=timezone.now() + timedelta(minutes=1))
    assert run.trigger == Run.Trigger.COUNT
    assert run.config == FAST
