"""A real Chromium for tests of pages: opened once, driven over its debugging pipe with the standard library alone.

    with Browser() as browser:
        page = browser.open(path, width=390, height=844, phone=True)
        page.evaluate("document.documentElement.scrollWidth")

`find()` is None where no Chromium is installed; tests skip then and say so.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
WAIT_S = 60.0
"""How long one answer may take: two busy cores start Chromium in about 3 s, sometimes in 20 s."""


def find() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


class ChromiumError(Exception):
    """Chromium did not start, did not answer, or refused a command."""


class Browser:
    """One headless Chromium with an empty profile; leaves nothing behind."""

    def __enter__(self) -> Browser:
        program = find()
        if program is None:
            raise ChromiumError("no Chromium is installed")
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        # Chromium reads commands from descriptor 3 and answers on 4, so ours must lie above both.
        theirs_in, self._to = (_above(fd) for fd in os.pipe())
        self._from, theirs_out = (_above(fd) for fd in os.pipe())
        null = os.open(os.devnull, os.O_RDWR)
        self._pid = os.posix_spawn(
            program,
            [program, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            {**os.environ, "TZ": "UTC", "LANG": "C.UTF-8"},
            file_actions=[
                *((os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)),
                (os.POSIX_SPAWN_DUP2, theirs_in, 3),
                (os.POSIX_SPAWN_DUP2, theirs_out, 4),
            ],
            setsid=True,
        )
        for fd in (theirs_in, theirs_out, null):
            os.close(fd)
        self._next, self._rest, self._events = 0, b"", list[dict[str, Any]]()
        try:
            self.version = self.call("Browser.getVersion")["product"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ChromiumError, OSError):
            self.call("Browser.close")
        self._end()

    def _end(self) -> None:
        for fd in (self._to, self._from):
            os.close(fd)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)  # its own session: only what this object started
        os.waitpid(self._pid, 0)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command of the DevTools protocol and its answer."""
        self._next += 1
        sent = {"id": self._next, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(sent).encode() + b"\0")
        while True:
            got = self._read()
            if got.get("id") == sent["id"]:
                if "error" in got:
                    raise ChromiumError(f"{method}: {got['error'].get('message')}")
                answer: dict[str, Any] = got["result"]
                return answer
            if "method" in got:
                self._events.append(got)

    def wait(self, method: str, session: str) -> dict[str, Any]:
        """The next event of that name in that tab; earlier ones that arrived meanwhile count."""
        while True:
            for i, event in enumerate(self._events):
                if event["method"] == method and event.get("sessionId") == session:
                    params: dict[str, Any] = self._events.pop(i)["params"]
                    return params
            got = self._read()
            if "method" in got:
                self._events.append(got)

    def seen(self, method: str, session: str) -> list[dict[str, Any]]:
        """All events of that name in that tab so far, such as the requests it made."""
        return [e["params"] for e in self._events if e["method"] == method and e.get("sessionId") == session]

    def _read(self) -> dict[str, Any]:
        until = time.monotonic() + WAIT_S
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], max(until - time.monotonic(), 0))[0]:
                raise ChromiumError(f"Chromium did not answer for {WAIT_S:.0f} s")
            got = os.read(self._from, 1 << 20)
            if not got:
                raise ChromiumError("Chromium ended by itself")
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def open(
        self,
        path: Path,
        *,
        width: int = 1100,
        height: int = 900,
        phone: bool = False,
        dark: bool = False,
        paper: bool = False,
    ) -> Tab:
        """A new tab with that file; `phone` takes the viewport from the page as a device does, `paper` is print."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session, target)
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.call(f"{domain}.enable")
        scale = 2 if phone else 1
        tab.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        tab.call(
            "Emulation.setEmulatedMedia",
            media="print" if paper else "",  # not "screen": that would be forced on printing too
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self._events.clear()
        tab.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired", session)
        return tab


class Tab:
    """One open page."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A command to this tab."""
        return self._browser.call(method, self._session, **params)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, as JSON gives it back."""
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in got:
            raise ChromiumError(
                f"{expression}: {got['exceptionDetails'].get('text')} {got['result'].get('description')}"
            )
        return got["result"].get("value")

    def requests(self) -> list[str]:
        """Every address the page asked for."""
        return [e["request"]["url"] for e in self._browser.seen("Network.requestWillBeSent", self._session)]

    def complaints(self) -> list[str]:
        """What Chromium wrote to its console about the page."""
        return [e["entry"]["text"] for e in self._browser.seen("Log.entryAdded", self._session)]

    def screenshot(self, to: Path, *, whole: bool = True) -> None:
        """The page as PNG, by default down to its end."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        extra = {"clip": clip, "captureBeyondViewport": True} if whole else {}
        to.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **extra)["data"]))

    def pdf(self) -> bytes:
        """The page as it prints on A4, with its backgrounds."""
        got = self.call(
            "Page.printToPDF", printBackground=True, preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69
        )
        return base64.b64decode(got["data"])

    def close(self) -> None:
        """Closes the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)


def _above(fd: int) -> int:
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return moved
