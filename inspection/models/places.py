"""Where things are seen: site, line, station."""

from django.db import models


class Site(models.Model):
    """A plant. Its time zone, shift calendar and currency stand behind every page."""

    name = models.CharField(max_length=100, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    currency = models.CharField(max_length=3, default="EUR")
    # [{"name": "early", "start": "06:00", "end": "14:00"}, ...] in the site's own time zone.
    shifts = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.name


class Line(models.Model):
    """A production line of a site. Memberships are given per line."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="lines")
    name = models.CharField(max_length=100)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="line_name_unique_in_site")
        ]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Station(models.Model):
    """One camera of a line. ``bit_depth`` says how many bits of a 16-bit grey file are used."""

    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="stations")
    name = models.CharField(max_length=100)
    bit_depth = models.PositiveSmallIntegerField(default=16)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["line", "name"], name="station_name_unique_on_line"),
            models.CheckConstraint(
                condition=models.Q(bit_depth__gte=8, bit_depth__lte=16),
                name="station_bit_depth_8_to_16",
            ),
        ]
        ordering = ["line__name", "name"]

    def __str__(self) -> str:
        return self.name
