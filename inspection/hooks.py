"""Typed hooks: how a higher app joins a transaction of a lower one without being imported by it.

A service calls ``HOOK.call(value)`` inside its transaction; receivers register in
``AppConfig.ready``. A receiver that raises rolls the whole transaction back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar

from django.db.models import Q

if TYPE_CHECKING:
    from inspection.models import Part, Person, Routing

T = TypeVar("T")
P = ParamSpec("P")


class Hook(Generic[T]):
    """A list of receivers for one kind of happening."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._receivers: list[Callable[[T], None]] = []

    def register(self, receiver: Callable[[T], None]) -> None:
        """Add a receiver once; registering it again changes nothing."""
        if receiver not in self._receivers:
            self._receivers.append(receiver)

    def call(self, value: T) -> None:
        """Call every receiver in the order of registration."""
        for receiver in self._receivers:
            receiver(value)


part_routed: "Hook[Routing]" = Hook("part_routed")
part_collected: "Hook[Part]" = Hook("part_collected")


class Question(Generic[P, T]):
    """Something a lower app must know and only one app above can tell; closed until it does."""

    def __init__(self, name: str, default: Callable[P, T]) -> None:
        self.name = name
        self._answer = default

    def answer_with(self, answer: Callable[P, T]) -> None:
        """Let this function answer from now on."""
        self._answer = answer

    def ask(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the answer."""
        return self._answer(*args, **kwargs)


@dataclass(frozen=True, slots=True)
class Said:
    """One line of what people said of a part."""

    at: datetime
    who: str
    verdict: str
    words: str  # defect types and note, for a page
    is_undone: bool


def _nobody_looked(person: "Person", part: "Part") -> bool:
    return False


def _nothing_said(part: "Part") -> list[Said]:
    return []


def _none_known(part: "Part") -> set[int]:
    return set()


# A filter on Part: somebody is still asked about it. Pages then say "in review".
parts_in_review: Question[[], Q] = Question("parts_in_review", lambda: Q(pk__in=[]))
# Whether score, heat, outcome and reasons of a part are open to a person.
may_see_model_says: "Question[[Person, Part], bool]" = Question(
    "may_see_model_says", _nobody_looked
)
# Every decision on a part, oldest first. Ask only for a part that may be seen.
part_history: "Question[[Part], list[Said]]" = Question("part_history", _nothing_said)
# The ids of a part's images that models learn from as normal.
known_normals: "Question[[Part], set[int]]" = Question("known_normals", _none_known)
