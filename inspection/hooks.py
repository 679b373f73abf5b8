"""Typed hooks: how a higher app joins a transaction of a lower one without being imported by it.

A service calls ``HOOK.call(value)`` inside its transaction; receivers register in
``AppConfig.ready``. A receiver that raises rolls the whole transaction back.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from inspection.models import Part, Routing

T = TypeVar("T")


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
