"""The records of review. Import them from here."""

from review.models.decisions import Decision, Look
from review.models.items import ReviewItem

__all__ = ["Decision", "Look", "ReviewItem"]
