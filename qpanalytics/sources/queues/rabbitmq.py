"""Celery's queues on RabbitMQ: asked for over AMQP without being made, and with `management` over its HTTP API as well.

A passive declaration needs no permission but to enter the virtual host, and tells what is ready now, not what workers hold.
The management API (a user with the tag `monitoring`) tells that and totals too, from statistics that are up to 5 s old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook, reasons
from qpanalytics.sources.http import Http, HttpError
from qpanalytics.sources.queues import celery_workers
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

DEFAULT_QUEUE = "celery"
CONNECT_S, ANSWER_S = 5.0, 10.0
MOST_QUEUES = 1_000
COLUMNS = "name,messages_ready,messages_unacknowledged,consumers,message_stats.ack,message_stats.publish,message_stats.redeliver"

_ALWAYS = {
    "oldest_at, oldest_age_s, oldest_is": "Celery's messages carry no time stamp",
    "orphaned": "the broker takes back what a lost worker held",
    "delayed": "a task with an ETA is held by a worker; not told apart",
    "overdue": "due times are inside the messages",
    "retrying": "a retry is a new message with an ETA; not told apart",
    "dead": "Celery keeps no dead tasks",
    "failed": "Celery keeps no failed tasks",
    "failed_total": "the broker does not know which tasks failed",
    "paused": "a cancelled consumer leaves no trace in the broker",
}
_EMPTY = {**_ALWAYS, "oldest_at, oldest_age_s, oldest_is": "the queue is empty"}


@dataclass(frozen=True)
class Declared:
    """The answer to a passive declaration; `refused` says why there is none."""

    ready: int | None = None
    consumers: int | None = None
    refused: str = ""


class RabbitMQ:
    """A Celery app's queues in one virtual host of a RabbitMQ server."""

    system = "celery"

    def __init__(
        self, table: SourceTable, password: str, clock: Callable[[], datetime], inspect: Callable[[], Any] | None
    ) -> None:
        self.name = table.name
        self._clock, self._inspect, self._secret = clock, inspect, password
        self._queues = tuple(dict.fromkeys(table.queues))
        parts = urlsplit(table.url or "")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if port == -1:
            raise ConfigError(f'source {quoted(table.name)}: url {quoted(table.url or "")} has no port that can be; try '
                              '"amqp://10.0.0.5:5672/"')  # fmt: skip
        secure = parts.scheme == "amqps"
        host = parts.hostname or "127.0.0.1"
        shown = f"[{host}]" if ":" in host else host
        self._where = f"{shown}:{port or (5671 if secure else 5672)}"
        self._vhost = unquote(parts.path[1:]) or "/"
        user = table.user or unquote(parts.username or "") or "guest"
        self._options: dict[str, Any] = {
            "host": self._where, "userid": user, "password": password or ("guest" if user == "guest" else ""),
            "virtual_host": self._vhost, "login_method": "PLAIN", "connect_timeout": min(CONNECT_S, table.timeout or ANSWER_S),
            "read_timeout": table.timeout or ANSWER_S, "write_timeout": table.timeout or ANSWER_S,
            "ssl": {"context": {"check_hostname": True}, "server_hostname": host} if secure else False,
        }  # fmt: skip
        self._http: Http | None = None
        if table.management:
            self._http = Http(
                table.management, source=table.name, clock=clock, login=(user, str(self._options["password"])),
                connect_s=CONNECT_S, read_s=table.timeout or ANSWER_S, total_s=4 * (table.timeout or ANSWER_S),
            )  # fmt: skip

    def __repr__(self) -> str:
        return f"RabbitMQ({quoted(self._where)[1:-1]!r})"

    def snapshot(self, cursor: Mapping[str, Any]) -> Snapshot:
        """How the queues look now. SourceError."""
        taken_at = self._clock()
        statistics, offset_s = (None, None) if self._http is None else self._statistics(self._http)
        names = self._queues or (queue_names(statistics) if statistics else ()) or (DEFAULT_QUEUE,)
        declared = self._declared(names)
        looks, notes = queue_looks(declared, statistics)
        workers: Sequence[WorkerLook] = ()
        kept: dict[str, Any] = {}
        if self._inspect is not None:
            roll = celery_workers.Roll(cursor, taken_at.astimezone(UTC))
            roll.answered(self._inspect())
            workers, kept, more = roll.looks(listening=False)
            notes += more
        return Snapshot(
            taken_at=taken_at, queues=looks, workers=workers, next_cursor=kept, offset_s=offset_s, notes=tuple(notes)
        )

    def close(self) -> None:
        if self._http is not None:
            self._http.close()

    # Asking -----------------------------------------------------------------------------------------------------------

    def _declared(self, names: Sequence[str]) -> dict[str, Declared]:
        import amqp

        connection = amqp.Connection(**self._options)
        try:
            connection.connect()
            return declarations(connection, names)
        except amqp.exceptions.AccessRefused:
            said, permanent = f"{self._where} refused the user or its password. Set user and password of this source", True
        except amqp.exceptions.NotAllowed:
            said = f"{self._where} does not let this user into virtual host {quoted(self._vhost)}. Is it right, and granted?"
            permanent = True
        except (amqp.exceptions.AMQPError, OSError) as error:
            words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            said = f"{self._where} cannot be reached ({quoted(words)[1:-1]}). Is the server up, and url right?"
            permanent = False
        finally:
            _leave(connection)
        raise self._failure(said, permanent=permanent)

    def _statistics(self, http: Http) -> tuple[dict[str, Mapping[str, Any]], float | None]:
        """Rows of the management API by queue, and the server's clock minus ours."""
        path = f"api/queues/{quote(self._vhost, safe='')}"
        try:
            answer = http.json(path, what="its queues", params={"columns": COLUMNS})
        except HttpError as error:
            if error.status not in (401, 403, 404):
                raise
            status = error.status
        else:
            if isinstance(answer.data, list):
                rows: dict[str, Mapping[str, Any]] = {
                    row["name"]: row for row in answer.data if isinstance(row, dict) and isinstance(row.get("name"), str)
                }
                return rows, answer.offset_s
            status = 200
        said = {
            401: "refused the user or its password, or it lacks the tag monitoring",
            403: "does not let this user see the queues; give it the tag monitoring",
            404: f"knows no virtual host {quoted(self._vhost)} that this user may see",
        }.get(status, "did not answer with a list of queues. Is management the address of RabbitMQ's own pages?")
        raise self._failure(f"the management API at {http.where} {said}", permanent=True)

    def _failure(self, said: str, *, permanent: bool) -> SourceError:
        shown = said.replace(self._secret, "***") if self._secret else said
        text = f"{quoted(self.name)[1:-1]}: {shown}"
        return SourceError(text + ("" if text.endswith("?") else "."), permanent=permanent)


