"""The set-up form of a product: itself, its policy, its views and its defect types."""

from typing import Any

from django import forms

from inspection.access import MAKERS, lines_for
from inspection.models import DefectType, Line, Person, Policy, Product, Station, View
from inspection.services.products import DefectTypeFacts, ProductFacts, ViewFacts


class ProductForm(forms.Form):
    """The set-up form of a product, with the numbers of its policy."""

    name = forms.CharField(label="Name", max_length=100)
    line = forms.ModelChoiceField(label="Line", queryset=Line.objects.none(), empty_label=None)
    aim = forms.ChoiceField(
        label="What it should do",
        choices=Product.Aim.choices,
        initial=Product.Aim.LOCALISE.value,
    )
    imaging = forms.ChoiceField(label="Imaging", choices=Product.Imaging.choices)
    normals_expected = forms.IntegerField(
        label="Normal images at hand",
        min_value=0,
        max_value=10**7,
        initial=100,
        help_text="Some tens make a first model; a promise about false alarms needs more.",
    )
    defects_expected = forms.IntegerField(
        label="Known defects at hand", min_value=0, max_value=10**7, initial=0
    )
    images_per_minute = forms.FloatField(
        label="Images a minute", min_value=0.01, max_value=10**5, initial=60
    )
    latency_allowed_s = forms.FloatField(
        label="Answer allowed within", min_value=0.05, max_value=86_400, initial=5
    )
    miss_cost = forms.FloatField(label="A miss costs", min_value=0, initial=100)
    false_alarm_cost = forms.FloatField(label="A stopped good part costs", min_value=0, initial=5)
    review_minute_cost = forms.FloatField(
        label="A minute of review costs", min_value=0, initial=0.7
    )
    audit_percent = forms.FloatField(
        label="Audit rate",
        min_value=0,
        max_value=100,
        initial=2,
        help_text="Share of passed parts that a person looks at blindly.",
    )
    rejected_percent = forms.FloatField(
        label="Rejected parts reviewed",
        min_value=0,
        max_value=100,
        initial=100,
        help_text="Below 100 the false-alarm rate of rejects is an estimate.",
    )
    overlay_first = forms.BooleanField(
        label="Show the heat at once",
        required=False,
        help_text="Quicker to answer, but its audits are not blind.",
    )
    retrain_at = forms.TimeField(
        label="Retrain daily at",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="Site time. Ends as a candidate that a person promotes; empty: never by the "
        "clock. With nothing new to learn, nothing is trained.",
    )
    retrain_after_normals = forms.IntegerField(
        label="Retrain after new normals",
        min_value=1,
        max_value=10**6,
        required=False,
        help_text="As soon as so many verified normals wait to be learned; empty: never by count.",
    )
    note = forms.CharField(
        label="Why", max_length=300, required=False, help_text="Kept with the policy's version."
    )

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        line = self.fields["line"]
        assert isinstance(line, forms.ModelChoiceField)  # noqa: S101  declared above
        line.queryset = lines_for(person, MAKERS)

    def facts(self) -> ProductFacts:
        """Return the product's part of a valid form."""
        data = self.cleaned_data
        return ProductFacts(
            name=data["name"],
            line=data["line"],
            aim=data["aim"],
            imaging=data["imaging"],
            normals_expected=data["normals_expected"],
            defects_expected=data["defects_expected"],
            images_per_minute=data["images_per_minute"],
            latency_allowed_s=data["latency_allowed_s"],
        )

    def policy(self) -> dict[str, Any]:
        """Return the policy's part of a valid form."""
        data = self.cleaned_data
        return {
            "miss_cost": data["miss_cost"],
            "false_alarm_cost": data["false_alarm_cost"],
            "review_minute_cost": data["review_minute_cost"],
            "audit_rate": data["audit_percent"] / 100,
            "rejected_review_rate": data["rejected_percent"] / 100,
            "overlay_first": data["overlay_first"],
            "retrain_at": data["retrain_at"],
            "retrain_after_normals": data["retrain_after_normals"],
        }


def _short(number: float) -> float:
    """Return 100 for 100.0: nobody types the rest."""
    number = round(number, 6)
    return int(number) if number == int(number) else number


