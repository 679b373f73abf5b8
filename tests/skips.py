"""In CI a skipped test is a failure, unless ``allowed_skips.txt`` names it and says why.

A pytest plugin; it does nothing outside CI.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ALLOWED_FILE = Path(__file__).with_name("allowed_skips.txt")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One line of the list: the beginning of a test id, or of a reason."""

    words: str
    is_reason: bool
    why: str

    def covers(self, test_id: str, reason: str) -> bool:
        """Return whether this line allows the skip."""
        return self.words in reason if self.is_reason else test_id.startswith(self.words)


def read_allowed(text: str) -> list[Allowed]:
    """Return the lines of the list.

    Raises:
        ValueError: A line without a why.
    """
    allowed = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words, mark, why = line.partition(" # ")
        if not mark or not why.strip():
            raise ValueError(f"allowed_skips.txt: {line!r} does not say why")
        is_reason = words.startswith("reason:")
        words = words.removeprefix("reason:").strip()
        allowed.append(Allowed(words, is_reason, why.strip()))
    return allowed


@dataclass(eq=False)  # pytest keeps its plugins in sets
class SkipGuard:
    """Collects skips that nobody allowed and fails the session for them."""

    allowed: list[Allowed]
    found: list[tuple[str, str]] = field(default_factory=list)

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Remember a skip; an expected failure is not one."""
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        where = report.longrepr
        reason = str(where[2]) if isinstance(where, tuple) else str(where)
        if not any(line.covers(report.nodeid, reason) for line in self.allowed):
            self.found.append((report.nodeid, reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skipped test."""
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a skipped module."""
        self.note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run for skips that nobody allowed."""
        if self.found and session.exitstatus in {pytest.ExitCode.OK, 0}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name them above pytest's own closing line."""
        if self.found:
            terminalreporter.section("skipped without leave (tests/allowed_skips.txt)")
        for test_id, reason in self.found:
            terminalreporter.line(f"{test_id}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    """Stand guard in CI only."""
    if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        guard = SkipGuard(read_allowed(ALLOWED_FILE.read_text()))
        config.pluginmanager.register(guard, "skip-guard")
