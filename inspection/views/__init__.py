"""Pages of inspection: parse, authorise, call one service or selector, render."""

from django import forms

from inspection.errors import DomainError


def show_error(form: forms.BaseForm, error: DomainError) -> None:
    """Put a service's refusal beside the field it names, else on top of the form."""
    field = error.extra.get("field")
    form.add_error(field if field in form.fields else None, error.message)
