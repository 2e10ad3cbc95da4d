"""MONAI's networks behind our contract; the importing of MONAI takes seconds, once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest
import torch

from meddenoise.errors import ConfigError, MissingDependency
from meddenoise.networks import build_network, network_names, with_noise_map

SMALL: dict[str, dict[str, Any]] = {
    "monai_attention_unet": {"channels": [2, 3, 4]},
    "monai_basic_unet": {"features": [2, 2, 3, 3, 4, 2]},
    "monai_dynunet": {"channels": [2, 3, 4]},
    "monai_swin_unetr": {"feature_size": 12, "depths": [1, 1, 1, 1], "window": 2},
}


def test_all_of_them_are_tested_here() -> None:
    assert set(SMALL) == {name for name in network_names() if name.startswith("monai_")}


def test_monai_is_not_imported_before_one_is_built() -> None:
    code = "import sys, meddenoise.networks; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(1, 1), (5, 33), (7, 2, 3)])
def test_any_size_keeps_its_shape_in_training_too(name: str, size: tuple[int, ...]) -> None:
    network = build_network(name, dims=len(size), inputs=2, residual=False, **SMALL[name]).train()
    x = with_noise_map(torch.randn(2, 1, *size), torch.ones(2))
    y = network(x)
    assert y.shape == (2, 1, *size)
    assert bool(y.isfinite().all())


@pytest.mark.parametrize("name", ["monai_attention_unet", "monai_dynunet"])
def test_a_thick_slice_axis_may_be_left_alone(name: str) -> None:
    network = build_network(name, dims=3, strides=[[2, 2, 1], 2], **SMALL[name])
    assert network.multiple == (4, 4, 2)
    assert network(torch.randn(1, 1, 9, 8, 3)).shape == (1, 1, 9, 8, 3)


def test_a_norm_forgets_the_intensity_and_the_shortcut_keeps_it() -> None:
    """What the module's docstring warns of."""
    torch.manual_seed(0)
    options = SMALL["monai_basic_unet"]
    x = torch.randn(1, 1, 32, 32)
    normed = build_network("monai_basic_unet", dims=2, residual=False, **options).eval()
    with torch.no_grad():
        torch.testing.assert_close(normed(100 * x), normed(x), atol=1e-2, rtol=1e-2)
        kept = build_network("monai_basic_unet", dims=2, **options).eval()
        # The image's gain comes through; the correction does not grow with it.
        torch.testing.assert_close(
            kept(100 * x) - 100 * x, kept(x) - x, atol=1e-2, rtol=1e-2
        )  # fmt: skip
        plain = build_network("monai_basic_unet", dims=2, norm="none", residual=False, **options)
        assert float(plain.eval()(100 * x).std()) > 10 * float(plain(x).std())


@pytest.mark.parametrize(("name", "dims", "strides"), [
    ("monai_basic_unet", 2, None), ("monai_dynunet", 2, None), ("monai_dynunet", 2, [[1, 2], 2]),
])  # fmt: skip
def test_without_norms_the_halo_bounds_the_receptive_field(
    name: str, dims: int, strides: Any
) -> None:
    torch.manual_seed(0)
    options = {} if strides is None else {"strides": strides}
    network = build_network(name, dims=dims, norm="none", **SMALL[name], **options).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    halo = torch.tensor(network.halo)
    farthest = torch.zeros(dims, dtype=torch.long)
    for shift in range(max(network.multiple)):
        x = torch.randn(1, 1, *(2 * (h + 20) for h in network.halo), dtype=torch.float64)
        place = torch.tensor([n // 2 + shift for n in x.shape[2:]])
        changed = x.clone()
        changed[(0, 0, *place)] += 100
        with torch.no_grad():
            moved = (network(changed) - network(x)).abs()[0, 0] > 1e-12
        farthest = farthest.maximum((moved.nonzero() - place).abs().amax(0))
    assert bool((farthest <= halo).all())
    assert bool((farthest >= 0.8 * halo - 1).all())


def test_with_norms_there_is_no_halo() -> None:
    assert not hasattr(
        build_network("monai_basic_unet", dims=2, **SMALL["monai_basic_unet"]), "halo"
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("monai_basic_unet", {"features": [4, 4]}, "six positive numbers"),
        ("monai_basic_unet", {"norm": "layer"}, r"network\.norm must be 'instance', 'batch' or"),
        ("monai_basic_unet", {"channels": [4, 4]}, r"network\.channels is no key"),
        ("monai_dynunet", {"channels": [4, 4]}, "at least three levels"),
        ("monai_dynunet", {"strides": [2]}, "A DynUNet of 3 levels and 2 axes needs 2 strides"),
        ("monai_attention_unet", {"channels": [4]}, "at least two levels"),
        ("monai_swin_unetr", {"feature_size": 13, "heads": [13] * 4}, "divisible by 12"),
        ("monai_swin_unetr", {"heads": [5, 5, 5, 5]}, "must divide"),
        ("monai_swin_unetr", {"depths": [2]}, "four positive numbers"),
        ("monai_swin_unetr", {"feature_size": 0}, r"network\.feature_size one"),
        ("monai_swin_unetr", {"feature_size": -12}, r"network\.feature_size one"),
        ("monai_swin_unetr", {"depths": [2, 2, 2, 10**12]}, "at most 1000"),
        ("monai_swin_unetr", {"window": 10**12}, "smaller numbers"),
        ("monai_basic_unet", {"features": [10**30] * 6}, "smaller numbers"),
        ("monai_basic_unet", {"features": [1] * 6}, "at least 2 at the three coarsest"),
        ("monai_attention_unet", {"channels": [1, 1]}, "at least 2 but at the coarsest"),
        ("monai_attention_unet", {"channels": [2, 2], "strides": [10**6]}, "a multiple of 1000000"),
        ("monai_dynunet", {"channels": [2, 2, 2], "strides": [3, 5]}, "MONAI builds no DynUNet"),
    ],
)
def test_options_that_make_no_network(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network(name, dims=2, **options)


def test_without_einops_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "einops" else known(name)
    )
    with pytest.raises(MissingDependency, match=r'pip install "meddenoise\[monai\]"'):
        build_network("monai_swin_unetr", dims=2)
