"""What training does in the transactions of review."""

from review import hooks
from training.services.pools import pool_follow_decision


def register() -> None:
    """A decision moves its images into, or out of, the pools in the same transaction."""
    hooks.decision_recorded.register(pool_follow_decision)
