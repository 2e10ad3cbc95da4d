from __future__ import annotations

import pytest

from meddenoise.filters import registry


@pytest.fixture
def own_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test register filters that are gone afterwards."""
    monkeypatch.setattr(registry._FILTERS, "_parts", dict(registry._FILTERS._parts))
    monkeypatch.setattr(registry, "_JOINT", set(registry._JOINT))
    monkeypatch.setattr(registry, "_NOISE", dict(registry._NOISE))
