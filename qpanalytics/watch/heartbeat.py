"""The watch's own ping, after each good tick: whoever expects it says when the watch itself is gone."""

from __future__ import annotations

from qpanalytics.errors import ConfigError, SourceError

#: For connecting and for each wait; the next tick pings again.
TIMEOUT_S = 10.0


def beat(url: str) -> None:
    """Asks for the address once. Errors never name it: whoever knows it can ping in our place."""
    import logging

    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log the address
    if not url.startswith(("http://", "https://")):
        raise ConfigError("ping_url: what it refers to is no address of the web; it begins with https://")
    try:
        status = httpx.get(url, timeout=TIMEOUT_S, headers={"User-Agent": "qpanalytics"}).status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        said = type(error).__name__
    else:
        said = "" if status < 400 else f"status {status}"
    if said:
        raise SourceError(f"the ping was not taken ({said}).")
