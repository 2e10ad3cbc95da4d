from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from meddenoise import io


def values(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def test_noise_of_the_asked_strength_and_seed(cli: Any, make_scan: Any) -> None:
    scan = make_scan(array=np.arange(32 * 32 * 16, dtype=np.int16).reshape(32, 32, 16))
    made = []
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        output = scan.with_name(f"{name}.nii.gz")
        words = ("--noise", "gaussian", "--sigma", "25", "--seed", seed)
        said = cli("simulate", scan, output, *words)
        assert (said.status, said.err) == (0, "")
        assert f"{scan} -> {output}" in said.out
        assert f"sigma 25, seed {seed}" in said.out
        made.append(values(output))
    noise = made[0] - values(scan)
    assert made[0].dtype == np.float32  # noise around 0 is not clipped, nor rounded
    assert noise.std() == pytest.approx(25, rel=0.02)
    assert abs(noise.mean()) < 0.6
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_a_percentage_is_of_the_99_9th_percentile(cli: Any, scan: Path) -> None:
    output = scan.with_name("out.nii.gz")
    said = cli("simulate", scan, output, "--noise", "rician", "--sigma", "10%")
    reference = np.percentile(values(scan), 99.9)
    assert said.status == 0
    assert float(said.out.split("sigma ")[1].split(",")[0]) == pytest.approx(0.1 * reference, 1e-4)
    assert values(output).min() >= 0


def test_any_parameter_can_be_set_and_levels_be_an_snr(cli: Any, scan: Path) -> None:
    output = scan.with_name("out.nii.gz")
    words = ("--sigma", "SNR 20", "--set", "coils=3")
    said = cli("simulate", scan, output, "--noise", "noncentral_chi", *words)
    assert said.status == 0, said.err
    reference = np.percentile(values(scan), 99.9)
    assert float(said.out.split("sigma ")[1].split(",")[0]) == pytest.approx(reference / 20, 1e-4)
    assert "coils 3" in said.out
    again = scan.with_name("again.nii.gz")
    words = ("--set", f"sigma={reference / 20}", "--set", "coils=3")
    assert cli("simulate", scan, again, "--noise", "noncentral_chi", *words).status == 0
    np.testing.assert_allclose(values(again), values(output), rtol=1e-4)


def test_a_map_is_a_file_on_the_scan_s_grid(cli: Any, make_scan: Any) -> None:
    scan = make_scan(array=np.full((16, 20, 12), 1e4, np.float32))
    level = np.zeros((16, 20, 12), np.float32)
    level[8:] = 2
    at = make_scan("map.nii.gz", level)
    output = scan.with_name("out.nii.gz")
    words = ("--noise", "varying", "--sigma", "10", "--set", f"sigma_map={at}")
    said = cli("simulate", scan, output, *words)
    assert said.status == 0, said.err
    noise = values(output) - 1e4
    assert not noise[:8].any()
    assert noise[8:].std() == pytest.approx(20, rel=0.05)
    other = make_scan("other.nii.gz", level[:, :, :4])
    words = ("--noise", "varying", "--sigma", "10", "--set", f"sigma_map={other}", "--overwrite")
    assert "sigma_map" in cli("simulate", scan, output, *words).sentence
    words = ("--noise", "varying", "--sigma", "10", "--set", f"sigma_map={at}", "--overwrite")
    assert "is the input itself" in cli("simulate", scan, at, *words).sentence
    np.testing.assert_array_equal(values(at), level)


def test_ct_in_a_format_without_units(cli: Any, make_scan: Any, make_series: Any) -> None:
    scan = make_scan(array=np.zeros((32, 32, 16), np.int16))
    output = scan.with_name("out.nii.gz")
    words = ("--noise", "poisson", "--dose", "25%", "--units", "HU")
    said = cli("simulate", scan, output, *words)
    assert said.status == 0, said.err
    assert values(output).std() == pytest.approx(11.2, rel=0.05)
    said = cli("simulate", make_series(), scan.with_name("noisy"), *words)
    assert "cannot be in HU: the scan's header says that it is MR" in said.sentence


def test_the_list_tells_every_model_and_parameter(cli: Any) -> None:
    from meddenoise.noise.listing import list_noises

    said = cli("simulate", "--list")
    assert (said.status, said.err) == (0, "")
    for noise in list_noises():
        assert f"\n{noise.name}: {noise.about}" in "\n" + said.out
        for parameter in noise.parameters:
            assert f"\n  {parameter.name}" in said.out
    assert "poisson: Counting noise" in said.out
    assert "(needs HU)" in said.out
    assert "  coils (whole number, 8): n, at least 1" in said.out
    assert "  dose (fraction, needed): fraction of the" in said.out


def test_dicom_becomes_a_series_that_says_so(cli: Any, make_series: Any) -> None:
    import pydicom

    series = make_series()
    output = series.with_name("noisy")
    said = cli("simulate", series, output, "--noise", "gaussian", "--sigma", "5")
    assert said.status == 0, said.err
    first = pydicom.dcmread(next(output.iterdir()))
    assert first.ImageType[0] == "DERIVED"
    assert "simulated gaussian noise" in first.DerivationDescription
    assert (io.read(output).array - io.read(series).array).std() == pytest.approx(5, rel=0.1)


def test_clipped_voxels_are_said(cli: Any, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((40, 40), 250, np.uint8)).save(tmp_path / "image.png")
    words = ("--noise", "gaussian", "--sigma", "20")
    said = cli("simulate", tmp_path / "image.png", tmp_path / "out/", *words)
    assert said.status == 0
    assert (tmp_path / "out/image.png").is_file()
    assert "were clipped" in said.sentence


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--noise", "gauss", "--sigma", "5"], "did you mean 'gaussian'"),
        (["--noise", "gaussian"], "noise.sigma is missing"),
        (["--noise", "gaussian", "--set", "sigma"], "is no override"),
        (["--noise", "noncentral_chi", "--sigma", "5", "--set", "coil=2"], "did you mean 'coils'"),
        (["--noise", "noncentral_chi", "--sigma", "5", "--set", "coils=0"], "(receive coils)"),
        (["--noise", "pet", "--set", "counts=many"], "no finite number"),
        (["--noise", "varying", "--sigma", "5", "--set", "sigma_map=3"], "is no map"),
        (["--noise", "varying", "--sigma", "5", "--set", "sigma_map=none.nii"], "none.nii"),
        (["--noise", "thinning", "--dose", "25%"], "needs counts"),
        (["--noise", "gaussian", "--sigma", "5", "--dose", "0.5"], "noise.dose is no key here"),
        (["--noise", "gaussian", "--sigma", "5", "--set", "sigma=7"], "by --sigma and by --set"),
        (["--noise", "gaussian", "--sigma", "-5"], "no noise level"),
        (["--noise", "gaussian", "--sigma", "lots"], "no noise level"),
        (["--noise", "poisson", "--dose", "0.5"], "needs voxels in HU"),
        (["--noise", "poisson", "--dose", "0.5"], "--units HU"),
        (["--noise", "poisson", "--dose", "4"], "at most 1"),
        (["--noise", "rician", "--sigma", "5", "--seed", "-1"], "seed is -1"),
        (["--noise", "rician", "--sigma", "5", "--set", "seed=1"], "noise.seed is no key here"),
        (["--noise", "rician", "--sigma", "5", "--set", "name=1"], "noise.name is no key here"),
    ],
)
def test_impossible_noise(cli: Any, scan: Path, contents: Any, words: list[str], told: str) -> None:
    before = contents(scan.parent)
    said = cli("simulate", scan, scan.with_name("out.nii.gz"), *words)
    assert said.status == 2
    assert told in said.sentence
    assert contents(scan.parent) == before


def test_inputs_and_outputs_are_kept(cli: Any, scan: Path, contents: Any) -> None:
    other = scan.with_name("other.nii.gz")
    other.write_text("precious")
    before = contents(scan.parent)
    noise = ("--noise", "gaussian", "--sigma", "5")
    assert "exists" in cli("simulate", scan, other, *noise).sentence
    said = cli("simulate", scan, scan, *noise, "--overwrite")
    assert "is the input itself" in said.sentence
    assert "holds 2 scans" in cli("simulate", scan.parent, scan.parent / "out", *noise).sentence
    assert contents(scan.parent) == before
