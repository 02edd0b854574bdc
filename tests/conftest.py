"""What several test files share and is costly to make: one per pytest process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from command import CHECKS, PINGS, qpa
from hypothesis import settings

# How long one random case takes says more about the machine than about us.
settings.register_profile("qpa", deadline=None)
settings.load_profile("qpa")


@pytest.fixture(scope="session")
def browser() -> Iterator[chromium.Browser]:
    """One Chromium for all pages; each test opens tabs of its own."""
    with chromium.Browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of one month, one run missed, and its files: to be copied, not changed."""
    folder = tmp_path_factory.mktemp("month")
    (folder / "pings.csv").write_text(PINGS)
    (folder / "checks.csv").write_text(CHECKS)
    done = qpa(folder, "import", "pings.csv", "--checks", "checks.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "29 pings, 29 new" in done.stdout
    return folder
