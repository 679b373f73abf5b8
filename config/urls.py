"""All addresses: pages by app, the JSON API under /api/v1."""

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from config.pages import health, home
from inspection.views.entrance import sign_in, sign_out

api: list[URLPattern | URLResolver] = [
    path("", include("inspection.api.urls")),
    path("", include("review.api.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home, name="home"),
    path("healthz", health, name="health"),
    path("accounts/login/", sign_in, name="login"),
    path("accounts/logout/", sign_out, name="logout"),
    path("", include("inspection.urls")),
    path("", include("review.urls")),
    path("", include("training.urls")),
    path("api/v1/", include(api)),
]
