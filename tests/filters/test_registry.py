from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.filters import apply_filter, filter_names, get_filter, register_filter, registry
from meddenoise.volume import Volume


def test_built_in_names() -> None:
    assert filter_names() == ("gaussian", "identity", "median")
    assert get_filter("median").__name__ == "median"


@pytest.fixture
def own_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test register filters that are gone afterwards."""
    monkeypatch.setattr(registry._FILTERS, "_parts", dict(registry._FILTERS._parts))


@pytest.mark.usefixtures("own_filters")
def test_a_filter_of_ones_own() -> None:
    @register_filter("halve")
    def halve(array, *, spacing, sigma_noise=None, times: int = 1):  # type: ignore[no-untyped-def]
        return array / 2**times

    volume = Volume.from_array(np.full((4, 4), 8.0))
    result = apply_filter(volume, "halve", times=3)
    assert (result.array == 1).all()
    assert result.history == ("filtered by halve, times 3",)
    with pytest.raises(ConfigError, match="already"):
        register_filter("median")(halve)


@pytest.mark.usefixtures("own_filters")
def test_a_filter_that_changes_the_grid() -> None:
    @register_filter("crop")
    def crop(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        return array[1:]

    with pytest.raises(ParameterError, match="keeps the grid"):
        apply_filter(Volume.from_array(np.zeros((4, 4))), "crop")


def test_filters_need_neither_torch_nor_monai() -> None:
    script = (
        "import sys, numpy as np; from meddenoise.volume import Volume; "
        "from meddenoise.filters import apply_filter; "
        "apply_filter(Volume.from_array(np.zeros((4, 4))), 'median'); "
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
