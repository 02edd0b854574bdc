"""Check files, by the name of what they are; `files` reads them."""

from __future__ import annotations

from qpanalytics.sources.files.checks import read_checks

__all__ = ["read_checks"]