def from_settings(table: SourceTable, password: str, clock: Callable[[], datetime]) -> RabbitMQ:
    """The source that a `[[source]]` with an amqp:// address describes. ConfigError."""
    try:
        import amqp  # noqa: F401
    except ImportError:
        raise ConfigError(
            f"source {quoted(table.name)}: RabbitMQ is read with py-amqp; pip install amqp"
        ) from None
    inspect = None
    if table.inspect:
        from qpanalytics.sources.queues import celery_inspect

        inspect = celery_inspect.from_table(table, password)
    return RabbitMQ(table, password, clock, inspect)


def declarations(connection: Any, names: Iterable[str]) -> dict[str, Declared]:
    """What passive declarations answer, a round trip a queue; each refusal closes the channel, so another is opened."""
    from amqp.exceptions import ChannelError, NotFound

    found, channel = {}, connection.channel()
    for name in names:
        try:
            answer = channel.queue_declare(queue=name, passive=True)
        except NotFound:
            found[name], channel = Declared(refused="there is no such queue"), connection.channel()
        except ChannelError as error:
            reason = "it belongs to another connection alone" if error.code == 405 else f"the broker refused ({error.code})"
            found[name], channel = Declared(refused=reason), connection.channel()
        else:
            found[name] = Declared(answer.message_count, answer.consumer_count)
    return found


def queue_names(names: Iterable[str]) -> tuple[str, ...]:
    """The queues with tasks: without those that workers keep for events and remote control."""
    return tuple(sorted(n for n in names if not (n.startswith("celeryev.") or n.endswith(".pidbox"))))[:MOST_QUEUES]


def queue_looks(
    declared: Mapping[str, Declared], statistics: Mapping[str, Mapping[str, Any]] | None
) -> tuple[list[QueueLook], list[str]]:
    """A row a queue, and notes on who takes from them."""
    looks = []
    for name, answer in declared.items():
        if answer.refused:
            figures = ("depth", "active", "processed_total")
            looks.append(QueueLook(name, why=reasons(dict.fromkeys(figures, answer.refused) | _ALWAYS)))
            continue
        row = (statistics or {}).get(name)
        held, done = (None, None) if row is None else (_count(row.get("messages_unacknowledged")), _acknowledged(row))
        why: dict[str, str] = {}
        if statistics is None:
            why |= dict.fromkeys(("active", "processed_total"), "only the management API tells; set management")
        elif row is None:
            why |= dict.fromkeys(("active", "processed_total"), "the management API does not show this queue yet")
        else:
            said = "what workers hold: running with late acknowledgement, fetched ahead or held for its ETA, up to 5 s ago"
            why["active counts" if held is not None else "active"] = said if held is not None else "the management API is silent"
            why["processed_total" if done is None else "processed_total counts"] = (
                "the broker counted no message since it started" if done is None
                else "acknowledgements since the broker started; by default a task is acknowledged when it starts"
            )  # fmt: skip
        looks.append(QueueLook(
            name, depth=answer.ready, active=held, processed_total=done,
            why=reasons(why | (_ALWAYS if answer.ready else _EMPTY)),
        ))  # fmt: skip
    consumers = [f"{quoted(n)} {a.consumers}" for n, a in declared.items() if a.consumers is not None]
    return looks, [f"consumers: {', '.join(consumers[:20])}"] if consumers else []


def _acknowledged(row: Mapping[str, Any]) -> int | None:
    stats = row.get("message_stats")
    return _count(stats.get("ack")) if isinstance(stats, dict) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _leave(connection: Any) -> None:
    """Closes a connection that may be broken; nothing is waited for that does not answer."""
    try:
        connection.close()
    except Exception:  # whatever it says now, the answer is known
        connection.collect()
