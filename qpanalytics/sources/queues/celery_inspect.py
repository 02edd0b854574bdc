"""Asks Celery's workers what they run, as `celery inspect` does: sent to each of them, and answered within a second.

It is the only reader that sends anything, so it is off unless `inspect = true`. It needs a user who may do what a producer
of this app may, and Celery itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.settings import SourceTable

ANSWER_S, CONNECT_S = 1.0, 5.0
#: kombu gives back what was taken longer ago than this whenever it reads; ours must never do so.
NEVER_S = 10 * 365 * 86_400

Answers = dict[str, dict[str, Any]]


def from_table(table: SourceTable, password: str) -> Callable[[], Answers]:
    """What asks the workers of the app that a `[[source]]` describes. ConfigError without Celery."""
    try:
        import celery
    except ImportError:
        raise ConfigError(
            f"source {quoted(table.name)}: inspect = true needs Celery; pip install 'qpanalytics[celery]', or take it out"
        ) from None
    if table.sentinels:
        raise ConfigError(f"source {quoted(table.name)}: inspect = true does not go through sentinels; take it out")
    url = broker(table.url or "redis://127.0.0.1:6379/0", table.user, password)
    options: dict[str, Any] = {}
    if not url.startswith("amqp"):
        options = {"visibility_timeout": NEVER_S, "socket_timeout": 10.0, "socket_connect_timeout": CONNECT_S}
        options |= {"global_keyprefix": table.prefix} if table.prefix else {}
        options |= {"sep": table.separator} if table.separator else {}

    def ask() -> Answers:
        app = celery.Celery("qpanalytics", set_as_current=False, fixups=[])
        # The one for writing comes before what CELERY_BROKER_URL says.
        app.conf.update(
            broker_url=url, broker_write_url=url, broker_transport_options=options, broker_connection_timeout=CONNECT_S
        )
        app.control.mailbox.producer_pool = None  # kombu would keep a connection of its own, by address
        try:
            with app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_S)
                return _asked(app, connection)
        except Exception as error:  # kombu passes on what each transport raises
            # Never its words: they may hold the address with the password.
            said = f"{quoted(table.name)[1:-1]}: the workers cannot be asked ({type(error).__name__}). "
        finally:
            app.close()
        raise SourceError(said + "Give this source a user who may do what the app's own may, or set inspect = false.")

    return ask


def answers(active: Any, stats: Any, queues: Any) -> Answers:
    """What the three replies say of each worker: its jobs, queues, and whether its pool is solo."""
    found: Answers = {}
    for worker, jobs in _by_worker(active).items():
        rows = [job for job in jobs if isinstance(job, dict)] if isinstance(jobs, list) else []
        said: dict[str, Any] = {"active": [{"time_start": _seconds(job.get("time_start"))} for job in rows]}
        pool = _by_worker(stats).get(worker)
        pool = pool.get("pool") if isinstance(pool, dict) else None
        if isinstance(pool, dict) and isinstance(pool.get("implementation"), str):
            said["solo"] = "solo" in pool["implementation"]
        served = _by_worker(queues).get(worker)
        if isinstance(served, list):
            said["queues"] = tuple(str(one["name"]) for one in served if isinstance(one, dict) and one.get("name"))
        found[worker] = said
    return found


def broker(url: str, user: str | None, password: str) -> str:
    """The address as kombu wants it, with user and password."""
    parts = urlsplit(url)
    name = quote(user, safe="") if user else parts.username or ""
    signed = f"{name}:{quote(password, safe='')}@" if password else f"{name}@" if name else ""
    if parts.scheme == "unix":
        database = dict(part.partition("=")[::2] for part in parts.query.split("&") if part).get("db", "0")
        return f"redis+socket://{signed}{parts.path}?virtual_host={database}"
    return parts._replace(netloc=signed + parts.netloc.rpartition("@")[2]).geturl()


def _asked(app: Any, connection: Any) -> Answers:
    def inspector(most: int | None) -> Any:
        return app.control.inspect(timeout=ANSWER_S, connection=connection, limit=most)

    active = inspector(None).active() or {}
    if not active:
        return {}
    # Those who answered answer again, and then nobody is waited for.
    return answers(active, inspector(len(active)).stats(), inspector(len(active)).active_queues())


def _by_worker(reply: Any) -> Mapping[str, Any]:
    return reply if isinstance(reply, dict) else {}


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None
