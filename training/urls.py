"""Pages of training."""

from django.urls import path

from training.views import models, runs, thresholds, versions

app_name = "training"
urlpatterns = [
    path("models/", models.models, name="models"),
    path("models/<int:view_id>/", models.view_page, name="view"),
    path("models/<int:view_id>/train", models.train, name="train"),
    path("models/<int:view_id>/normals", models.normals, name="normals"),
    path("models/<int:view_id>/golden", models.golden, name="golden"),
    path("models/<int:view_id>/pools/<str:state>/", models.pool, name="pool"),
    path("versions/<int:version_id>/", versions.version, name="version"),
    path("versions/<int:version_id>/promote", versions.promote_version, name="promote"),
    path("versions/<int:version_id>/roll-back", versions.roll_back, name="rollback"),
    path("versions/<int:version_id>/thresholds", thresholds.set_thresholds, name="set-thresholds"),
    path("versions/<int:version_id>/consequence", thresholds.consequence, name="consequence"),
    path("runs/<int:run_id>/", runs.run, name="run"),
    path("runs/<int:run_id>/progress", runs.progress, name="run-progress"),
    path("runs/<int:run_id>/cancel", runs.cancel, name="cancel"),
]
