"""What review does in the transactions of inspection, and what it answers when asked."""

from inspection import hooks
from review.selectors.answers import part_history, parts_in_review
from review.selectors.sight import may_see_model_says
from review.services.items import items_create_for_routing


def register() -> None:
    """A routed part becomes review items in the same transaction."""
    hooks.part_routed.register(items_create_for_routing)
    hooks.parts_in_review.answer_with(parts_in_review)
    hooks.may_see_model_says.answer_with(may_see_model_says)
    hooks.part_history.answer_with(part_history)
