"""For review's own tests: the apps above it stay out, so that a failure here is review's."""

import pytest

from inspection.models import Person, Role, View
from review import hooks
from tests import factories


@pytest.fixture(autouse=True)
def _nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the receivers of the apps above off the decision hook."""
    monkeypatch.setattr(hooks.decision_recorded, "_receivers", [])


@pytest.fixture
def colleague(db: None) -> Person:
    """Another operator, on every line."""
    return factories.make_person("colleague", Role.OPERATOR)


@pytest.fixture
def view(db: None) -> View:
    """A view with a serving version and thresholds."""
    view = factories.make_view(station=factories.make_station())
    factories.make_threshold(factories.make_version(view))
    return view
