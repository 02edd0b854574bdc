"""Signatures of web hooks, by Standard Webhooks 1.0: https://www.standardwebhooks.com

The sender signs id, time and body together; a receiver checks the signature in constant time, refuses what is older than
a few minutes, and keeps the ids of these minutes to drop what comes twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

PREFIX = "whsec_"
#: How far apart the clocks of sender and receiver, with the way between them, may be: seconds.
WINDOW_S = 300.0


def key_of(secret: str) -> bytes:
    """The key in a `whsec_` secret. ValueError, which does not show it, if that is none."""
    try:
        key = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is no base64; a secret looks like whsec_ and 32 or more letters and digits") from None
    if not 16 <= len(key) <= 256:
        raise ValueError("holds a key of less than 16 or more than 256 bytes; make one with: openssl rand -base64 32")
    return key


def signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`.

    >>> signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: datetime, window_s: float = WINDOW_S) -> str:
    """What a receiver asks of a request before it believes it: the `webhook-id`, which it keeps to drop repetitions.

    `body` are the bytes as they came. ValueError says what is wrong: a header missing, a time outside the window around
    `now`, a signature that is not ours. Several signatures, separated by spaces, are those of old and new secrets.
    """
    told = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if not told.get(name)]
    if missing:
        raise ValueError(f"the header {missing[0]} is missing")
    stamp = told["webhook-timestamp"]
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise ValueError("webhook-timestamp is not in seconds since 1970")
    if abs(now.timestamp() - int(stamp)) > window_s:
        raise ValueError("webhook-timestamp is too old or too new; it may be a repetition, or a clock is wrong")
    expected = signature(secret, told["webhook-id"], int(stamp), body).encode()
    if not any(hmac.compare_digest(one.encode(), expected) for one in told["webhook-signature"].split()):
        raise ValueError("the signature does not fit")
    return told["webhook-id"]
