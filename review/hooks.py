"""Hooks that review offers to the apps above it."""

from typing import TYPE_CHECKING

from inspection.hooks import Hook

if TYPE_CHECKING:
    from review.models import Decision

# Called inside the transaction of every new decision, undone ones included.
decision_recorded: "Hook[Decision]" = Hook("decision_recorded")
