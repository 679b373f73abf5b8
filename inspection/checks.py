"""System checks: fail loudly at start, not softly at the first image."""

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error


def folders_are_writable(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Return an error when the data folder cannot be written to."""
    if os.access(settings.DATA_DIR, os.W_OK):
        return []
    return [
        Error(
            f"The data folder {settings.DATA_DIR} cannot be written to.",
            hint="Give this user the right to write there, or set SECONDLOOK_DATA.",
            id="inspection.E001",
        )
    ]
