"""Without a model and a method: the network that ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise as md
from meddenoise.errors import ConfigError, ModelError, ParameterError
from meddenoise.pretrained.ready import ReadyDenoiser
from meddenoise.workflows.denoise import denoise_files
from meddenoise.workflows.ready import Shipped, denoise_ready


def error(scans: Any, image: md.Volume) -> float:
    """Mean squared error in the tissue, of the noise's variance."""
    clean = scans.anatomy()
    inside = np.zeros(clean.shape, dtype=bool)
    inside[10:-10, 2:-2, 2:-2] = True
    return float(np.mean((image.array[0] - clean)[inside] ** 2)) / scans.sigma**2


@pytest.mark.parametrize("kind", ["white", "rician"])
def test_noise_goes_and_what_was_assumed_is_said(scans: Any, kind: str) -> None:
    noisy = scans.scan(kind)
    with pytest.warns(UserWarning, match="The noise is taken to be") as said:
        clean = md.denoise(noisy, device="cpu")
    assert error(scans, clean) < 0.25
    assert clean.array.dtype == noisy.array.dtype
    assert "the network that ships with it (model_3d.safetensors sha256:" in clean.history[-1]
    assert ("Rician" in str(said[0].message)) == (kind == "rician")


def test_the_bias_of_rician_noise_goes_too(scans: Any) -> None:
    noisy = scans.scan("rician")
    with pytest.warns(UserWarning, match="The noise is taken"):
        clean = md.denoise(noisy, device="cpu")
    air = (slice(1, 6),)
    assert float(noisy.array[0][air].mean()) > 1.2 * scans.sigma
    assert float(clean.array[0][air].mean()) < 0.6 * scans.sigma


def test_strength_blends(scans: Any) -> None:
    noisy = scans.scan("white")
    with pytest.warns(UserWarning, match="The noise is taken"):
        none, half, whole = (
            md.denoise(noisy, strength=strength, device="cpu").array for strength in (0.0, 0.5, 1.0)
        )
    np.testing.assert_array_equal(none, noisy.array)
    np.testing.assert_allclose(half, (noisy.array + whole) / 2, rtol=1e-4, atol=1e-3)


def test_strength_is_for_any_method(scans: Any) -> None:
    noisy = scans.scan("white")
    half, whole = (md.denoise(noisy, method="median", strength=s).array for s in (0.5, 1.0))
    np.testing.assert_allclose(half, (noisy.array + whole) / 2, rtol=1e-5, atol=1e-3)


def test_a_sigma_that_is_said(scans: Any) -> None:
    noisy = scans.scan("white")
    with pytest.warns(UserWarning, match="as was said"):
        told, weak = (md.denoise(noisy, sigma=s, device="cpu") for s in (8.0, 2.0))
    assert scans.sigma == 8.0
    assert error(scans, told) < 0.25
    # Of noise said to be weaker, more is taken for anatomy.
    assert error(scans, weak) > 1.3 * error(scans, told)


@pytest.mark.parametrize("gain", [1e-3, 1000.0])
def test_the_gain_of_a_scan_does_not_matter(scans: Any, gain: float) -> None:
    """Everything is in units of the noise, which grows with the scan."""
    noisy = scans.scan("rician")
    with pytest.warns(UserWarning, match="The noise is taken"):
        once, other = (
            md.denoise(noisy.with_array((g * noisy.array).astype(np.float32)), device="cpu").array
            for g in (1.0, gain)
        )
    assert float(np.abs(other / gain - once).mean()) < 0.01 * scans.sigma


def test_tiles_that_are_said_are_for_images_of_as_many_axes(scans: Any) -> None:
    noisy = scans.scan("white")
    with pytest.warns(UserWarning, match="The noise is taken"):
        clean = md.denoise(noisy, options={"tile": [56, 56, 24]}, device="cpu")
    assert error(scans, clean) < 0.25
    with pytest.raises(ParameterError, match=r"2-D, .* is for 3-D scans where inference.tile has"):
        md.denoise(noisy.array[0, ..., 20], options={"tile": [56, 56, 24]}, device="cpu")
    with pytest.raises(ConfigError, match="tile must have at most 3 entries"):
        md.denoise(noisy, options={"tile": [8, 8, 8, 8]}, device="cpu")


def test_every_channel_is_denoised(scans: Any) -> None:
    one, two = (scans.scan("white", seed) for seed in (1, 2))
    both = md.Volume.from_array(np.concatenate([one.array, 3 * two.array]))
    with pytest.warns(UserWarning, match="The noise is taken"):
        clean = md.denoise(both, device="cpu")
    assert clean.channels == 2
    assert error(scans, one.with_array(clean.array[:1])) < 0.25
    assert error(scans, two.with_array(clean.array[1:] / 3)) < 0.25


def test_of_a_series_that_begins_blank_the_noise_is_said_once(scans: Any) -> None:
    series = np.stack([scans.scan("white", k).array[0, :, :24, :24] for k in range(8)])
    series[0] = 0
    with pytest.warns(UserWarning, match="The noise is taken") as said:
        clean = md.denoise(md.Volume.from_array(series), device="cpu")
    assert sum("The noise is taken" in str(one.message) for one in said) == 1
    assert not clean.array[0].any()


