"""Endpoints of inspection under /api/v1."""

from django.urls import URLPattern, path

from inspection.api import files, images, parts, products

urlpatterns: list[URLPattern] = [
    path("products", products.ProductsView.as_view(), name="api-products"),
    path("images", images.ImageUploadView.as_view(), name="api-images"),
    path("images/<int:image_id>/thumbnail", files.ImageThumbnail.as_view(), name="image-thumbnail"),
    path("images/<int:image_id>/preview", files.ImagePreview.as_view(), name="image-preview"),
    path("images/<int:image_id>/original", files.ImageOriginal.as_view(), name="image-original"),
    path("scores/<int:score_id>/heat", files.ScoreHeat.as_view(), name="score-heat"),
    path("parts/<int:part_id>/hold", parts.PartHold.as_view(), name="part-hold"),
    path("parts/<int:part_id>/release", parts.PartRelease.as_view(), name="part-release"),
    # Serials may hold a slash, so this one comes last.
    path("parts/<path:serial>", parts.PartStatusView.as_view(), name="part-status"),
    path("line-messages", parts.LineMessagesView.as_view(), name="line-messages"),
]
