"""The store as Parquet, by table: for other engines, for other machines, and for a store made anew.

What has many rows is partitioned as Hive does, by bucket of checks and by month; a bucket is written at a time, so
memory stays flat. The order of rows is total and one thread writes, so the same store gives the same bytes. All is
written to a folder beside the one meant, which takes its place when it is whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from qpanalytics.errors import StoreError, UsageError
from qpanalytics.spell import plain
from qpanalytics.store.db import Store, migrations

#: The file that says what the folder is, and the version of the layout described below.
MARKER = "qpa-export.json"
FORMAT = 1
#: A check's bucket is its number in the store modulo this, beside its name in `checks`.
BUCKETS = 16

#: What came from outside, one file a table. `check` names a check everywhere, `fetch_id` the look or file a row came from.
SMALL = {
    "checks": """
        select check_name as "check", source, key, name, first_seen_at, check_id % $buckets as bucket
        from store.checks order by check_id
    """,
    "versions": """
        select c.check_name as "check", v.* exclude (check_id) from store.versions v join store.checks c using (check_id)
        order by v.check_id, v.origin desc, v.valid_from nulls first, v.valid_to
    """,
    "pauses": """
        select c.check_name as "check", p.* exclude (check_id) from store.pauses p join store.checks c using (check_id)
        order by p.check_id, p.since_at, p.until_at
    """,
    "fetches": """
        from store.fetches order by fetch_id
    """,
    "fetch_checks": """
        select f.fetch_id, c.check_name as "check" from store.fetch_checks f join store.checks c using (check_id)
        order by f.fetch_id, f.check_id
    """,
    "watched": """
        select c.check_name as "check", w.* exclude (check_id) from store.watched w join store.checks c using (check_id)
        order by w.check_id, w.since_at, w.until_at
    """,
    "shown": """
        select c.check_name as "check", s.* exclude (check_id) from store.shown s join store.checks c using (check_id)
        order by s.check_id
    """,
    "pruned": """
        select c.check_name as "check", q.* exclude (check_id) from store.pruned q join store.checks c using (check_id)
        order by q.check_id
    """,
    "queue_snapshots": """
        from store.queue_snapshots order by source, queue, taken_at
    """,
    "worker_snapshots": """
        from store.worker_snapshots order by source, worker, taken_at
    """,
}  # fmt: skip
#: What is partitioned: its SQL for one bucket, without the order: by month, then by check and time.
LARGE = {
    "pings": """
        select c.check_name as "check", t.* exclude (check_id), strftime(t.received_at, '%Y-%m') as month
        from store.pings t join store.checks c using (check_id) where t.check_id % $buckets = $bucket
        order by month, t.check_id, t.received_at, t.fetch_id, t.row_no
    """,
    "runs": """
        select c.check_name as "check", t.* exclude (check_id, success),
            case when success then 'success' when not success then 'fail' when abandoned_at is not null then 'abandoned'
                else 'open' end as result,
            strftime(coalesce(t.started_at, t.completed_at), '%Y-%m') as month
        from store.runs t join store.checks c using (check_id) where t.check_id % $buckets = $bucket
        order by month, t.check_id, coalesce(t.started_at, t.completed_at), t.seq
    """,
    "occurrences": """
        select c.check_name as "check", t.* exclude (check_id), strftime(t.expected_at, '%Y-%m') as month
        from store.occurrences t join store.checks c using (check_id) where t.check_id % $buckets = $bucket
        order by month, t.check_id, t.expected_at, t.version, t.window_start_at
    """,
}

_PARQUET = "format parquet, compression zstd"


@dataclass(frozen=True)
class Exported:
    """What an export holds: rows by table, files, and their size in bytes."""

    rows: dict[str, int]
    files: int
    bytes: int


def export(store: Store, target: Path, *, progress: Callable[[int, int], None] | None = None) -> Exported:
    """Writes the store into the folder `target`, in place of an earlier export.

    UsageError where `target` holds anything that is no export of ours. After a kill the folder is as it was.
    """
    meant = Path(os.path.realpath(target))
    name = plain(str(target))
    _refuse_what_is_not_ours(meant, name)
    with store.read() as con, _beside(meant, name) as folder:
        rows = _write(con, folder, name, progress)
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    return Exported(rows, len(files), size)


def _write(
    con: duckdb.DuckDBPyConnection, folder: Path, name: str, progress: Callable[[int, int], None] | None
) -> dict[str, int]:
    found = con.execute("select distinct check_id % $buckets from store.checks order by 1", {"buckets": BUCKETS}).fetchall()
    buckets = [row[0] for row in found]
    steps, done = len(LARGE) * len(buckets), 0
    rows: dict[str, int] = {}
    with _explained(name):
        for table, sql in SMALL.items():
            params = {"buckets": BUCKETS} if "$buckets" in sql else {}
            rows[table] = _copy(con, sql, folder / f"{table}.parquet", _PARQUET, params)
        for table, sql in LARGE.items():
            rows[table] = 0
            for bucket in buckets:
                path = folder / table / f"bucket={bucket}"  # without a zero before it, which makes it text to DuckDB
                path.parent.mkdir(exist_ok=True)
                rows[table] += _copy(
                    con, sql, path, f"{_PARQUET}, partition_by (month)", {"buckets": BUCKETS, "bucket": bucket}
                )  # fmt: skip
                done += 1
                if progress is not None:
                    progress(done, steps)
    said = {"qpanalytics_export": FORMAT, "schema": len(migrations()), "buckets": BUCKETS, "rows": rows}
    (folder / MARKER).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return rows


def _copy(con: duckdb.DuckDBPyConnection, sql: str, path: Path, options: str, params: Mapping[str, object]) -> int:
    ((count,),) = con.execute(f"copy ({sql}) to $path ({options})", {**params, "path": str(path)}).fetchall()
    return int(count)


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What the disk says of the folder; else it would be said of the store."""
    try:
        yield
    except duckdb.IOException as error:
        raise StoreError(
            f"{name} cannot be written: {plain(str(error))[:200]}. Make room, or name another folder."
        ) from None


