"""How many random cases a slow property is asked: few in the suite, `QPA_EXAMPLES=10` times as many before a release."""

from __future__ import annotations

import os


def examples(number: int) -> int:
    """So many, times what the environment asks for."""
    return number * max(int(os.environ.get("QPA_EXAMPLES", "1")), 1)
