"""What every test may ask for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A suite that was started in the background inherits an ignored Ctrl-C; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real scans that stands beside a developer's checkout."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"real scans are not at hand: no directory {path}")
    return path
