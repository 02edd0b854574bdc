"""The one way to a Redis or Valkey server: a connection that only reads, in few round trips, under time-outs.

Replies come as the server sent them: bytes, in the shapes of RESP2 or RESP3; `pairs`, `scored`, `number` and `text` read both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

CONNECT_S = 5.0
ANSWER_S = 10.0
#: The most that one reply may hold is bounded by what is asked; this bounds how many commands go in one trip.
MOST_COMMANDS = 5_000
#: The most bytes that are listened to at one look.
MOST_HEARD = 4_000_000

Command = tuple[str | bytes | int | float, ...]


@dataclass(frozen=True)
class Refused:
    """The server's refusal of one command: its code (`NOPERM`, `WRONGTYPE`, ...) and words."""

    code: str
    words: str


@dataclass
class Heard:
    """What was published while somebody listened: messages with the second each came at, and how long it has been.

    `cut` says that there was more than is taken.
    """

    messages: list[tuple[float, bytes]] = field(default_factory=list)
    seconds: float = 0.0
    cut: bool = False


class Gate:
    """A connection to one server and database, opened by the first trip. `trips` and `commands` count what was asked."""

    def __init__(
        self,
        url: str,
        *,
        source: str,
        user: str | None = None,
        password: str = "",
        answer_s: float = ANSWER_S,
        protocol: int = 3,
        sentinels: Sequence[str] = (),
        master: str | None = None,
    ) -> None:
        self.source = source
        self.trips = self.commands = 0
        self._secret = password
        self._sentinels, self._master = sentinels, master
        parts = _parts(url, source)
        self.database: int = parts["db"]
        self.user: str | None = user or parts.get("username")
        parts.pop("username", None)
        self._where = parts.get("path") or f"{parts.get('host')}:{parts.get('port')}"
        self._options: dict[str, Any] = {
            **parts, "username": self.user or None, "password": password or None, "protocol": protocol,
            "socket_timeout": answer_s, "socket_connect_timeout": min(CONNECT_S, answer_s), "decode_responses": False,
        }  # fmt: skip
        self._connection: Any = None

    @property
    def where(self) -> str:
        """The server, without user and password, for people."""
        return quoted(self._where)[1:-1]

    def trip(self, commands: Sequence[Command], *, optional: Sequence[Command] = ()) -> list[Any]:
        """The replies to `commands` in one round trip. SourceError, also where one that is not `optional` is refused."""
        replies = self.attempt(commands)
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, Refused) and command not in optional:
                raise self._failure(self._refusal(command, reply), permanent=reply.code != "LOADING")
        return replies

    def attempt(self, commands: Sequence[Command]) -> list[Any]:
        """As `trip`, with a `Refused` in the place of a refused command's reply."""
        from redis.exceptions import RedisError, ResponseError

        if not commands:
            return []
        if len(commands) > MOST_COMMANDS:
            raise self._failure(f"{len(commands):,} commands at a time are too many; name fewer queues", permanent=True)
        try:
            connection = self._open()
            self.trips += 1
            self.commands += len(commands)
            connection.send_packed_command(connection.pack_commands(commands))
            replies: list[Any] = []
            for _ in commands:
                try:
                    replies.append(connection.read_response(disable_decoding=True))
                except ResponseError as error:
                    replies.append(_refused(error))
            return replies
        except (RedisError, OSError) as error:
            said, permanent = self._told(error)
        self.close()
        raise self._failure(said, permanent=permanent)

    def listen(self, pattern: str | bytes, seconds: float, enough: Callable[[Heard], bool]) -> Heard | Refused:
        """What is published to channels like `pattern` within `seconds`, or until `enough` of it was heard.

        It goes over a connection of its own, which is closed again; at most `MOST_HEARD` bytes are taken. `enough` is
        asked after each reading and about twice a second.
        """
        from redis.exceptions import RedisError

        connection = None
        try:
            connection = self._new(protocol=2, db=0)  # channels belong to no database
            connection.send_command("PSUBSCRIBE", pattern)
            # The bytes are read here: the library would take a message of any size.
            return _heard(connection._sock, seconds, enough)
        except (RedisError, OSError) as error:
            said, permanent = self._told(error)
        finally:
            if connection is not None:
                connection.disconnect()
        raise self._failure(said, permanent=permanent)

    def only_lacks_permission(self, command: Command, reply: Refused) -> None:
        """SourceError for a refusal of anything but permission."""
        if reply.code != "NOPERM":
            raise self._failure(self._refusal(command, reply), permanent=reply.code != "LOADING")

    def clock(self, reply: Any) -> datetime:
        """The server's clock, from the reply to `("TIME",)`."""
        seconds, micros = (int(part) for part in reply)
        return datetime.fromtimestamp(seconds + micros / 1e6, UTC)

    def close(self) -> None:
        """Gives the connection back."""
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None

    def _open(self) -> Any:
        """A connection that says nothing of itself: a user that may only read is not allowed to."""
        if self._connection is None:
            self._connection = self._new()
        return self._connection

    def _new(self, **other: Any) -> Any:
        from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
        from redis.maint_notifications import MaintNotificationsConfig

        options = {**self._options, **other}
        kind: Any = SSLConnection if options.pop("ssl", False) else Connection
        if "path" in options:
            kind = UnixDomainSocketConnection
        elif self._master:
            options["host"], options["port"] = self._primary()
        connection = kind(
            **options, driver_info=None,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )  # fmt: skip
        connection.connect()
        return connection

    def _primary(self) -> tuple[str, int]:
        """Where the sentinels say that the primary is."""
        from redis import sentinel

        hosts = [(host or "127.0.0.1", int(port or 26379)) for host, _, port in (s.rpartition(":") for s in self._sentinels)]
        make: Any = sentinel.Sentinel  # its types are not declared
        asked = make(hosts, socket_timeout=self._options["socket_connect_timeout"])
        try:
            host, port = asked.discover_master(self._master)
            return str(host), int(port)
        except sentinel.MasterNotFoundError:
            raise self._failure(f"no sentinel knows a primary called {quoted(str(self._master))}", permanent=False) from None
        finally:
            for one in asked.sentinels:
                one.close()

    def _told(self, error: Exception) -> tuple[str, bool]:
        """What went wrong with the connection, and whether it is for good."""
        from redis.exceptions import AuthenticationError, ConnectionError, TimeoutError

        if isinstance(error, AuthenticationError):
            return f"{self.where} refused the user or its password. Set user and password of this source", True
        if isinstance(error, TimeoutError):
            return f"{self.where} did not answer in {self._options['socket_timeout']:g} s", False
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return f"{self.where} has a certificate that nobody here trusts. Add ?ca=FILE with its authority to url", True
        if isinstance(error, ConnectionError | OSError):
            return f"{self.where} cannot be reached ({self._plain(error)}). Is the server up, and url right?", False
        return f"{self.where} answered {self._plain(error)}", False

    def _refusal(self, command: Command, reply: Refused) -> str:
        name = str(command[0]).lower()
        if reply.code == "NOPERM":
            return f"{self.where} does not let this user run {name}. Grant it as in the README (ACL SETUSER ... +{name})"
        if reply.code == "WRONGTYPE":
            return f"{self.where}: {quoted(_shown(command[1]))} holds another type than this system keeps there. Is kind right?"
        if reply.code in ("NOAUTH", "WRONGPASS"):
            return f"{self.where} wants a user and a password. Set user and password of this source"
        return f"{self.where} refused {name} ({quoted(self._hidden(reply.words))[1:-1]})"

    def _plain(self, error: BaseException) -> str:
        """The innermost reason, without what it was told."""
        while error.__cause__ is not None:
            error = error.__cause__
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return quoted(self._hidden(words).rstrip("."))[1:-1]

    def _hidden(self, words: str) -> str:
        return words.replace(self._secret, "***") if self._secret else words

    def _failure(self, text: str, *, permanent: bool) -> SourceError:
        return SourceError(f"{quoted(self.source)[1:-1]}: {text}" + ("" if text.endswith("?") else "."), permanent=permanent)


