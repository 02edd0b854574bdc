"""Ping files and check files: CSV, JSON lines, Parquet, access logs and TOML that people already have."""

from __future__ import annotations

from qpanalytics.sources.files.checks import read_checks
from qpanalytics.sources.files.stage import BadRow, Staged, StagedFile, read_pings

__all__ = ["BadRow", "Staged", "StagedFile", "read_checks", "read_pings"]
