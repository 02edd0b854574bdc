"""A real RabbitMQ node for tests, on free ports and in a folder of its own, with its management API."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

PASSWORD = "read-only-secret"
#: Debian's own start script wants to become the user rabbitmq; the one inside does not.
_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@dataclass
class Server:
    port: int
    management: str

    def url(self, user: str = "qpa", vhost: str = "/") -> str:
        return f"amqp://{user}@127.0.0.1:{self.port}/{'' if vhost == '/' else vhost}"

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Asks the management API as the administrator."""
        reply = httpx.request(method, f"{self.management}/api/{path}", auth=("guest", "guest"), json=body or None)
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """A node with the user `qpa`, who may enter the virtual host `/` and see statistics, and nothing else."""
    if not _SERVER.exists() or shutil.which("erl") is None:
        pytest.skip("RabbitMQ is not installed (apt-get install rabbitmq-server)")
    port, management, distribution, mapper = (_free() for _ in range(4))
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n"
        "collect_statistics_interval = 500\n"
    )
    (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
    environment = {
        **os.environ, "HOME": str(folder), "RABBITMQ_NODENAME": f"qpa{port}@localhost", "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"), "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_DIST_PORT": str(distribution), "RABBITMQ_PID_FILE": str(folder / "pid"),
    }  # fmt: skip
    # The mapper is started here: one that the node started would be a daemon that outlives it.
    names = subprocess.Popen(["epmd", "-port", str(mapper), "-address", "127.0.0.1"], stderr=subprocess.DEVNULL)
    with (folder / "out").open("w") as out:
        node = subprocess.Popen([str(_SERVER)], env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        made = Server(port, f"http://127.0.0.1:{management}")
        if not _is_up(made, node):
            pytest.skip(f"RabbitMQ did not start: {(folder / 'out').read_text()[-300:]}")
        made.ask("PUT", "users/qpa", password=PASSWORD, tags="monitoring")
        made.ask("PUT", "permissions/%2F/qpa", configure="^$", write="^$", read="^$")
        yield made
    finally:
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()
        names.kill()
        names.wait()


def _is_up(server: Server, node: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and node.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{server.management}/api/overview", auth=("guest", "guest")).is_success:
                return True
        time.sleep(0.2)
    return False
