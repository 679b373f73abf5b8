"""Pages of review."""

from django.urls import path

from review.views import figures, queue, shift, station

app_name = "review"
urlpatterns = [
    path("review/", station.station, name="station"),
    path("queue/", queue.queue, name="queue"),
    path("shift/", shift.shift, name="shift"),
    path("figures/plotly-<str:version>.min.js", figures.plotly_js, name="plotly-js"),
]
