"""Figures in templates: ``figure`` where one stands, ``figure_scripts`` once a page."""

from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString

from review.figures import Figure
from review.views.figures import plotly_url

register = template.Library()


@register.simple_tag
def figure(shown: Figure) -> SafeString:
    """Return the data of a figure and the place where the script draws it."""
    place = format_html(
        '<div class="figure" role="img" aria-label="{}" data-figure="{}" data-height="{}"></div>',
        shown.sentence,
        shown.id,
        shown.layout.get("height", 240),
    )
    return json_script(shown.as_json, shown.id) + place


@register.simple_tag
def figure_scripts() -> SafeString:
    """Return the scripts that draw figures: plotly.js of the wheel, then ours."""
    parts: tuple[Any, ...] = (plotly_url(), static("js/figures.js"))
    return format_html(
        '<script defer src="{}"></script><script type="module" src="{}"></script>', *parts
    )
