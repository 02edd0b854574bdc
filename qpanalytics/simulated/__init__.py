"""A fleet of queues, workers and heartbeat checks that is simulated, with faults planted in it: nothing of it is real.

`qpa.demo("queues")` is its history and `planted()` the truth, so that every figure about queues can be tried, and proven,
without any server. Everything is called `simulated-...`, so that nobody takes it for measurements.

    fleet.py (who is in it, what goes wrong)  ->  moves.py (minute by minute)  ->  looks.py, pings.py  ->  filling.py (a store)
"""

from qpanalytics.simulated.filling import fill
from qpanalytics.simulated.fleet import AS_OF, JOINS, PROMISES, SINCE, TITLE, configuration
from qpanalytics.simulated.planted import planted

__all__ = ["AS_OF", "JOINS", "PROMISES", "SINCE", "TITLE", "configuration", "fill", "planted"]
