"""How a model may learn: the few choices an engineer has, in words, as settings of the detector."""

from collections.abc import Mapping
from typing import Any, Final

PRESETS: Final = {
    "best": "thorough: also looks for thin and small defects",
    "fast": "fast: less time a picture, may miss thin and small defects",
}
# Form value -> setting of the detector and words.
TILES: Final[Mapping[str, tuple[Any, str]]] = {
    "whole": (None, "the whole picture at once"),
    "2x2": ([2, 2], "in 4 tiles, 2 by 2"),
    "3x3": ([3, 3], "in 9 tiles, 3 by 3"),
    "native": ("native", "in as many tiles as its full size needs"),
}
DEFAULTS: Final[Mapping[str, Any]] = {"preset": "best", "foreground": False, "tiles": None}


def settings_of(*, preset: str, foreground: bool, tiles: str) -> dict[str, Any]:
    """Return the settings of a run; what stands at its default is left out.

    So that the same choice is the same settings, whether somebody made it or nobody.
    """
    chosen = {"preset": preset, "foreground": foreground, "tiles": TILES[tiles][0]}
    return {name: value for name, value in chosen.items() if value != DEFAULTS[name]}


def choices_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form values of a run's settings."""
    found = {name: settings.get(name, DEFAULTS[name]) for name in DEFAULTS}
    names = {repr(value): name for name, (value, _) in TILES.items()}
    return found | {"tiles": names.get(repr(found["tiles"]), "whole")}


def words_of(settings: Mapping[str, Any]) -> str:
    """Return in words what differs from the default; empty where nothing does."""
    choices = choices_of(settings)
    words = []
    if choices["preset"] != DEFAULTS["preset"]:
        words.append(str(choices["preset"]))
    if choices["foreground"]:
        words.append("ground left out")
    if choices["tiles"] != "whole":
        words.append(TILES[choices["tiles"]][1])
    return ", ".join(words)
