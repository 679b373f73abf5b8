"""Shape checks of what the model pages send."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from inspection.models import DefectType, View
from training.recipes import DEFAULTS, PRESETS, TILES


class SeveralFilesInput(forms.ClearableFileInput):
    """A file input for many files at once."""

    allow_multiple_selected = True


class SeveralFilesField(forms.FileField):
    """Any number of files, at least one."""

    widget = SeveralFilesInput

    def clean(self, data: Any, initial: Any = None) -> "list[UploadedFile[Any]]":
        """Return the files.

        Raises:
            ValidationError: None at all, or one of them is empty.
        """
        given = data if isinstance(data, list | tuple) else [data]
        given = given or [None]  # none at all is as wrong as an empty one
        return [super(SeveralFilesField, self).clean(one, initial) for one in given]


ACCEPT = ".png,.jpg,.jpeg,.tif,.tiff,.bmp,.zip"


class NormalsForm(forms.Form):
    """Files that somebody vouches for as normal."""

    images = SeveralFilesField(
        label="Images or a zip",
        widget=SeveralFilesInput(attrs={"accept": ACCEPT}),
        help_text="PNG, JPEG, TIFF or BMP. Folders inside a zip are taken as lots.",
    )
    lot = forms.CharField(
        required=False,
        max_length=120,
        label="Lot",
        help_text="Calibration holds out whole lots; without lots, whole days.",
    )
    reason = forms.CharField(
        max_length=300,
        label="Why are these normal?",
        help_text="Who looked at them, and how: it stays beside your name.",
    )
    attested = forms.BooleanField(label="I vouch for every one of these images being normal.")
    attestation = forms.IntegerField(required=False, widget=forms.HiddenInput)


class GoldenForm(forms.Form):
    """Files of known truth."""

    images = SeveralFilesField(
        label="Images or a zip",
        widget=SeveralFilesInput(attrs={"accept": ACCEPT}),
        help_text="They judge every model and are never learned.",
    )
    truth = forms.ChoiceField(label="What they show")

    def __init__(self, *args: Any, view: View, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = DefectType.objects.filter(product=view.product_id)
        field = self.fields["truth"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [
                ("good", "normal parts"),
                ("defect", "defects of no named type"),
                *((str(kind.pk), f"defect: {kind.name}") for kind in types),
            ]


# The button stands at the head of the page, the fields further down.
TRAIN_FORM_ID = "train"


class TrainForm(forms.Form):
    """How the next model learns; a field that is not sent stands at its default."""

    preset = forms.ChoiceField(
        label="How thorough",
        required=False,
        choices=list(PRESETS.items()),
        help_text="Try the fast one where a station must decide sooner, and compare the two on "
        "the golden set.",
    )
    tiles = forms.ChoiceField(
        label="The picture is looked at",
        required=False,
        choices=[(name, words) for name, (_, words) in TILES.items()],
        help_text="Tiles are for defects that are small beside a large picture. A picture takes "
        "longer with every tile.",
    )
    foreground = forms.BooleanField(
        label="Leave out the ground around the part",
        required=False,
        help_text="For parts before an even ground that fills the picture's border. Where the part "
        "cannot be told from it, all of the picture is looked at. Defects on the ground, and "
        "pieces broken out of the part's edge, may be left out with it.",
    )
    serve = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["form"] = TRAIN_FORM_ID

    def clean_preset(self) -> str:
        """Return the preset, the default where none is sent."""
        return str(self.cleaned_data["preset"] or DEFAULTS["preset"])

    def clean_tiles(self) -> str:
        """Return the name of the tiles, the default where none is sent."""
        return str(self.cleaned_data["tiles"] or "whole")


class PairForm(forms.Form):
    """The two thresholds of a version, in raw score units."""

    review_from = forms.FloatField(
        label="Review from", help_text="A score at or above it goes to a person."
    )
    reject_from = forms.FloatField(
        label="Reject from",
        required=False,
        help_text="A score at or above it is rejected at once. Empty: never by machine.",
    )

    def clean(self) -> dict[str, Any]:
        """Check that nothing is rejected that is not flagged."""
        data = super().clean() or {}
        review_from, reject_from = data.get("review_from"), data.get("reject_from")
        if review_from is not None and reject_from is not None and reject_from < review_from:
            self.add_error("reject_from", "It cannot lie below review_from.")
        return data


class ThresholdsForm(PairForm):
    """The same, to be set, with a reason."""

    note = forms.CharField(
        label="Why", max_length=200, help_text="Kept with the policy's version beside your name."
    )


class ReasonForm(forms.Form):
    """A reason that stays in the log."""

    reason = forms.CharField(max_length=300, label="Why")
