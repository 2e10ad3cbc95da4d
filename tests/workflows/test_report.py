from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import meddenoise as md
from meddenoise.errors import FileError, GeometryError, OutputError, ParameterError
from meddenoise.workflows.report import _configuration, _kept, report_run, report_scans


def volume(seed: int = 0, sigma: float = 10.0, shape: tuple[int, ...] = (24, 24, 12)) -> md.Volume:
    draws = np.random.default_rng(seed)
    image = draws.normal(0, sigma, shape)
    image[6:18, 6:18] += 150
    return md.Volume.from_array(image.astype(np.float32))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps on a scan called after a patient, with injected noise."""
    place = tmp_path_factory.mktemp("report")
    md.write(volume(sigma=0.5), place / "JaneSentinel.nii.gz")
    made = md.train(
        {
            "data": {"images": str(place / "JaneSentinel.nii.gz"), "patch": [8, 8, 8], "batch": 1},
            "trainer": {"name": "noise2void"},
            "network": {"name": "unet", "channels": [4, 8]},
            "noise": {"name": "gaussian", "sigma": 10},
            "training": {"steps": 2, "validate_batches": 1, "trackers": []},
        },
        output=place / "run",
        device="cpu",
        progress=False,
    )
    assert made is not None
    return made.directory


def test_a_run_becomes_a_page_that_tells_of_nobody(run: Path, tmp_path: Path) -> None:
    made = report_run(run, tmp_path / "a.html", figures=tmp_path / "figures")
    text = made.page.read_text()
    for part in ("Against the reference", "What was taken away", "Slices", "noise2void", "PSNR"):
        assert part in text
    assert "Sentinel" not in text
    assert str(run.parent) not in text
    assert "NaN" not in text.split('id="scans"')[0]
    names = {path.stem for path in made.figures}
    assert {"training_loss", "histogram", "residual"} <= names


def test_what_names_a_file_is_left_out_and_a_level_is_not() -> None:
    config = md.Config.model_validate(
        {
            "data": {"images": "Sentinel1", "series": "Sentinel2", "cache_directory": "Sentinel3"},
            "trainer": {"name": "noise2void"},
            "noise": {"name": "mine", "sigma": ["2.5%", "SNR 12.5"], "table": "Sentinel4.csv"},
            "training": {"start_from": "Sentinel5"},
        }
    )
    told = _configuration(config, names=False)
    assert "Sentinel" not in told
    assert "2.5%" in told
    assert "SNR 12.5" in told
    assert _configuration(config, names=True).count("Sentinel") == 5


def test_figures_that_have_no_place_are_refused_before_the_page(tmp_path: Path) -> None:
    taken = tmp_path / "figures"
    taken.write_text("")
    with pytest.raises(OutputError, match="not a directory"):
        report_scans(volume(0), volume(1, 2.0), tmp_path / "a.html", figures=taken)
    assert not (tmp_path / "a.html").exists()


def test_plots_never_replace_an_input(tmp_path: Path) -> None:
    pictures = [tmp_path / "residual.png", tmp_path / "denoised.png"]
    for seed, path in enumerate(pictures):
        shades = np.random.default_rng(seed).integers(0, 255, (40, 40))
        Image.fromarray(shades.astype(np.uint8)).save(path)
    before = pictures[0].read_bytes()
    with pytest.raises(OutputError, match=r"residual\.png, which is an input"):
        report_scans(*pictures, tmp_path / "a.html", figures=tmp_path / "x" / "..")
    assert pictures[0].read_bytes() == before
    assert not (tmp_path / "a.html").exists()


def test_names_are_shown_if_asked(run: Path, tmp_path: Path) -> None:
    assert "JaneSentinel" in report_run(run, tmp_path / "a.html", names=True).page.read_text()


def test_a_scan_that_the_run_does_not_have(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"no test scan 'other'; it has: JaneSentinel"):
        report_run(run, tmp_path / "a.html", scan="other")


def test_all_metrics_of_a_run_whose_truth_is_not_known(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(other / "truth")
    with pytest.raises(ParameterError, match="the truth is not known"):
        report_run(other, tmp_path / "a.html", extended=True)
    assert report_run(other, tmp_path / "a.html").page.is_file()


def test_two_scans_without_a_reference(tmp_path: Path) -> None:
    made = report_scans(volume(0), volume(1, 2.0), tmp_path / "a.html")
    assert "Against the reference" not in made.page.read_text()


def test_units_that_the_header_does_not_say(tmp_path: Path) -> None:
    ct = volume(0), volume(1, 2.0)
    page = report_scans(*ct, tmp_path / "a.html", reference=ct[1], units="HU").page.read_text()
    assert "RMSE (HU)" in page
    assert '"level": 50.0, "window": 400.0' in page


def test_bias_by_tissue_stands_in_the_page(tmp_path: Path) -> None:
    bright = np.full((1, 40, 40, 14), -1000.0, np.float32)
    bright[:, 10:30, 10:30] = 50
    truth = md.Volume(bright, np.eye(4), units="HU")
    draws = np.random.default_rng(0)
    noisy = truth.with_array(bright + draws.normal(0, 20, bright.shape).astype(np.float32))
    denoised = truth.with_array(bright + np.float32(3) * (bright == 50))
    text = report_scans(noisy, denoised, tmp_path / "a.html", reference=truth).page.read_text()
    against, taken = text.split("What was taken away")[:2]
    assert "bias denoised (HU)" in against
    rows = [re.sub("<.*?>", " ", row).split() for row in against.split("<tr>")]
    (row,) = [row for row in rows if row[:2] == ["soft", "tissue"]]
    assert row[2:6] == ["-29", "to", "150", "50"]
    assert row[7] == "+3"
    assert "Tissues: by ranges of HU in the reference" in against
    assert "shift denoised (HU)" in taken
    assert "ranges of HU in the result" in taken


def test_bias_by_tissue_over_the_voxels_that_each_scan_has(tmp_path: Path) -> None:
    bright = np.full((1, 40, 40, 14), 50.0, np.float32)
    bright[:, 30:] = -1000
    truth = md.Volume(bright, np.eye(4), units="HU")
    noisy = truth.with_array(bright + np.random.default_rng(0).normal(0, 20, bright.shape))
    lost = bright + np.float32(3)
    lost[:, :, :10] = np.nan
    denoised = truth.with_array(lost)
    text = report_scans(noisy, denoised, tmp_path / "a.html", reference=truth).page.read_text()
    against = text.split("What was taken away")[0]
    rows = [re.sub("<.*?>", " ", row).split() for row in against.split("<tr>")]
    counts = [row[-2] for row in rows if row[:2] == ["soft", "tissue"]]
    assert len(counts) == 2
    assert int(counts[1].replace(",", "")) < int(counts[0].replace(",", ""))


def test_without_a_run_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no run directory"):
        report_run(tmp_path / "none", tmp_path / "a.html")
    with pytest.raises(FileError, match="no finished run"):
        report_run(tmp_path, tmp_path / "a.html")


def test_grids_that_do_not_match(tmp_path: Path) -> None:
    with pytest.raises(GeometryError):
        report_scans(volume(), volume(shape=(20, 20, 12)), tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_a_constant_scan(tmp_path: Path) -> None:
    flat = md.Volume.from_array(np.full((16, 16, 8), 3.0))
    with pytest.raises(ParameterError):
        report_scans(flat, flat, tmp_path / "a.html")


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.txt", "end in .html"), ("dir.html", "is a directory"), ("old.html", "exists"),
     ("file/a.html", "not a directory")],
)  # fmt: skip
def test_a_page_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "dir.html").mkdir()
    (tmp_path / "old.html").write_text("")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=message):
        report_scans("none", "none", tmp_path / name)


def test_all_metrics_with_their_conventions(tmp_path: Path) -> None:
    clean = volume(sigma=0.5, shape=(48, 48, 12))
    noisy = clean.with_array(clean.array + volume(1, 10, (48, 48, 12)).array * 0.3)
    made = report_scans(noisy, clean, tmp_path / "a.html", reference=clean, extended=True)
    text = made.page.read_text()
    for part in ("MS-SSIM", "HFEN", "GMSD", "VIF", "noise left in flat places", "Prewitt"):
        assert part in text
    # The denoised is the reference itself: no edge of the error, and why.
    assert "infinite: the images are identical" in text
    assert "There is no noise within the mask" in text


def test_a_4d_scan_shows_one_volume_and_says_which(tmp_path: Path) -> None:
    clean, noisy = volume(sigma=0.5), volume(sigma=12)
    both = [
        md.Volume.from_array(np.concatenate([one.array, 2 * one.array])) for one in (noisy, clean)
    ]
    page = report_scans(*both, tmp_path / "a.html", reference=both[1], volume=2, figures=tmp_path)
    text = page.page.read_text()
    assert "All that follows is of volume 2 of 2" in text
    assert "<td>volume 1</td>" in text
    assert "Each of 2 volumes" not in text
    assert {path.stem for path in page.figures} >= {"residual", "histogram"}
    first = report_scans(*both, tmp_path / "b.html").page.read_text()
    assert "All that follows is of volume 1 of 2" in first
    # Of the second volume the page holds what a report of it alone would hold.
    alone = report_scans(
        md.Volume.from_array(2 * noisy.array[0]), md.Volume.from_array(2 * clean.array[0]),
        tmp_path / "c.html", reference=md.Volume.from_array(2 * clean.array[0]),
    ).page.read_text()  # fmt: skip
    assert text.split('id="scans"')[1] == alone.split('id="scans"')[1]
    with pytest.raises(ParameterError, match="--volume is 1 to 2, not 3"):
        report_scans(*both, tmp_path / "d.html", volume=3)
    assert "all voxels, in 3-D" in text
    flat = [md.Volume(one.array[..., 6], np.eye(4)) for one in both]
    page = report_scans(*flat, tmp_path / "e.html", reference=flat[1]).page.read_text()
    assert "all voxels, in 2-D" in page


def test_a_scan_of_nothing_is_one_sentence(tmp_path: Path) -> None:
    nothing = md.Volume.from_array(np.full((24, 24, 12), np.nan))
    with pytest.raises(ParameterError, match="No voxel is finite in both"):
        report_scans(volume(), nothing, tmp_path / "a.html")


def test_a_constant_scan_is_one_sentence_without_an_option_of_others(tmp_path: Path) -> None:
    flat = md.Volume.from_array(np.full((24, 24, 12), 5.0))
    with pytest.raises(ParameterError, match=r"reference is nearly everywhere 5.* or none\.$"):
        report_scans(volume(), volume(1), tmp_path / "a.html", reference=flat)
    with pytest.raises(ParameterError, match=r"noisy scan is nearly .* give another scan\.$"):
        report_scans(flat, volume(), tmp_path / "a.html")
    several = md.Volume(np.stack([flat.array[0], volume().array[0]]), flat.affine)
    noisy = md.Volume(np.stack([volume().array[0]] * 2), flat.affine)
    with pytest.raises(ParameterError, match="reference is nearly everywhere 5"):
        report_scans(noisy, noisy, tmp_path / "a.html", reference=several)


@pytest.mark.parametrize(("scale", "kind"), [(1e36, np.float32), (1e305, np.float64)])
def test_values_that_no_plot_holds_are_one_sentence(
    tmp_path: Path, scale: float, kind: type
) -> None:
    noisy, clean = (md.Volume.from_array(volume(seed).array[0] * kind(scale)) for seed in (0, 1))
    with pytest.raises(ParameterError, match=r"noisy scan has values from .*: rescale all scans"):
        report_scans(noisy, clean, tmp_path / "a.html")


def test_a_scan_whose_name_begins_another_s(tmp_path: Path) -> None:
    directory = tmp_path / "denoised"
    files = ["scan.b1.nii.gz", "scan.nii.gz", "scan.zz.nrrd"]
    if find_spec("zarr"):  # needs Python 3.11
        files.append("p.zarr")
    for number, name in enumerate(files):
        md.write(volume(seed=number), directory / name)
    for suffix in (".bval", ".bvec", ".json"):
        (directory / f"scan{suffix}").write_text("0")
    for number, name in enumerate(("scan.b1", "scan", "scan.zz", "p")[: len(files)]):
        kept = _kept(directory, name)
        assert kept is not None
        np.testing.assert_array_equal(kept.array, volume(seed=number).array)
    assert _kept(directory, "scan.b") is None
