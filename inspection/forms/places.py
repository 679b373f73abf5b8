"""Forms of places: the first set-up, lines and stations."""

from typing import Any
from zoneinfo import available_timezones

from django import forms

from inspection.access import MAKERS, lines_for
from inspection.models import Line, Person


class SetupForm(forms.Form):
    """The first page of a new installation."""

    site_name = forms.CharField(label="Plant", max_length=100, initial="Plant")
    time_zone = forms.ChoiceField(
        label="Time zone", initial="UTC", help_text="Shifts and shown times follow it."
    )
    currency = forms.CharField(
        label="Currency", min_length=3, max_length=3, initial="EUR", help_text="Three letters."
    )
    line_name = forms.CharField(label="First line", max_length=100, initial="Line 1")
    station_name = forms.CharField(
        label="Its first station", max_length=100, initial="Station 1", help_text="One camera."
    )
    username = forms.CharField(label="Your sign-in name", max_length=150)
    full_name = forms.CharField(label="Your full name", max_length=200, required=False)
    password = forms.CharField(
        label="Password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 8 characters, not a common one.",
    )
    password_again = forms.CharField(
        label="Password, again",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = [(zone, zone) for zone in sorted(available_timezones())]
        self.fields["time_zone"] = forms.ChoiceField(
            label="Time zone", choices=zones, initial="UTC", help_text="Shifts and times follow it."
        )

    def clean(self) -> dict[str, Any]:
        """Check that both passwords agree."""
        data = super().clean() or {}
        if data.get("password") != data.pop("password_again", None):
            self.add_error("password_again", "The two passwords differ.")
        return data


class LineForm(forms.Form):
    """A new line."""

    name = forms.CharField(label="Name of the line", max_length=100)


class StationForm(forms.Form):
    """A new station."""

    line = forms.ModelChoiceField(label="Line", queryset=Line.objects.none(), empty_label=None)
    name = forms.CharField(label="Name of the station", max_length=100)
    bit_depth = forms.IntegerField(
        label="Bits in use",
        min_value=8,
        max_value=16,
        initial=16,
        help_text="Of a 16-bit grey file; other files do not need it.",
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        line = self.fields["line"]
        assert isinstance(line, forms.ModelChoiceField)  # noqa: S101  declared above
        line.queryset = lines_for(person, MAKERS)
