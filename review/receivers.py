"""What review does in the transactions of inspection."""

from inspection import hooks
from review.services.items import items_create_for_routing


def register() -> None:
    """A routed part becomes review items in the same transaction."""
    hooks.part_routed.register(items_create_for_routing)
