"""One POST to a channel's server: never repeated, never redirected, bounded in time and size, and silent about its
address, which is a secret where it is a web hook's.

What may have arrived is told apart from what surely did not: once a request has left, an answer that fails to come says
nothing about it.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from qpanalytics.alerts.base import DeliveryError, Secrets
from qpanalytics.alerts.guard import Guard, PrivateAddress
from qpanalytics.errors import ConfigError
from qpanalytics.sources.http import FAILURES, wait_s
from qpanalytics.sources.transport import Transport, exchange
from qpanalytics.spell import duration, quoted

if TYPE_CHECKING:
    from qpanalytics.settings_channels import ChannelTable

#: To connect, and for the whole of request and answer, seconds.
CONNECT_S, ANSWER_S = 4.0, 10.0
#: An answer is a few words; of a longer one the beginning says enough.
MOST_BYTES = 65_536


@dataclass(frozen=True)
class Reply:
    """What the other side answered, as far as it was read."""

    status: int
    kind: str
    body: bytes
    retry_after_s: float | None

    @property
    def taken(self) -> bool:
        """Whether the status says so."""
        return 200 <= self.status < 300

    @property
    def is_page(self) -> bool:
        """Whether it is a web page: of a login, a proxy, a maintenance."""
        return self.kind in ("text/html", "application/xhtml+xml")

    def json(self) -> dict[str, Any]:
        """The JSON object that it holds; empty if it holds none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class Post:
    """Where one channel's messages are posted to.

    `url` is shown nowhere, nor are `secrets`. With `guarded` it may not lead into a private network. Time-outs are seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        channel: str,
        clock: Callable[[], datetime],
        guarded: bool,
        connect_s: float | None = None,
        answer_s: float | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._channel = quoted(channel)[1:-1]
        self._url = address(url, channel)
        # What a server says of a refusal is not shown if it repeats one of these.
        self._secrets = [part.lower() for part in (*secrets, *re.split("[/?&=]", self._url.raw_path.decode())) if len(part) > 5]
        self._clock = clock
        self._connect_s, self._answer_s = connect_s or CONNECT_S, answer_s or ANSWER_S
        self._guard = Guard(guarded=guarded)
        self._client = httpx.Client(
            transport=Transport(backend=self._guard, keep=False),
            headers={"User-Agent": "qpanalytics", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(self._answer_s, connect=self._connect_s),
            trust_env=False,
        )

    @classmethod
    def to(
        cls, url: str, table: ChannelTable, clock: Callable[[], datetime], *, guarded: bool = False, secrets: Sequence[str] = ()
    ) -> Post:
        """To an address of a channel's table, with its time-outs."""
        return cls(
            url, channel=table.name, clock=clock, guarded=guarded, connect_s=table.connect_timeout, answer_s=table.timeout,
            secrets=secrets,
        )  # fmt: skip

    @classmethod
    def to_hook(cls, table: ChannelTable, secrets: Secrets, clock: Callable[[], datetime]) -> Post:
        """To the web hook in `url`: not into a private network, unless the table allows that.

        With `api_url`, which is the operator's own word, to what the hook's address says at that server.
        """
        url = secrets.need("url")
        if table.api_url is None:
            return cls.to(url, table, clock, guarded=not table.allow_private)
        hook, server = address(url, table.name), address(table.api_url, table.name)
        return cls.to(str(server.copy_with(raw_path=server.raw_path.rstrip(b"/") + hook.raw_path)), table, clock)

    def __repr__(self) -> str:
        return f"Post({self._channel!r})"

    def close(self) -> None:
        """Breaks off what is under way."""
        self._guard.break_off()
        self._client.close()

    def json(self, values: Mapping[str, Any], path: str = "", headers: Mapping[str, str] | None = None) -> Reply:
        """Posts JSON; `path` is put behind the address. DeliveryError where there is no answer."""
        return self.content(encoded(values), path, headers)

    def content(self, body: bytes, path: str = "", headers: Mapping[str, str] | None = None) -> Reply:
        """Posts JSON that is encoded already."""
        return self._exchange("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def ask(self, path: str = "") -> None:
        """Whether the server answers, found out by a GET, which tells nobody anything. DeliveryError if it does not."""
        try:
            reply = self._exchange("GET", path, b"", {})
        except DeliveryError:
            answers = False
        else:
            answers = reply.status < 500 and reply.status != 429
        if not answers:
            raise DeliveryError(
                f"{self._channel}: it does not answer yet; the message, which may have arrived, is sent once more when it does."
            )

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        url = self._url if not path else self._url.copy_with(raw_path=self._url.raw_path.rstrip(b"/") + path.encode())
        with exchange(self._connect_s + self._answer_s, silent=True):
            try:
                return self._answer(self._client.build_request(method, url, content=body or None, headers=dict(headers)))
            except PrivateAddress:
                failure = self._private()
            except FAILURES as error:
                failure = self._failure(error)
            except RuntimeError:  # the client was closed meanwhile
                failure = DeliveryError(f"{self._channel}: sending was broken off.")
            finally:
                self._guard.forget()
        # Raised out here, so that no exception that knows the address hangs on to ours.
        raise failure

    def _answer(self, request: httpx.Request) -> Reply:
        response = self._client.send(request, stream=True)
        try:
            body = b""
            for part in response.iter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    break
        except FAILURES:
            if response.status_code < 300:  # it was taken, whatever else was to be said
                body = b""
            else:
                raise
        finally:
            response.close()
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        return Reply(response.status_code, kind, body[:MOST_BYTES], wait_s(response, self._clock()))

    # What went wrong --------------------------------------------------------------------------------------------------

    def refusal(
        self, reply: Reply, said: str = "", *, retry_after_s: float | None = None, permanent: bool = False
    ) -> DeliveryError:
        """A reply that is no yes. `said` is what the other side says of it, shown if it looks like words."""
        status = reply.status
        wait = reply.retry_after_s if retry_after_s is None else retry_after_s
        reason, unclear = f"{status}{self._reason(said)}", False
        if reply.taken:
            text = f"it answered with a web page ({reason}); a login or a proxy stands before it, or the address is wrong"
            text = text if reply.is_page else f"it answered with something that is no yes ({reason})"
            unclear = not reply.is_page and not said  # a yes that broke off
        elif 300 <= status < 400:
            text = f"it sends us on to another address ({reason}), where nothing is sent; set the address that it moved to"
            permanent = permanent or status in (301, 308)
        elif status in (401, 403):
            text = f"it refused the key or token ({reason}); set one that is valid there"
        elif status in (404, 410):
            text = f"there is nothing to take messages at its address ({reason}); make the hook or token anew and set it"
        elif status == 429:
            text = f"it wants fewer messages ({reason})"
        elif status >= 500:
            text = f"it failed ({reason})"
        else:
            text = f"it refused the message ({reason})"
        permanent = permanent or (400 <= status < 500 and status not in (408, 425, 429))
        later = f" It wants to be left alone for {duration(wait)}." if wait and not permanent else ""
        return DeliveryError(
            f"{self._channel}: {text}.{later}", permanent=permanent, retry_after_s=None if permanent else wait,
            http_status=status, unclear=unclear,
        )  # fmt: skip

    def _reason(self, said: str) -> str:
        """What the other side says of its refusal, as the end of a parenthesis; nothing that could be an address or a key."""
        words = " ".join(said.split())
        if not words or re.search(r"://|[A-Za-z0-9_/:.-]{33}", words) or any(one in words.lower() for one in self._secrets):
            return ""
        return f", {quoted(words, 120)}"

    def _private(self) -> DeliveryError:
        return DeliveryError(
            f"{self._channel}: its address leads into a private network, which is refused; "
            "allow_private = true in its table allows it.",
            permanent=True,
        )

    def _failure(self, error: BaseException) -> DeliveryError:
        """Nothing of the exception's own text is shown: it could hold an address."""
        cause = error.__cause__ or error.__context__ or error
        unclear = False
        if isinstance(cause, PrivateAddress):
            return self._private()
        if isinstance(error, httpcore.ConnectTimeout | httpx.ConnectTimeout):
            text = f"it could not be reached within {duration(self._connect_s)}"
        elif isinstance(cause, socket.gaierror | UnicodeError):
            text = "the name of its server is not known; check its address and the network"
        elif isinstance(cause, ssl.SSLCertVerificationError):
            text = "the certificate of its server is not accepted; renew it, or name your own authority in SSL_CERT_FILE"
        elif isinstance(cause, ssl.SSLError) and isinstance(error, httpcore.ConnectError):
            text = "no TLS connection to its server; check whether its address begins rightly with https"
        elif isinstance(cause, ConnectionRefusedError):
            text = "nothing listens at its address"
        elif isinstance(error, httpcore.ConnectError):
            text = f"it could not be reached ({quoted(getattr(cause, 'strerror', None) or 'no connection', 100)[1:-1]})"
        elif isinstance(error, httpcore.WriteError | httpcore.WriteTimeout):
            text = "the connection broke while the message was being sent"
        elif isinstance(error, httpcore.ReadTimeout | TimeoutError):
            text, unclear = f"it took the message and did not answer within {duration(self._answer_s)}; it may have arrived", True
        else:
            text, unclear = "it took the message and hung up without an answer; it may have arrived", True
        return DeliveryError(f"{self._channel}: {text}.", unclear=unclear)


def encoded(values: Mapping[str, Any]) -> bytes:
    """JSON as it is sent: lone halves of surrogate pairs, which no receiver reads, are question marks."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def address(url: str, channel: str) -> httpx.URL:
    """The address to post to. ConfigError if it is none, without showing it: it may be a secret."""
    try:
        found = httpx.URL(url.strip())
        fits = found.scheme in ("http", "https") and bool(found.host) and not found.userinfo and not found.fragment
    except (httpx.InvalidURL, UnicodeError):
        fits = False
    if not fits:
        raise ConfigError(
            f"channel {quoted(channel)}: its address is not one of the web without user name; it begins with https://"
        )
    return found
