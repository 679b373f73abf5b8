"""Pools: where confirmed images go."""

from review.models import Decision


def pool_follow_decision(decision: Decision) -> None:
    """Move a decision's images into, or out of, the pools."""
    raise NotImplementedError
