"""One tree of errors under `QpaError`: each says what happened, to what, and what to do next.

`exit_status` is what `qpa` exits with; `permanent` tells a retry whether trying again can help.
"""

from __future__ import annotations


class QpaError(Exception):
    """Anything qpanalytics can explain; the message is one or two sentences for a person."""

    exit_status = 2
    permanent = True


class UsageError(QpaError):
    """An option or argument that makes no sense."""


class ConfigError(QpaError):
    """`qpa.toml` is wrong: names the file, the field and the value."""


class ScheduleError(QpaError):
    """A schedule that does not parse or never fires. `field` is `schedule` or `tz`."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class InputError(QpaError):
    """A file with rows that cannot be taken: names file, line, field and value where known."""


class StoreError(QpaError):
    """The store cannot be opened, read or written."""


class StoreBusy(StoreError):
    """Another process holds the store; trying again can help."""

    permanent = False


class SourceError(QpaError):
    """A source or channel could not be reached, or would not answer.

    `retry_after_s` is how long it asked to be left alone, None if it did not say.
    """

    exit_status = 3

    def __init__(self, message: str, *, permanent: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after_s = retry_after_s
