"""Forms of what people do to a part."""

from django import forms


class HoldForm(forms.Form):
    """Why a part is held."""

    reason = forms.CharField(label="Why", max_length=300)
