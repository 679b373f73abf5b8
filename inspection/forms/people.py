"""Forms of people, their roles, and devices."""

from typing import Any

from django import forms

from inspection.access import ADMINS, lines_for, may
from inspection.models import Line, Person, Role, Station
from inspection.services.people import SCOPES

ALL = "all"
EVERY_LINE = "every line"


class LineChoice(forms.ChoiceField):
    """A line the person administers, or every line."""

    def __init__(self, *, person: Person, **kwargs: Any) -> None:
        self.lines = {str(line.pk): line for line in lines_for(person, ADMINS)}
        choices = [(key, line.name) for key, line in self.lines.items()]
        if may(person, None, ADMINS):
            choices.insert(0, (ALL, EVERY_LINE))
        super().__init__(label="Where", choices=choices, **kwargs)

    def line_of(self, value: str) -> Line | None:
        """Return the chosen line; ``None`` stands for every line."""
        return None if value == ALL else self.lines[value]


class PersonForm(forms.Form):
    """Somebody new."""

    username = forms.CharField(label="Sign-in name", max_length=150)
    full_name = forms.CharField(label="Full name", max_length=200, required=False)
    password = forms.CharField(
        label="First password", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )
    roles = forms.MultipleChoiceField(
        label="Roles", choices=Role.choices, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["line"] = LineChoice(person=person)

    def chosen_line(self) -> Line | None:
        """Return the line of a valid form."""
        field = self.fields["line"]
        assert isinstance(field, LineChoice)  # noqa: S101  set above
        return field.line_of(self.cleaned_data["line"])


class RoleForm(forms.Form):
    """One more role for somebody."""

    role = forms.ChoiceField(label="Role", choices=Role.choices)

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["line"] = LineChoice(person=person)

    def chosen_line(self) -> Line | None:
        """Return the line of a valid form."""
        field = self.fields["line"]
        assert isinstance(field, LineChoice)  # noqa: S101  set above
        return field.line_of(self.cleaned_data["line"])


class PasswordForm(forms.Form):
    """A new password for somebody."""

    password = forms.CharField(
        label="New password", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )


class DeviceForm(forms.Form):
    """A new device token."""

    name = forms.CharField(label="Name", max_length=100, help_text="Such as: camera 2A.")
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=list(SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    station = forms.ModelChoiceField(
        label="Only this station",
        queryset=Station.objects.none(),
        required=False,
        empty_label="any",
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["line"] = LineChoice(person=person)
        station = self.fields["station"]
        assert isinstance(station, forms.ModelChoiceField)  # noqa: S101  declared above
        station.queryset = Station.objects.filter(line__in=lines_for(person, ADMINS))
        self.order_fields(["name", "scopes", "line", "station"])

    def chosen_line(self) -> Line | None:
        """Return the line of a valid form."""
        field = self.fields["line"]
        assert isinstance(field, LineChoice)  # noqa: S101  set above
        return field.line_of(self.cleaned_data["line"])
