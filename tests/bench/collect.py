"""Collecting from a live source against httpx and `json.loads` of the same pages: python tests/bench/collect.py

The server is a process of its own that has its replies ready. The peer asks as many at a time, keeps nothing, and reads
neither times nor numbers; the distance is what rows, pieces synced to the disk, the store and the ledger cost.
`--rows` is how many pings all checks show together. `reading` is the list and the pings set aside, `whole` also feeds a
fresh store.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pairs

from qpanalytics.collect.feed import feed
from qpanalytics.collect.run import REPLIES, Collector
from qpanalytics.settings import SourceTable
from qpanalytics.sources import open_source
from qpanalytics.store.db import Store
from qpanalytics.store.state import State

_WINDOW = 1_000
_TESTS = Path(__file__).resolve().parents[1]


def options(parser: ArgumentParser) -> None:
    parser.add_argument("--packed", action="store_true", help="the server packs its replies")
    parser.add_argument("--serve", help="only the server, of this many checks, until it is killed")


def prepare(folder: Path, asked: pairs.Options) -> None:
    """Starts the server, which ends with this process, and notes its address."""
    command = [sys.executable, __file__, "--serve", str(max(1, asked.rows // _WINDOW)), *(["--packed"] if asked.packed else [])]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    (folder / "url").write_text(server.stdout.readline().strip())
    _servers.append(server)


_servers: list[subprocess.Popen[str]] = []


def serve(checks: int, packed: bool) -> None:
    """The server: each reply is made once, so that its own cost is small beside the client's."""
    sys.path.insert(0, str(_TESTS))
    from functools import cache

    from healthchecks_server import Fleet, Reply, Server

    fleet = Fleet(checks=checks, pings=_WINDOW, window=_WINDOW, start=datetime.now(UTC) - timedelta(minutes=_WINDOW))

    class Ready:
        answer = staticmethod(cache(fleet.answer))

    def warm(key: str) -> None:
        listed: Reply = Ready.answer("/api/v3/checks/", key)
        for check in json.loads(listed.body)["checks"]:
            Ready.answer(f"/api/v3/checks/{check['uuid']}/pings/", key)

    warm(_key())
    with Server(Ready(), packed=packed) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def _key() -> str:
    sys.path.insert(0, str(_TESTS))
    from healthchecks_server import READ_WRITE

    return READ_WRITE


def _ours(folder: Path, *, whole: bool) -> int:
    """Pings that one look into an empty state brought, or that a fresh store then holds."""
    place = folder / "ours"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    table = SourceTable.model_validate({"name": "prod", "kind": "healthchecks", "url": (folder / "url").read_text()})
    store = Store(place / "qpa.duckdb")
    with State.beside(store.path) as state, closing(open_source(table, _key(), lambda: datetime.now(UTC))) as source:
        (look,) = Collector(state, lambda: datetime.now(UTC)).collect([source])
        if look.why:
            raise SystemExit(look.why)
        return feed(store, state).pings if whole else look.pings


def reading(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    return lambda: _ours(folder, whole=False)


def whole(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    return lambda: _ours(folder, whole=True)


def bare(folder: Path, asked: pairs.Options) -> Callable[[], int]:
    """The same pages, as many at a time, with one httpx client, and nothing done with them."""
    import httpx

    url = (folder / "url").read_text()

    def make() -> int:
        with httpx.Client(headers={"X-Api-Key": _key()}, trust_env=False) as client, ThreadPoolExecutor(REPLIES) as pool:

            def shown(check: dict[str, str]) -> int:
                return len(json.loads(client.get(f"{url}api/v3/checks/{check['uuid']}/pings/").content)["pings"])

            return sum(pool.map(shown, json.loads(client.get(f"{url}api/v3/checks/").content)["checks"]))

    return make


if __name__ == "__main__":
    if "--serve" in sys.argv:
        parser = ArgumentParser()
        options(parser)
        only = parser.parse_args()
        serve(int(only.serve), only.packed)
        sys.exit()
    try:
        pairs.compare(
            "checks and pings collected from a Healthchecks server, against httpx and json.loads of the same pages",
            {"reading": (reading, bare), "whole": (whole, bare)},
            prepare=prepare, options=options, rows=500_000, pairs=5,
        )  # fmt: skip
    finally:
        for server in _servers:
            server.communicate("")