def test_what_was_not_measured_stays(scans: Any) -> None:
    noisy = scans.scan("white")
    array = noisy.array.copy()
    array[0, 20:23] = np.nan
    with pytest.warns(UserWarning, match="The noise is taken"):
        clean = md.denoise(noisy.with_array(array), device="cpu").array
    assert np.isnan(clean[0, 20:23]).all()
    assert np.isfinite(clean[0, 24:]).all()


def test_a_scan_without_noise_is_left_as_it_is(scans: Any) -> None:
    steps = np.round(scans.anatomy() / 50) * 50
    volume = md.Volume.from_array(np.kron(steps[:16, :16, :16], np.ones((3, 3, 3))))
    with pytest.warns(UserWarning, match="No noise can be seen"):
        clean = md.denoise(volume, device="cpu")
    np.testing.assert_array_equal(clean.array, volume.array)


@pytest.mark.parametrize("kind", ["everywhere", "along x"])
def test_strongly_correlated_noise_is_named_with_the_alternative(scans: Any, kind: str) -> None:
    with pytest.warns(UserWarning, match=r"strongly correlated.*--method auto"):
        md.denoise(scans.scan(kind), device="cpu")


def test_an_image_in_the_plane_has_a_network_of_its_own(scans: Any) -> None:
    plane = scans.anatomy()[24].astype(np.float32)
    noise = np.random.default_rng(0).normal(size=plane.shape)
    noisy = (plane + scans.sigma * noise).astype(np.float32)
    with pytest.warns(UserWarning, match="The noise is taken to be"):
        clean = md.denoise(noisy, device="cpu")
    assert clean.array.shape == (1, *plane.shape)
    assert "model_2d.safetensors" in clean.history[-1]
    left = np.mean((clean.array[0] - plane)[2:-2, 2:-2] ** 2) / scans.sigma**2
    assert left < 0.45


def test_where_no_weights_are_for_so_many_axes_the_alternative_is_named(scans: Any) -> None:
    with pytest.raises(ParameterError, match="is for 2-D scans: say --method auto"):
        denoise_ready(scans.scan("white"), {2: ReadyDenoiser.load(2, "cpu")})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"strength": 1.5}, "from 0 to 1"),
        ({"strength": float("nan")}, "from 0 to 1"),
        ({"method": "bm4d", "model": "x.safetensors"}, "not both"),
        ({"budget": 30.0}, "--budget is for --method auto"),
        ({"stabilise": "ricain"}, "rician"),
    ],
)
def test_what_makes_no_sense(scans: Any, how: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        md.denoise(scans.scan("white"), **how)


def test_altered_weights_are_said_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def altered(dims: int = 3) -> Path:
        raise ModelError("The weights are not those that ship.")

    monkeypatch.setattr("meddenoise.pretrained.ready.shipped_weights", altered)
    with pytest.raises(ModelError, match="not those that ship"):
        denoise_files(tmp_path / "no-such-scan.nii.gz", tmp_path / "out.nii.gz")


def test_how_the_network_is_run_can_be_said(scans: Any, tmp_path: Path) -> None:
    noisy = scans.scan("white")
    with pytest.warns(UserWarning, match="The noise is taken"):
        once, flipped = (
            md.denoise(noisy, options={"flips": flips}, device="cpu").array
            for flips in (False, True)
        )
    assert 0 < float(np.abs(once - flipped).mean()) < scans.sigma
    with pytest.raises(ConfigError, match="flips"):
        denoise_files(tmp_path / "none.nii.gz", tmp_path / "o.nii.gz", options={"flipps": True})


def test_structure_in_the_residual_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.ndimage import gaussian_filter

    def blur(self: ReadyDenoiser, array: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        return gaussian_filter(array, 1.5).astype(np.float32)

    draws = np.random.default_rng(0)
    clean = 100.0 * (gaussian_filter(draws.normal(size=(48, 48, 48)), 4) > 0)
    noisy = md.Volume.from_array(clean + 5 * draws.normal(size=clean.shape))
    with pytest.warns(UserWarning, match="The noise is taken") as said:
        md.denoise(noisy, device="cpu")
    assert not any("holds structure" in str(each.message) for each in said)
    monkeypatch.setattr(ReadyDenoiser, "__call__", blur)
    with pytest.warns(UserWarning, match="holds structure"):
        md.denoise(noisy, device="cpu")


def test_a_network_is_loaded_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    load = ReadyDenoiser.load

    def noted(dims: int, *words: Any) -> ReadyDenoiser:
        asked.append(dims)
        return load(dims, *words)

    monkeypatch.setattr(ReadyDenoiser, "load", noted)
    networks = Shipped("cpu", {})
    assert list(networks) == [2, 3]
    assert asked == [3]
    assert networks[2].network.blocks.dims == 2
    assert asked == [3, 2]
    assert networks.get(4) is None
    assert list(Shipped("cpu", {"tile": [64, 64]})) == [2]


def test_its_result_is_not_restored() -> None:
    with pytest.raises(ParameterError, match="leave restore out"):
        Shipped("cpu", {"restore": True})
    assert list(Shipped("cpu", {"restore": False})) == [2, 3]