def product_initial(product: Product, policy: Policy) -> dict[str, Any]:
    """Return what the form shows for a product that is there."""
    return {
        "name": product.name,
        "line": product.line_id,
        "aim": product.aim,
        "imaging": product.imaging,
        "normals_expected": product.normals_expected,
        "defects_expected": product.defects_expected,
        "images_per_minute": _short(product.images_per_minute),
        "latency_allowed_s": _short(product.latency_allowed_s),
        "miss_cost": _short(policy.miss_cost),
        "false_alarm_cost": _short(policy.false_alarm_cost),
        "review_minute_cost": _short(policy.review_minute_cost),
        "audit_percent": _short(policy.audit_rate * 100),
        "rejected_percent": _short(policy.rejected_review_rate * 100),
        "overlay_first": policy.overlay_first,
        "retrain_at": policy.retrain_at,
        "retrain_after_normals": policy.retrain_after_normals,
    }


def _percent(label: str) -> forms.FloatField:
    return forms.FloatField(label=label, min_value=0, max_value=100, required=False)


class ViewForm(forms.Form):
    """One view of a product."""

    id = forms.IntegerField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(label="View", max_length=100)
    station = forms.ModelChoiceField(
        label="Station", queryset=Station.objects.none(), required=False, empty_label="any"
    )
    mm_per_pixel = forms.FloatField(label="mm a pixel", min_value=1e-6, required=False)
    any_angle = forms.BooleanField(label="Parts lie at any angle", required=False)
    left = _percent("Left %")
    top = _percent("Top %")
    right = _percent("Right %")
    bottom = _percent("Bottom %")

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        station = self.fields["station"]
        assert isinstance(station, forms.ModelChoiceField)  # noqa: S101  declared above
        station.queryset = Station.objects.filter(line__in=lines_for(person, MAKERS))

    def clean(self) -> dict[str, Any]:
        """Check that the region of interest is a whole box, or none."""
        data = super().clean() or {}
        box = [data.get(side) for side in ("left", "top", "right", "bottom")]
        given = [value for value in box if value is not None]
        if given and len(given) < len(box):
            self.add_error(None, "Give all four sides of the region of interest, or none.")
        elif given and not (given[0] < given[2] and given[1] < given[3]):
            self.add_error(None, "Left lies before right, and top before bottom.")
        return data

    def facts(self) -> ViewFacts:
        """Return a valid form's view."""
        data = self.cleaned_data
        box = None
        if data.get("left") is not None:
            sides = [data[side] / 100 for side in ("left", "top", "right", "bottom")]
            box = (sides[0], sides[1], sides[2], sides[3])
        return ViewFacts(
            id=data["id"],
            name=data["name"],
            station=data["station"],
            mm_per_pixel=data["mm_per_pixel"],
            any_angle=data["any_angle"],
            region_of_interest=box,
        )


def view_initial(view: View) -> dict[str, Any]:
    """Return what the form shows for a view that is there."""
    box = view.region_of_interest or [None] * 4
    sides = dict(zip(("left", "top", "right", "bottom"), box, strict=True))
    return {
        "id": view.pk,
        "name": view.name,
        "station": view.station_id,
        "mm_per_pixel": view.mm_per_pixel,
        "any_angle": view.any_angle,
        **{name: None if side is None else _short(side * 100) for name, side in sides.items()},
    }


class DefectTypeForm(forms.Form):
    """One defect type of a product."""

    id = forms.IntegerField(required=False, widget=forms.HiddenInput)
    name = forms.CharField(label="Name", max_length=60)
    family = forms.ChoiceField(
        label="Family",
        choices=DefectType.Family.choices,
        initial=DefectType.Family.SURFACE.value,
    )
    severity = forms.TypedChoiceField(
        label="Severity",
        coerce=int,
        choices=[(1, "1 cosmetic"), (2, "2 function"), (3, "3 safety")],
        initial=2,
    )
    miss_cost = forms.FloatField(label="A miss costs", min_value=0, required=False)
    key = forms.IntegerField(label="Key", min_value=1, max_value=9, required=False)
    definition = forms.CharField(label="What counts as one", required=False, max_length=2000)

    def facts(self) -> DefectTypeFacts:
        """Return a valid form's defect type."""
        data = self.cleaned_data
        return DefectTypeFacts(
            id=data["id"],
            name=data["name"],
            family=data["family"],
            severity=data["severity"],
            miss_cost=data["miss_cost"],
            key=data["key"],
            definition=data["definition"],
        )


def defect_type_initial(kind: DefectType) -> dict[str, Any]:
    """Return what the form shows for a defect type that is there."""
    names = ("id", "name", "family", "severity", "miss_cost", "key", "definition")
    return {name: getattr(kind, name) for name in names}


# django-stubs cannot follow formset_factory's keyword forms.
ViewFormSet: Any = forms.formset_factory(ViewForm, extra=0, can_delete=True)
DefectTypeFormSet: Any = forms.formset_factory(DefectTypeForm, extra=0, can_delete=True)
