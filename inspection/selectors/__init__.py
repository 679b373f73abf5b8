"""Reads of inspection, each with its permission filter inside. Import them from here."""

from inspection.selectors.images import image_of, score_of
from inspection.selectors.lines import line_state, shown_zone
from inspection.selectors.messages import line_messages
from inspection.selectors.parts import (
    PartFilter,
    PartStatus,
    may_see,
    part_for_line,
    part_of,
    part_status_for_line,
    parts_of,
)
from inspection.selectors.people import devices_of, people_of
from inspection.selectors.products import (
    policy_in_force,
    product_of,
    products_of,
    products_to_send_to,
)

__all__ = [
    "PartFilter",
    "PartStatus",
    "devices_of",
    "image_of",
    "line_messages",
    "line_state",
    "may_see",
    "part_for_line",
    "part_of",
    "part_status_for_line",
    "parts_of",
    "people_of",
    "policy_in_force",
    "product_of",
    "products_of",
    "products_to_send_to",
    "score_of",
    "shown_zone",
]
