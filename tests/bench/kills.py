"""`qpa watch` killed again and again with SIGKILL at random moments: python tests/bench/kills.py [KILLS]

A file gets failing pings all the time; each must be told once. Printed: alerts that were lost (none may be), messages that
came more than once (at most one for each kill), and whether a repetition carried the key of the first.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIG = """
[[source]]
name = "jobs"
kind = "files"
files = ["pings.csv"]
[[channel]]
name = "hook"
kind = "webhook"
url = "env:HOOK"
allow_private = true
[policy]
group_least = 100000
limit = 100000
[watch]
tick = "0.1 s"
feed = "1 s"
"""


class Hook(ThreadingHTTPServer):
    """Takes messages: the member and the key of each."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.taken.append((body["data"]["members"][0], self.headers["webhook-id"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


def start(folder: Path, url: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "qpanalytics", "watch"], cwd=folder, env={**os.environ, "HOOK": url},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    chance = random.Random(20261124)
    hook = Hook()
    threading.Thread(target=hook.serve_forever, kwargs={"poll_interval": 0.05}).start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "qpa.toml").write_text(CONFIG)
        pings = folder / "pings.csv"
        pings.write_text(f"check,received_at,kind\nfirst,{datetime.now(UTC).isoformat()},success\n")
        said = 0
        for _ in range(kills):
            watch = start(folder, f"http://127.0.0.1:{hook.server_address[1]}/")
            until = time.monotonic() + chance.uniform(0.3, 1.6)
            while time.monotonic() < until:
                with pings.open("a") as file:
                    file.write(f"job-{said},{datetime.now(UTC).isoformat()},fail\n")
                said += 1
                time.sleep(chance.uniform(0.02, 0.3))
            watch.kill()
            watch.wait()
        watch = start(folder, f"http://127.0.0.1:{hook.server_address[1]}/")
        until = time.monotonic() + 120
        while len({member for member, _ in hook.taken}) < said and time.monotonic() < until:
            time.sleep(0.2)
        watch.terminate()
        watch.wait()
    hook.shutdown()
    members = {member for member, _ in hook.taken}
    again, others = len(hook.taken) - len(members), len(set(hook.taken)) - len(members)
    print(f"{kills} kills, {said} failing jobs: {said - len(members)} alerts lost")
    print(f"{again} messages came once more, {others} of those under another key")


if __name__ == "__main__":
    main()
