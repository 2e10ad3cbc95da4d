from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.filters import (
    apply_filter,
    describe_filter,
    filter_names,
    filter_options,
    get_filter,
    is_joint,
    register_filter,
)
from meddenoise.filters.registry import checked_options
from meddenoise.volume import Volume


def test_built_in_names() -> None:
    here = [n for n in filter_names() if get_filter(n).__module__.startswith("meddenoise.filters.")]
    assert tuple(here) == (
        "anisotropic_diffusion",
        "bilateral",
        "bm4d",
        "curvature_flow",
        "gaussian",
        "identity",
        "mean",
        "median",
        "mppca",
        "nlmeans",
        "patch2self",
        "total_variation",
        "wavelet",
    )
    assert get_filter("median").__name__ == "median"


def test_filters_of_4_d_scans() -> None:
    assert [name for name in filter_names() if is_joint(name)] == ["mppca", "patch2self"]


@pytest.mark.parametrize("name", filter_names())
def test_each_is_told_in_a_line(name: str) -> None:
    assert 10 < len(describe_filter(name)) < 80
    # What the help promises is what the function has.
    options = filter_options(name)
    assert checked_options(name, {k: v for k, v in options.items() if v is not None}) is not None
    assert not options.keys() & {"array", "spacing", "sigma_noise"}


def test_options_and_their_defaults() -> None:
    assert filter_options("median") == {"size": 3}
    assert filter_options("gaussian") == {"sigma": None}
    assert filter_options("identity") == {}


@pytest.mark.parametrize("size", [True, "5", 3.5])
def test_no_other_type_passes_for_an_option(size: object) -> None:
    with pytest.raises(ConfigError, match=r"median\.size must be a whole number, not"):
        checked_options("median", {"size": size})


def test_a_whole_number_is_a_good_float() -> None:
    assert checked_options("nlmeans", {"strength": 1}) == {"strength": 1.0}
    assert checked_options("median", {"size": np.int64(5)}) == {"size": 5}


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
def test_a_joint_filter_of_ones_own() -> None:
    @register_filter("across", joint=True)
    def across(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        """The mean of all volumes."""
        return np.broadcast_to(array.mean(axis=0), array.shape)

    array = np.stack([np.full((3, 3, 3), value) for value in (1.0, 5.0)])
    assert (apply_filter(Volume(array, np.eye(4)), "across").array == 3).all()
    assert describe_filter("across") == "The mean of all volumes"


@pytest.mark.usefixtures("own_filters")
def test_a_filter_that_changes_the_grid() -> None:
    @register_filter("crop")
    def crop(array, *, spacing, sigma_noise=None):  # type: ignore[no-untyped-def]
        return array[1:]

    with pytest.raises(ParameterError, match="keeps the grid"):
        apply_filter(Volume.from_array(np.zeros((4, 4))), "crop")


def test_a_filter_that_cannot_be_told_what_all_are() -> None:
    with pytest.raises(ParameterError, match="'test_deaf' must take a keyword argument 'spacing'"):

        @register_filter("test_deaf")
        def deaf(array, *, sigma_noise=None):  # type: ignore[no-untyped-def]
            return array

    assert "test_deaf" not in filter_names()
    with pytest.raises(ParameterError, match="'test_deaf' has no option 'width'"):

        @register_filter("test_deaf", noise="width")
        def narrow(array, *, spacing, sigma_noise=None, size=None):  # type: ignore[no-untyped-def]
            return array

    assert "test_deaf" not in filter_names()


def test_filters_need_neither_torch_nor_monai() -> None:
    script = (
        "import sys, numpy as np; from meddenoise.volume import Volume; "
        "from meddenoise.filters import apply_filter; "
        "scan = Volume.from_array(np.random.default_rng(0).standard_normal((16, 16))); "
        "[apply_filter(scan, name) for name in ('gaussian', 'mean', 'median', 'bilateral')]; "
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