def from_table(table: SourceTable, password: str) -> Gate:
    """The gate that a `[[source]]` describes. ConfigError for an address that is none."""
    if table.master and not table.sentinels:
        raise ConfigError(f"source {quoted(table.name)}: it has a master but no sentinels; add sentinels = [\"10.0.0.5:26379\"]")
    return Gate(
        table.url or "redis://127.0.0.1:6379/0", source=table.name, user=table.user, password=password,
        answer_s=table.timeout or ANSWER_S, protocol=table.protocol or 3, sentinels=table.sentinels, master=table.master,
    )  # fmt: skip


def text(value: bytes | str | None) -> str:
    """A name or text as the server holds it; what is no UTF-8 is shown, not lost."""
    return value if isinstance(value, str) else (value or b"").decode("utf-8", "backslashreplace")


def number(value: Any) -> int | None:
    """A whole number from a reply or a stored text; None for anything else."""
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def pairs(reply: Any) -> dict[bytes, Any]:
    """HGETALL's reply: flat in RESP2, a map in RESP3."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def scored(reply: Any) -> list[tuple[bytes, float]]:
    """The reply to ZRANGE ... WITHSCORES: flat in RESP2, pairs in RESP3."""
    if reply and isinstance(reply[0], list | tuple):
        return [(member, float(score)) for member, score in reply]
    return [(member, float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)]


def stamp(value: Any) -> datetime | None:
    """An instant in any of the forms that systems write: seconds, milliseconds (told by magnitude), ISO 8601; else None."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    try:
        if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d*)?([eE][+-]?\d+)?", value.strip()):
            found = datetime.fromisoformat(value.strip())
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if isinstance(value, bool) or value is None:
            return None
        seconds = float(value)
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC) if seconds > 0 else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def age(then: datetime | None, clock: datetime) -> tuple[float | None, str]:
    """Seconds since an instant by the server's clock, never negative, and what is to be said of it."""
    if then is None:
        return None, ""
    seconds = (clock - then).total_seconds()
    if seconds < -1.0:
        return 0.0, f"its time stamp lies {-seconds:.0f} s in the future: clocks differ"
    return max(seconds, 0.0), ""


