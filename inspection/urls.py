"""Pages of inspection. Sign-in and sign-out stand in config.urls, for their names are Django's."""

from django.urls import URLPattern, path

from inspection.views import devices, entrance, parts, people, places, products, upload

app_name = "inspection"
urlpatterns: list[URLPattern] = [
    path("setup/", entrance.setup, name="setup"),
    path("products/", products.products, name="products"),
    path("products/new", products.product_new, name="product-new"),
    path("products/<int:product_id>/", products.product, name="product"),
    path("products/<int:product_id>/archive", products.archive, name="product-archive"),
    path("lines/", places.lines, name="lines"),
    path("upload/", upload.upload, name="upload"),
    path("parts/", parts.parts, name="parts"),
    path("parts/<int:part_id>/", parts.part, name="part"),
    path("parts/<int:part_id>/hold", parts.hold, name="part-hold"),
    path("parts/<int:part_id>/release", parts.release, name="part-release"),
    path("parts/<int:part_id>/reference/<int:image_id>", parts.reference, name="part-reference"),
    path("people/", people.people, name="people"),
    path("people/<int:person_id>/", people.one_person, name="person"),
    path("devices/", devices.devices, name="devices"),
    path("devices/<int:device_id>/revoke", devices.revoke, name="device-revoke"),
]
