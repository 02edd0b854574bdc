"""Reading a web API, mostly JSON, by TCP or a Unix socket: bounded in time and size, faithful to one server, and silent
about keys and addresses.

Every failure is a SourceError of one line: who, what, where, and what to do. A uuid of a check lets anybody ping it, so
no message, log line or traceback holds one, nor the key.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import zlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import unquote

import httpcore
import httpx
import orjson

from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.sources.transport import Transport, exchange, masked, too_late
from qpanalytics.spell import duration, number, quoted

CONNECT_S, READ_S, TOTAL_S = 10.0, 30.0, 120.0
MOST_BYTES = 64_000_000
MOST_REDIRECTS = 5
LONGEST_WAIT_S = 3_600.0
#: A server's clock is believed up to so far ahead of ours; what is beyond is a broken header, not a clock.
FURTHEST_AHEAD = timedelta(days=1)

#: What httpx, httpcore and the system raise when an exchange fails.
FAILURES = (
    httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpcore.TimeoutException, httpcore.NetworkError,
    httpcore.ProtocolError, httpcore.UnsupportedProtocol, httpcore.ProxyError, zlib.error, OSError, UnicodeError,
)  # fmt: skip
_PORTS = {"http": 80, "https": 443}
_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)
_NO_TEXT = re.compile(rb"\\u(?:d[89a-f]|0000)", re.IGNORECASE)


class HttpError(SourceError):
    """A reply that is no answer; `status` is its HTTP status."""

    def __init__(self, message: str, *, status: int, permanent: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message, permanent=permanent, retry_after_s=retry_after_s)
        self.status = status


class Answer(NamedTuple):
    """What one request brought. Times are UTC, by our clock unless said otherwise.

    `offset_s` is the server's clock minus ours in seconds, to about half a second, None without a `Date`. `until` is
    the instant up to which events dated by the server were there to be told: by its own clock where it has a `Date`
    (then the earliest time at which the request can have reached it), else when we asked.
    """

    data: Any
    asked_at: datetime
    offset_s: float | None
    until: datetime


class _Reply(NamedTuple):
    response: httpx.Response
    content: bytes
    asked_at: datetime
    took_s: float


class _Unusable(Exception):
    """A reply that was received and cannot be used; the text ends the sentence that begins with its address."""


class Http:
    """Requests that only read from one server, for several threads at once.

    `headers` go with each request and hold the key, so their values are never shown; nor is the password of `login`,
    which is a user and a password. `url` may be `unix:///path` of a socket. Time-outs are seconds: to
    connect, to wait for more bytes, and for the whole exchange. ConfigError for an address or a key that cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        source: str,
        clock: Callable[[], datetime],
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        connect_s: float = CONNECT_S,
        read_s: float = READ_S,
        total_s: float = TOTAL_S,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        headers = dict(headers or {})
        self._source = quoted(source)[1:-1]
        socket_path = unquote(url.strip().removeprefix("unix://")) if url.strip().startswith("unix:///") else None
        self._base = _base("http://localhost" if socket_path else url, self._source)
        self._socket = f"unix://{quoted(socket_path, 200)[1:-1]}" if socket_path else ""
        self._keyed, self._login = bool(headers), login is not None
        if not all(re.fullmatch(r"[!-~]+", value) for value in headers.values()):
            raise ConfigError(f"{self._source}: the API key is empty or holds characters that no key has; set it again.")
        self._clock = clock
        self._secrets = (*headers.values(), *_shown_as(login))
        self._connect_s, self._read_s, self._total_s, self._most_bytes = connect_s, read_s, total_s, most_bytes
        self._client = httpx.Client(
            transport=Transport(socket_path),
            auth=login,
            headers={"User-Agent": "qpanalytics", "Accept-Encoding": "gzip", **headers},
            timeout=httpx.Timeout(read_s, connect=connect_s),
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"Http({self.where!r})"

    @property
    def where(self) -> str:
        """The server's address, for people."""
        return masked(self._socket or str(self._base), self._secrets)

    def close(self) -> None:
        self._client.close()

    def json(self, path: str, *, what: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """The JSON under `path` (relative to the base); `what` names it in messages. SourceError, HttpError."""
        reply = self._get(path, what, params, most=self._most_bytes)
        kind = reply.response.headers.get("content-type", "").split(";")[0].strip()
        if not _JSON.fullmatch(kind):
            if kind.lower() in ("text/html", "application/xhtml+xml"):
                raise self._failure(
                    f"{self.where} answered with a web page instead of {what}; url points beside the API, "
                    "a login page stands before it, or it is under maintenance.",
                )
            shown = quoted(masked(kind, self._secrets)) if kind else "no type"
            raise self._failure(f"{self.where} answered with {shown} instead of JSON for {what}; check url.")
        data = self._parsed(reply.content, what)
        offset_s, until = _clocks(reply)
        return Answer(data, reply.asked_at, offset_s, until)

    def raw(self, path: str, *, what: str, most: int) -> tuple[bytes, str]:
        """The first `most` bytes under `path`, and their media type. SourceError, HttpError."""
        reply = self._get(path, what, None, most=most, cut=True)
        return reply.content, reply.response.headers.get("content-type", "").split(";")[0].strip().lower()

    def post(self, path: str, content: bytes, kind: str, *, what: str) -> tuple[bytes, str]:
        """The whole reply to `content`, a question that changes nothing, and its media type. SourceError, HttpError."""
        reply = self._get(path, what, None, most=self._most_bytes, question=(content, kind))
        return reply.content, reply.response.headers.get("content-type", "").split(";")[0].strip().lower()

    # Asking -----------------------------------------------------------------------------------------------------------

    def _get(
        self,
        path: str,
        what: str,
        params: Mapping[str, str | int] | None,
        *,
        most: int,
        cut: bool = False,
        question: tuple[bytes, str] | None = None,
    ) -> _Reply:
        base = self._base
        url = base.copy_with(raw_path=base.raw_path + path.encode())
        if params:
            url = url.copy_merge_params(params)
        with exchange(self._total_s, self._secrets):
            try:
                return self._followed(url, path, what, most, cut, question)
            except FAILURES as error:
                said = self._reason(error, what)
                permanent = _is_certificate(error)
            except _Unusable as error:
                said, permanent = f"{self.where} {error}", False
        # Raised out here, so that no exception that knows the address hangs on to ours.
        raise self._failure(said, permanent=permanent)

    def _followed(
        self, url: httpx.URL, path: str, what: str, most: int, cut: bool, question: tuple[bytes, str] | None
    ) -> _Reply:
        asked_at, started = self._clock(), monotonic()
        method, content, headers = ("POST", question[0], {"Content-Type": question[1]}) if question else ("GET", None, None)
        for _ in range(MOST_REDIRECTS + 1):
            response = self._client.send(self._client.build_request(method, url, content=content, headers=headers), stream=True)
            try:
                if response.has_redirect_location:
                    url = self._redirected(response, url, path, what)
                    continue
                if response.status_code != 200:
                    raise self._refusal(response, what)
                content = _content(response, most, cut, what)
                return _Reply(response, content, asked_at, monotonic() - started)
            finally:
                response.close()
        raise _Unusable(f"sends {what} from one address to the next without end; check url.")

    def _redirected(self, response: httpx.Response, url: httpx.URL, path: str, what: str) -> httpx.URL:
        """Where to ask instead: the same server, or the same host by https; the key goes nowhere else."""
        target = url.join(response.headers["location"])
        upgraded = url.scheme == "http" and target.scheme == "https" and url.host == target.host
        if not upgraded and _origin(target) != _origin(url):
            plain_path = target.path.removesuffix("/" + path) if target.path.endswith("/" + path) else ""
            port = "" if target.port is None else f":{target.port}"
            address = quoted(masked(f"{target.scheme}://{target.host}{port}{plain_path}/", self._secrets), 120)[1:-1]
            raise self._failure(
                f"{self.where} sends {what} on to {address} ({response.status_code}), and the key goes to no other server. "
                "Set url to that address if the server has moved; else let its API through without a login.",
                permanent=response.status_code in (301, 308),
            )
        if upgraded and target.path == url.path:  # from now on at once, so that the key stays off the open wire
            self._base = self._base.copy_with(scheme="https", port=target.port)
        return target.copy_with(username=None, password=None, fragment=None)

    def _refusal(self, response: httpx.Response, what: str) -> HttpError:
        status = response.status_code
        reason = self._said(response)
        retry_after_s = wait_s(response, self._clock()) if status in (429, 503) else None
        later = "" if retry_after_s is None else f" It wants to be left alone for {duration(retry_after_s)}."
        if status in (401, 403) and self._login:
            text = f"{self.where} refused the user or its password ({status}{reason}). Set user and password of this source."
        elif status in (401, 403) and not self._keyed:
            text = f"{self.where} does not let us see {what} ({status}{reason}). Allow it there, or set user and password."
        elif status == 401:
            text = f"the API key was refused ({status}{reason}) by {self.where}. Set an api_key that is valid there."
        elif status == 403:
            text = f"{self.where} does not let this key see {what} ({status}{reason}). Use a key of the right project."
        elif status in (404, 410):
            text = f"{self.where} does not have {what} ({status}{reason}). Check that url is the server's address."
        elif status == 429:
            text = f"{self.where} wants fewer requests ({status}{reason}).{later or ' Look less often.'}"
        elif status >= 500:
            text = f"{self.where} failed over {what} ({status}{reason}); try again later.{later}"
        else:
            text = f"{self.where} refused {what} ({status}{reason}). Check url and the server's version."
        permanent = 400 <= status < 500 and status not in (408, 425, 429)
        return HttpError(f"{self._source}: {text}", status=status, permanent=permanent, retry_after_s=retry_after_s)

    def _said(self, response: httpx.Response) -> str:
        """What the server says of its refusal, as the end of a parenthesis."""
        if not _JSON.fullmatch(response.headers.get("content-type", "").split(";")[0].strip()):
            return ""
        try:
            body = json.loads(_content(response, 4_000, True, "").decode("utf-8"))
            error = body.get("error") or body.get("message") if isinstance(body, dict) else None
        except (*FAILURES, _Unusable, ValueError, RecursionError):
            return ""
        return f", {quoted(masked(error, self._secrets), 80)}" if isinstance(error, str) and error else ""

    def _parsed(self, content: bytes, what: str) -> Any:
        try:
            text = content.decode("utf-8-sig")
            try:
                data = orjson.loads(text)
            except ValueError:  # it is three times as fast, and stricter: half a surrogate pair is no JSON to it
                data = json.loads(text)
        except UnicodeDecodeError:
            wrong = "is not UTF-8"
        except (ValueError, RecursionError):
            wrong = "is not valid JSON"
        else:
            # No database takes half a surrogate pair, and few take NUL; both can be written in JSON.
            return _text_only(data) if _NO_TEXT.search(content) else data
        raise self._failure(f"what {self.where} sent for {what} {wrong}; try again, and look at what stands before the server.")

    # Saying what went wrong -------------------------------------------------------------------------------------------

    def _failure(self, text: str, *, permanent: bool = False) -> SourceError:
        return SourceError(f"{self._source}: {text}", permanent=permanent)

    def _reason(self, error: BaseException, what: str) -> str:
        """A failure of the network in a sentence; nothing of the exception's own text that could hold an address."""
        where, host = self.where, quoted(self._base.host)[1:-1]
        if isinstance(error, httpcore.TimeoutException | TimeoutError):
            if too_late():
                return f"{where} took longer than {duration(self._total_s)} over {what}; try again later."
            if isinstance(error, httpcore.ConnectTimeout):
                return f"{where} cannot be reached within {duration(self._connect_s)}; check url and the network."
            return f"{where} sent nothing of {what} for {duration(self._read_s)}; try again later."
        cause = error.__cause__ or error.__context__ or error
        if isinstance(cause, socket.gaierror | UnicodeError):
            return f"the name {host} is not known; check url and the network."
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = quoted(cause.verify_message or "not valid", 100)[1:-1]
            return f"the certificate of {host} is not accepted ({why}); renew it, or name your own authority in SSL_CERT_FILE."
        if isinstance(cause, ssl.SSLError):
            why = quoted((cause.reason or "no TLS").replace("_", " ").lower(), 100)[1:-1]
            return f"no TLS connection to {host} ({why}); write http:// in url if the server has no TLS."
        if isinstance(cause, ConnectionRefusedError):
            return f"nothing listens at {where}; check url, and that the server runs."
        if isinstance(error, httpcore.ConnectError):
            why = quoted(getattr(cause, "strerror", None) or "no connection", 100)[1:-1]
            return f"{where} cannot be reached ({why}); check url and the network."
        if isinstance(error, zlib.error):
            return f"what {where} sent for {what} is not the gzip it claims to be; try again later."
        if isinstance(error, httpx.InvalidURL | httpcore.UnsupportedProtocol | httpx.UnsupportedProtocol):
            return f"{where} sends {what} on to an address that makes no sense; check url."
        return f"{where} broke off while sending {what}; try again later."


def _base(url: str, source: str) -> httpx.URL:
    try:
        base = httpx.URL(url.strip())
        fits = base.scheme in _PORTS and bool(base.host) and not (base.userinfo or base.query or base.fragment)
    except (httpx.InvalidURL, UnicodeError):
        fits = False
    if not fits:
        # What was written may hold a password, so it is not shown.
        raise ConfigError(f'{source}: url is not an address without user name and query; try "https://healthchecks.io".')
    return base.copy_with(raw_path=base.raw_path.rstrip(b"/") + b"/")


def _shown_as(login: tuple[str, str] | None) -> tuple[str, ...]:
    """The forms in which a login could show up in a message or a log line."""
    if login is None or not login[1]:
        return ()
    return login[1], b64encode(f"{login[0]}:{login[1]}".encode()).decode()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def _is_certificate(error: BaseException) -> bool:
    return isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError)


def _content(response: httpx.Response, most: int, cut: bool, what: str) -> bytes:
    """The body, unpacked here: httpx unpacks without a limit, and takes gzip that ends early for whole."""
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise _Unusable(f"sent {what} packed in a way that was not asked for; look at what stands before the server.")
    unpack = zlib.decompressobj(wbits=31) if "gzip" in coding else None
    parts, size = [], 0
    for part in response.iter_raw():
        if unpack is not None:
            part = unpack.decompress(part, most + 1 - size)
        parts.append(part)
        size += len(part)
        if size > most:
            if cut:
                break
            raise _Unusable(f"sent more than {number(most / 1e6)} MB for {what}; that is surely not what was asked for.")
    if unpack is not None and not unpack.eof and size <= most:
        raise _Unusable(f"broke off while sending {what}; try again later.")
    return b"".join(parts)[:most]


def _text_only(data: Any) -> Any:
    """`data` with U+FFFD in place of what no text holds."""
    if isinstance(data, str):
        return data.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    if isinstance(data, list):
        return [_text_only(one) for one in data]
    if isinstance(data, dict):
        return {_text_only(key): _text_only(value) for key, value in data.items()}
    return data


def http_date(text: str | None) -> datetime | None:
    """The instant of an HTTP date, None if it is none."""
    try:
        found = parsedate_to_datetime(text or "")
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def wait_s(response: httpx.Response, now: datetime) -> float | None:
    """`Retry-After` in seconds from 0 to an hour; a date counts from the server's own clock where it tells it."""
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text):
        seconds = float(text)
    elif (at := http_date(text)) is not None:
        seconds = (at - (http_date(response.headers.get("date")) or now)).total_seconds()
    else:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


def _clocks(reply: _Reply) -> tuple[float | None, datetime]:
    """`offset_s` and `until` of an answer. A `Date` is cut to its second, so half a second is added in the mean."""
    date = http_date(reply.response.headers.get("date"))
    if date is None:
        return None, reply.asked_at
    took = timedelta(seconds=reply.took_s)
    offset = date + timedelta(seconds=0.5) - (reply.asked_at + took / 2)
    return offset.total_seconds(), min(date - took, reply.asked_at + FURTHEST_AHEAD)