# The folder -----------------------------------------------------------------------------------------------------------


def read_marker(folder: Path) -> dict[str, object] | None:
    """What the marker of an export says; None where the folder is no export."""
    try:
        said = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and isinstance(said.get("qpanalytics_export"), int) else None


def _refuse_what_is_not_ours(meant: Path, name: str) -> None:
    other = "Name an empty folder, one that is not there yet, or an earlier export"
    if not meant.exists():
        if not meant.parent.is_dir():
            raise UsageError(f"{name}: there is no folder {plain(str(meant.parent))} to put it in. Make it first")
        return
    if not meant.is_dir():
        raise UsageError(f"{name}: is a file. {other}")
    if os.path.ismount(meant):
        raise UsageError(f"{name}: is a mount point, which cannot be replaced. Name a folder in it")
    if not any(meant.iterdir()):
        return
    if read_marker(meant) is None:
        raise UsageError(f"{name}: is not empty and no export of ours; nothing was written. {other}")
    # An earlier export is taken away as a whole, so it may hold nothing that somebody else put there.
    for path in sorted(meant.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.suffix == ".parquet" or path == meant / MARKER):
            raise UsageError(f"{name}: holds {plain(str(path.relative_to(meant)))}, which is no part of an export. Move it away")


@contextmanager
def _beside(meant: Path, name: str) -> Iterator[Path]:
    """A folder beside the one meant, which takes its place at the end of the block if nothing went wrong."""
    _clear_up(meant)
    folder = meant.with_name(f".{meant.name}.{os.getpid()}.qpa-export")
    old = meant.with_name(f".{meant.name}.{os.getpid()}.qpa-earlier")
    try:
        folder.mkdir()
        yield folder
        if meant.exists():
            meant.rename(old)
        folder.rename(meant)
    except OSError as error:
        raise UsageError(f"{name} cannot be written: {error.strerror or error}. Name another folder") from None
    finally:
        if old.exists() and not meant.exists():
            old.rename(meant)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _clear_up(meant: Path) -> None:
    """Takes away what a killed export left beside the folder, and puts an earlier one back that it had just moved."""
    pattern = re.compile(re.escape(f".{meant.name}.") + r"(\d+)\.qpa-(export|earlier)")
    for path in sorted(meant.parent.iterdir()):
        found = pattern.fullmatch(path.name)
        if found is None or not path.is_dir() or path.is_symlink() or _busy(int(found[1])):
            continue
        if found[2] == "earlier" and not meant.exists():
            path.rename(meant)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _busy(pid: int) -> bool:
    """Whether another process of this number runs; our own number is that of a process before us, as in containers."""
    if pid == os.getpid():
        return False
    if os.name != "posix":
        return True  # there, the call below would end the process
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
