"""qpanalytics: how background jobs are really doing.

    >>> import qpanalytics as qpa
    >>> h = qpa.demo()
    >>> qpa.success(h)[["check", "n", "rate", "rate_lo", "rate_hi"]]

Names are looked up when first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: Public name -> the module that holds it under the same name.
_PLACES = {
    "History": "qpanalytics.history",
    "QpaError": "qpanalytics.errors",
    "coverage": "qpanalytics.analysis.coverage",
    "demo": "qpanalytics.opening",
    "durations": "qpanalytics.analysis.durations",
    "flow": "qpanalytics.analysis.flow",
    "lateness": "qpanalytics.analysis.lateness",
    "load": "qpanalytics.opening",
    "plot": "qpanalytics.plot",
    "queues": "qpanalytics.analysis.queues",
    "replay": "qpanalytics.analysis.replay",
    "report": "qpanalytics.report",
    "success": "qpanalytics.analysis.success",
    "verdicts": "qpanalytics.verdict",
    "workers": "qpanalytics.analysis.workers",
}

if TYPE_CHECKING:
    from qpanalytics import plot as plot
    from qpanalytics.analysis.coverage import coverage as coverage
    from qpanalytics.analysis.durations import durations as durations
    from qpanalytics.analysis.flow import flow as flow
    from qpanalytics.analysis.lateness import lateness as lateness
    from qpanalytics.analysis.queues import queues as queues
    from qpanalytics.analysis.replay import replay as replay
    from qpanalytics.analysis.success import success as success
    from qpanalytics.analysis.workers import workers as workers
    from qpanalytics.errors import QpaError as QpaError
    from qpanalytics.history import History as History
    from qpanalytics.opening import demo as demo
    from qpanalytics.opening import load as load
    from qpanalytics.report import report as report
    from qpanalytics.verdict import verdicts as verdicts


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'qpanalytics' has no attribute {name!r}")
    module = import_module(_PLACES[name])
    found = module if module.__name__ == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])
