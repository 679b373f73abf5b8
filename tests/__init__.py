"""Tests mirror the code; see docs/architecture.md."""
