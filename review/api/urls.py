"""Endpoints of review under /api/v1."""

from django.urls import path

from review.api import views

urlpatterns = [
    path("review/next", views.NextView.as_view(), name="review-next"),
    path("review/recent", views.RecentView.as_view(), name="review-recent"),
    path("review/items/<int:item_id>/look", views.LookView.as_view(), name="review-look"),
    path(
        "review/items/<int:item_id>/decision", views.DecisionView.as_view(), name="review-decision"
    ),
    path("review/items/<int:item_id>/renew", views.RenewView.as_view(), name="review-renew"),
    path("review/items/<int:item_id>/release", views.ReleaseView.as_view(), name="review-release"),
    path("review/items/<int:item_id>/defer", views.DeferView.as_view(), name="review-defer"),
    path("review/decisions/<int:decision_id>/undo", views.UndoView.as_view(), name="review-undo"),
]
