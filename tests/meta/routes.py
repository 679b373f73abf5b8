"""Walks every address of the product, for the tests of this folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern


@dataclass(frozen=True, slots=True)
class Route:
    """One address: its name with namespaces, its view, and the parameters in its path."""

    name: str
    path: str
    view: Callable[..., Any]
    parameters: tuple[str, ...]

    @property
    def api_class(self) -> type[Any] | None:
        """The class of a DRF view."""
        found: type[Any] | None = getattr(self.view, "cls", None)
        return found

    def example_path(self) -> str:
        """Return the path with 1 (or a word) in each place."""
        path = self.path
        for parameter in self.parameters:
            start = path.rindex("<", 0, path.index(f"{parameter}>"))
            kind, _, _ = path[start + 1 :].partition(":")
            value = "1" if kind == "int" else "00000000-0000-4000-8000-000000000000"
            end = path.index(">", start) + 1
            path = path[:start] + (value if kind in {"int", "uuid"} else "x") + path[end:]
        return f"/{path}"


def all_routes() -> list[Route]:
    """Return every address."""
    return list(_walk(get_resolver().url_patterns, "", ""))


def _walk(patterns: list[URLPattern | URLResolver], namespace: str, prefix: str) -> Iterator[Route]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, inner, prefix + str(pattern.pattern))
        else:
            # Only path(): a regular expression could not be read by the tests here.
            assert isinstance(pattern.pattern, RoutePattern), pattern
            yield Route(
                f"{namespace}{pattern.name or ''}",
                prefix + str(pattern.pattern),
                pattern.callback,
                tuple(pattern.pattern.converters),
            )