def _parts(url: str, source: str) -> dict[str, Any]:
    """Host, port or path, and database of a redis://, rediss:// or unix:// address; `?ca=FILE` is whom TLS trusts."""
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        found, port = urlsplit(""), None
    query = dict(part.partition("=")[::2] for part in found.query.split("&") if part)
    db = query.get("db", "") or (found.path.strip("/") if found.scheme != "unix" else "")
    if found.scheme not in ("redis", "rediss", "unix") or not re.fullmatch(r"\d{0,6}", db):
        raise ConfigError(
            f'source {quoted(source)}: url {quoted(url)} is no address of a Redis server; try "redis://10.0.0.5:6379/0", '
            '"rediss://..." or "unix:///run/redis/redis.sock?db=0"'
        )
    parts: dict[str, Any] = {"db": int(db or 0)}
    if found.username:
        parts["username"] = unquote(found.username)
    if found.scheme == "unix":
        return {**parts, "path": unquote(found.path)}
    parts |= {"host": found.hostname or "127.0.0.1", "port": port or 6379}
    if found.scheme == "redis":
        return parts
    authority = unquote(query.get("ca", ""))
    return {**parts, "ssl": True, **({"ssl_ca_certs": authority} if authority else {})}


def _heard(wire: Any, seconds: float, enough: Callable[[Heard], bool]) -> Heard | Refused:
    """Reads the answers to one PSUBSCRIBE in RESP2: its confirmation or refusal, then the messages."""
    heard, unread, taken, start = Heard(), bytearray(), 0, monotonic()
    while heard.seconds < seconds and not heard.cut and not enough(heard):
        wire.settimeout(max(min(seconds - heard.seconds, 0.5), 0.01))
        try:
            part = wire.recv(65_536)
        except TimeoutError:
            part = None
        heard.seconds = monotonic() - start
        if part == b"":
            raise ConnectionResetError("it closed the connection")
        if not part:
            continue
        taken += len(part)
        heard.cut = taken > MOST_HEARD
        unread += part
        if unread.startswith(b"-"):
            return _refused(Exception(text(bytes(unread[1:]).split(b"\r\n", 1)[0])))
        heard.messages += [(heard.seconds, message[3]) for message in _arrays(unread) if len(message) == 4]
    return heard


def _arrays(unread: bytearray) -> Iterator[list[bytes]]:
    """Takes the whole arrays out of what was read, in RESP2: texts and numbers, nothing nested."""
    while unread.startswith(b"*"):
        members: list[bytes] = []
        line, _, _ = unread.partition(b"\r\n")
        at = len(line) + 2
        for _ in range(int(line[1:])):
            end = unread.find(b"\r\n", at)
            if end < 0:
                return
            if unread[at : at + 1] == b"$":
                start, size = end + 2, int(unread[at + 1 : end])
                if len(unread) < start + size + 2:
                    return
                members.append(bytes(unread[start : start + size]))
                at = start + size + 2
            else:
                members.append(bytes(unread[at + 1 : end]))
                at = end + 2
        del unread[:at]
        yield members


def _refused(error: Exception) -> Refused:
    """A refusal; redis-py turns some codes into types of their own and cuts the code off."""
    from redis.exceptions import NoPermissionError

    words = str(error)
    first = words.split(" ", 1)[0]
    code = "NOPERM" if isinstance(error, NoPermissionError) else first if first.isupper() else "ERR"
    return Refused(code, words)


def _shown(value: Any) -> str:
    return text(value) if isinstance(value, bytes | str) else str(value)
