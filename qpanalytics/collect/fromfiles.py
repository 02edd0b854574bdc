"""Ping files and check entries into a store: reading them, and taking what was read, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from qpanalytics.collect.intake import Looked, Taken, take
from qpanalytics.sources.files import Staged, read_pings

if TYPE_CHECKING:
    from qpanalytics.settings import CheckEntry


def take_files(
    con: duckdb.DuckDBPyConnection,
    files: Sequence[str | Path],
    entries: Iterable[CheckEntry],
    *,
    source: str,
    covers_until: datetime | None,
    tried_at: datetime,
    mapping: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Staged, Taken]:
    """What `read_pings` found in `files`, and what `take` made of it. InputError for a file that cannot be taken."""
    staged = read_pings(con, files, mapping=mapping, skip_bad=skip_bad)
    taken = take(
        con,
        source=source,
        looks=[Looked(str(file.path), file.digest, file.skipped) for file in staged.files],
        entries=entries,
        covers_until=covers_until,
        tried_at=tried_at,
        progress=progress,
    )
    return staged, taken
