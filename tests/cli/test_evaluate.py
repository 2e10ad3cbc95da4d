from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def trio(make_scan: Any) -> list[Path]:
    """A reference, and two images with noise of 5 and 20."""
    rng = np.random.default_rng(1)
    clean = rng.uniform(0, 1000, (16, 20, 12)).astype(np.float32)
    return [
        make_scan(f"{name}.nii.gz", clean + sigma * rng.standard_normal(clean.shape).astype("f4"))
        for name, sigma in (("clean", 0), ("good", 5), ("bad", 20))
    ]


def test_a_table_and_its_conventions(cli: Any, trio: list[Path]) -> None:
    said = cli("evaluate", *trio)
    assert (said.status, said.err) == (0, "")
    head, good, bad, *conventions = said.out.splitlines()
    assert head.split() == ["image", "PSNR", "[dB]", "SSIM", "RMSE", "MAE", "bias"]
    for row, path, sigma in ((good, trio[1], 5), (bad, trio[2], 20)):
        name, psnr, _, rmse, _, bias = row.split()
        assert name == str(path)
        assert float(rmse) == pytest.approx(sigma, rel=0.05)
        assert abs(float(bias)) < 0.1 * sigma
        assert float(psnr) == pytest.approx(20 * np.log10(998 / sigma), abs=0.3)
    told = " ".join(conventions)
    for word in ("Data range 99", "99.9th minus 0.1th percentile of the reference", "3-D",
                 "3,840 voxels", "the whole image", "SSIM: 3-D, Gaussian"):  # fmt: skip
        assert word in told


def test_json_holds_all_numbers(cli: Any, trio: list[Path]) -> None:
    file = trio[0].parent / "new/scores.json"
    assert cli("evaluate", *trio, trio[0], "--json", file).status == 0
    told = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert list(told) == [str(trio[1]), str(trio[2]), str(trio[0])]
    assert told[str(trio[1])]["psnr"] > told[str(trio[2])]["psnr"]
    assert told[str(trio[0])]["psnr"] is None
    assert "identical" in told[str(trio[0])]["notes"]["psnr"]


def test_mask_window_and_range_are_used_and_told(
    cli: Any, trio: list[Path], make_scan: Any
) -> None:
    inside = np.zeros((16, 20, 12), np.float32)
    inside[:8] = 1
    mask = make_scan("mask.nii.gz", inside)
    said = cli("evaluate", *trio[:2], "--mask", mask, "--data-range", "2000")
    assert said.status == 0
    assert "Data range 2000: given." in said.out
    assert "1,920 voxels compared" in said.out
    assert "a mask of 1,920 (50 %)" in said.out
    said = cli("evaluate", *trio[:2], "--window", "40", "400")
    assert said.status == 0
    assert "clipped to centre 40, width 400" in said.out
    assert "Data range 400: width of the window." in said.out


def test_images_with_conventions_of_their_own(cli: Any, trio: list[Path], make_scan: Any) -> None:
    import nibabel as nib

    holed = np.asarray(nib.load(trio[1]).dataobj).copy()
    holed[0, 0, :3] = np.nan
    path = make_scan("holed.nii.gz", holed)
    said = cli("evaluate", *trio, path)
    assert said.status == 0
    (line,) = [line for line in said.out.splitlines() if line.startswith(f"{path}: ")]
    assert "3 left out: not finite" in line


@pytest.mark.parametrize("option", [["--window", "40", "0"], ["--data-range", "-1"]])
def test_impossible_ranges(cli: Any, trio: list[Path], option: list[str]) -> None:
    said = cli("evaluate", *trio[:2], *option)
    assert said.status == 2
    assert said.sentence


def test_images_that_cannot_be_compared(
    cli: Any, trio: list[Path], make_scan: Any, make_series: Any
) -> None:
    file = trio[0].with_name("scores.json")
    small = make_scan("small.nii.gz", np.zeros((8, 8, 8), np.float32))
    for other in (small, make_series(), trio[0].with_name("none.nii.gz")):
        said = cli("evaluate", *trio, other, "--json", file)
        assert said.status == 2
        assert other.name in said.sentence
        assert not file.exists()
    constant = make_scan("constant.nii.gz", np.full((16, 20, 12), 3, np.float32))
    said = cli("evaluate", constant, trio[1])
    assert said.status == 2
    assert "no range" in said.sentence
    empty = make_scan("empty.nii.gz", np.zeros((16, 20, 12), np.float32))
    assert "The mask is empty" in cli("evaluate", *trio[:2], "--mask", empty).sentence


def test_all_metrics_and_regions(cli: Any, make_scan: Any) -> None:
    draws = np.random.default_rng(0)
    x = np.arange(48)
    clean = (500 + 200 * np.sin(x / 5)[:, None, None] * np.cos(x / 6)[:44, None]).astype("f4")
    clean = np.repeat(clean, 12, axis=2)
    labels = np.ones(clean.shape, "f4")
    labels[:10] = 2
    noisy = clean + draws.normal(0, 30, clean.shape).astype("f4")
    noisy[:10] += 25
    paths = [make_scan(f"{n}.nii.gz", a) for n, a in (("a", clean), ("b", noisy), ("l", labels))]
    file = paths[0].with_name("all.json")
    said = cli("evaluate", *paths[:2], "--extended", "--roi", paths[2], "--json", file)
    assert (said.status, said.err) == (0, "")
    for word in ("MS-SSIM", "HFEN", "GMSD", "VIF", "width of edges [mm]", "regions of"):
        assert word in said.out
    (row,) = [line.split() for line in said.out.splitlines() if line.startswith("2 ")]
    assert float(row[3]) == pytest.approx(25, abs=2)
    assert "are against label 1" in said.out
    told = json.loads(file.read_text(), parse_constant=pytest.fail)[str(paths[1])]
    assert told["extra"]["hfen"]["value"] > 0
    assert told["regions"][1]["bias"] == pytest.approx(25, abs=2)
    # LPIPS or AlexNet's weights are not there, or it has a number.
    lpips = told["extra"]["lpips"]
    assert lpips["value"] is not None or "LPIPS needs" in lpips["reason"]


@pytest.fixture
def acquisitions(make_scan: Any) -> dict[str, Path]:
    """Two acquisitions of a block, and the first one smoothed a little too much."""
    import meddenoise as md

    draws = np.random.default_rng(0)
    clean = np.full((40, 40, 24), 100, np.float32)
    clean[12:28, 12:28, 6:18] = 400
    first, second = (clean + draws.normal(0, 10, clean.shape).astype("f4") for _ in range(2))
    arrays = {"noisy": first, "repeat": second, "truth": clean}
    paths = {name: make_scan(f"{name}.nii.gz", array) for name, array in arrays.items()}
    smooth = md.denoise(paths["noisy"], method="gaussian", options={"sigma": 1.2})
    return paths | {"smooth": make_scan("smooth.nii.gz", smooth.array[0])}


def test_without_a_reference(cli: Any, acquisitions: dict[str, Path]) -> None:
    a = acquisitions
    file = a["noisy"].with_name("told.json")
    said = cli(
        "evaluate", a["smooth"], "--noisy", a["noisy"], "--repeat", a["repeat"],
        "--method", "gaussian", "--set", "sigma=1.2", "--json", file,
    )  # fmt: skip
    assert (said.status, said.err) == (0, "")
    assert "anatomy went with it" in said.out
    assert "% wider than before" in said.out
    assert "of the noisy scan" in said.out
    told = json.loads(file.read_text(), parse_constant=pytest.fail)[str(a["smooth"])]
    values = {k: v["value"] for k, v in told["without_reference"]["values"].items()}
    assert values["noise_sigma"] == pytest.approx(10, rel=0.15)
    assert values["residual_ratio"] > 1.15
    scored = cli("evaluate", a["truth"], a["smooth"], "--json", file)
    assert scored.status == 0
    psnr = json.loads(file.read_text())[str(a["smooth"])]
    # The repeat and Stein's estimate know the error without the truth.
    peak = told["without_reference"]["data_range"] / psnr["data_range"]
    expected = psnr["psnr"] + 20 * np.log10(peak)
    assert values["psnr_repeat"] == pytest.approx(expected, abs=0.3)
    assert values["psnr_sure"] == pytest.approx(expected, abs=1)


def test_both_a_reference_and_the_noisy_scan(cli: Any, acquisitions: dict[str, Path]) -> None:
    a = acquisitions
    said = cli(
        "evaluate", a["smooth"], a["repeat"], "--noisy", a["noisy"], "--reference", a["truth"]
    )
    assert said.status == 0
    assert said.out.count("PSNR [dB]") == 1
    assert "structure in the residual" in said.out
    assert f"1: {a['smooth']}" in said.out
    assert "none: PSNR by the repeat (1), PSNR by the repeat (2): there is no repeat" in said.out


def test_lesions_put_in(cli: Any, make_scan: Any) -> None:
    x = np.arange(36)
    clean = 300 + 10 * np.sin(x / 9)[:, None, None] * np.ones((36, 36, 18))
    scan = make_scan("clean.nii.gz", clean.astype("f4"))
    file = scan.with_name("lesions.json")
    said = cli(
        "evaluate", "--lesions", scan, "--method", "median", "--noise", "gaussian", "--sigma", "15",
        "--size", "4", "--contrast=-5%", "--number", "14", "--json", file,
    )  # fmt: skip
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines()[0].split()[:2] == ["lesion", "method"]
    assert "4 mm, -15.5" in said.out
    told = json.loads(file.read_text(), parse_constant=pytest.fail)
    scores = {score["method"]: score for score in told["lesions"]}
    assert set(scores) == {"noisy", "gaussian", "median"}
    assert scores["noisy"]["contrast_recovery"]["value"] == pytest.approx(1, abs=1e-3)
    assert 0.2 < scores["median"]["contrast_recovery"]["value"] < 0.9
    assert scores["median"]["lesions"] == 14
    assert scores["median"]["d_prime_beyond_noisy"]["low"] is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to score"),
        (["A"], "stands alone"),
        (["A", "B", "--repeat", "B"], "--repeat is for --noisy"),
        (["A", "B", "--method", "median"], "--method is for --noisy"),
        (["A", "B", "--size", "4"], "--size is for --lesions"),
        (["A", "B", "--number", "5"], "--number is for --lesions"),
        (["A", "B", "--seed", "0"], "--seed is for --lesions"),
        (["A", "B", "--device", "cpu"], "--device is for --method or --model"),
        (["A", "--noisy", "B", "--set", "size=3"], "--set is for --method or --model"),
        (["A", "--noisy", "B", "--window", "40", "400"], "--window is for a reference"),
        (["A", "--noisy", "B", "--method", "a", "--model", "b"], "takes one --method or --model"),
        (["A", "--lesions", "B", "--method", "median"], "an image is not for --lesions"),
        (["--lesions", "B"], "Say --method NAME or --model FILE"),
        (["--lesions", "B", "--method", "median", "--sigma", "3"], "is the level of --noise"),
        (["--lesions", "B", "--method", "median", "--contrast", "0"], "contrast is '0'"),
        (["--lesions", "B", "--method", "median", "--size", "-1"], "above 0, in mm"),
        (["--lesions", "B", "--method", "median", "--number", "1"], "at least 3 lesions"),
        (["--lesions", "B", "--method", "median", "--size", "90"], "There is room for 0 lesions"),
        (["--lesions", "B", "--method", "medien"], "median"),
        (["--lesions", "C", "--method", "median"], "image is constant"),
        (["A", "--noisy", "C"], "no range"),
        (["A", "C"], "constant.nii.gz: it is constant, 3 everywhere"),
        (["C", "--noisy", "A"], "constant.nii.gz: it is constant"),
        (["A", "--noisy", "S"], "shape"),
        (["A", "--noisy", "B", "--repeat", "B"], "is the noisy scan itself"),
        (["A", "--noisy", "B", "--repeat", "none.nii.gz"], "none.nii.gz"),
        (["A", "B", "--roi", "A"], "fractions"),
        (["A", "B", "--roi", "E"], "no label but 0"),
        (["A", "B", "--json", "D"], "is a directory"),
        (["A", "--noisy", "N"], "noisy scan has no finite voxel"),
        (["N", "--noisy", "A"], "No voxel is finite in both"),
        (["A", "B", "--curves", "curves.txt"], "end in .json or .csv"),
        (["A", "--noisy", "B", "--roi", "E"], "--roi is for a reference or --curves"),
        (["A", "B", "--curves", "a.json", "--roi", "A"], "fractions"),
        (["--lesions", "B", "--method", "median", "--curves", "a.csv"], "--curves is not for"),
        (["F", "F", "--volume", "3"], "has 2 volumes"),
        (["A", "B", "--volume", "2"], "has 1 volume: leave --volume out"),
        (["--lesions", "B", "--method", "median", "--volume", "2"], "leave --volume out"),
        (["--lesions", "F", "--method", "median"], "has 2: choose one by --volume"),
        (["A", "--noisy", "B", "--window", "40", "400"], "--window is for a reference or --curves"),
        (["A", "B", "--curves", "a.csv", "--window", "40", "-4"], "width above 0"),
    ],
)
def test_one_sentence_for_what_makes_no_sense(
    cli: Any, trio: list[Path], make_scan: Any, words: list[str], said: str
) -> None:
    places = {
        "A": trio[0],
        "B": trio[1],
        "C": make_scan("constant.nii.gz", np.full((16, 20, 12), 3, np.float32)),
        "S": make_scan("small.nii.gz", np.ones((4, 4, 4), np.float32)),
        "E": make_scan("empty.nii.gz", np.zeros((16, 20, 12), np.float32)),
        "N": make_scan("nan.nii.gz", np.full((16, 20, 12), np.nan, np.float32)),
        "F": make_scan("four.nii.gz", np.ones((16, 20, 12, 2), np.float32)),
        "D": trio[0].parent,
    }
    found = cli("evaluate", *[places.get(word, word) for word in words])
    if "--repeat" in words and "itself" in said:
        assert found.status == 0
        assert said in found.out  # a number less, and why
        return
    assert found.status == 2
    assert said in found.sentence


def test_volumes_of_a_4d_scan(cli: Any, make_scan: Any) -> None:
    draws = np.random.default_rng(0)
    clean = np.full((24, 24, 12, 2), 100, np.float32)
    clean[6:18, 6:18] = 400
    noise = draws.normal(0, 1, clean.shape).astype("f4")
    scans = {"clean": clean, "noisy": clean + noise * [10, 20], "denoised": clean + noise * [3, 5]}
    paths = {name: make_scan(f"{name}.nii.gz", array) for name, array in scans.items()}
    file = paths["clean"].with_name("told.json")
    said = cli(
        "evaluate", "--reference", paths["clean"], paths["denoised"], "--noisy", paths["noisy"],
        "--units", "HU", "--mask", make_scan("all.nii.gz", np.ones((24, 24, 12), "f4")),
        "--json", file,
    )  # fmt: skip
    assert (said.status, said.err) == (0, "")
    rows = {line.split()[0]: line.split() for line in said.out.splitlines() if line.strip()}
    assert float(rows["mean"][3]) == pytest.approx(4, rel=0.05)
    assert "RMSE [HU]" in said.out
    assert "volumes of" in said.out
    told = json.loads(file.read_text(), parse_constant=pytest.fail)[str(paths["denoised"])]
    assert [one["rmse"] for one in told["volumes"]] == pytest.approx([3, 5], rel=0.05)
    assert len(told["without_reference"]["volumes"]) == 2
    alone = cli("evaluate", paths["clean"], paths["denoised"], "--volume", "2", "--json", file)
    assert alone.status == 0
    one = json.loads(file.read_text())[str(paths["denoised"])]
    assert one["rmse"] == pytest.approx(5, rel=0.05)
    assert "volumes" not in one


def test_curves_to_a_file(cli: Any, acquisitions: dict[str, Path], make_scan: Any) -> None:
    a = acquisitions
    # Uniform, and a box without a slanted edge through it.
    labels = np.zeros((40, 40, 24), np.float32)
    labels[:11] = 7
    regions = make_scan("labels.nii.gz", labels)
    words = ("evaluate", "--reference", a["truth"], "--noisy", a["noisy"], a["smooth"])
    file = a["noisy"].with_name("curves.json")
    said = cli(*words, "--curves", file, "--roi", regions)
    assert (said.status, said.err) == (0, "")
    assert "curves of" in said.out
    told = json.loads(file.read_text(), parse_constant=pytest.fail)[str(a["smooth"])]
    assert (told["window"], told["dimensions"]) == (None, 3)
    assert 0 < told["mask_fraction"] <= 1
    assert told["mask"] == "the tissue of the reference"
    assert told["data_range"] == 300
    curves = {(one["curve"], one["of"], one.get("region")): one for one in told["curves"]}
    kept = curves["edges kept", "image / reference", None]
    # A Gaussian of sigma 1.2 takes half of the edges at 0.156/mm.
    assert kept["numbers"]["f50"]["value"] == pytest.approx(0.156, rel=0.1)
    assert curves["edges kept", "noisy / reference", None]["numbers"]["f50"]["value"] is None
    assert curves["noise power", "noisy", 7]["numbers"]["sigma"]["value"] == pytest.approx(10, 0.1)
    assert curves["transfer of an insert", "image", 7]["reason"]
    table = file.with_suffix(".csv")
    assert cli("evaluate", a["smooth"], "--noisy", a["noisy"], "--curves", table).status == 0
    head, first, *_ = table.read_text().splitlines()
    assert head == "image,volume,curve,of,region,frequency_per_mm,value,unit"
    assert first.startswith(f"{a['smooth']},,noise power,noisy - image,,0,")


def test_curves_in_a_window(cli: Any, acquisitions: dict[str, Path]) -> None:
    a = acquisitions
    file = a["noisy"].with_name("curves.json")
    powers = {}
    for words in ((), ("--window", "400", "10")):
        said = cli("evaluate", a["smooth"], "--noisy", a["noisy"], "--curves", file, *words)
        assert (said.status, said.err) == (0, "")
        told = json.loads(file.read_text(), parse_constant=pytest.fail)[str(a["smooth"])]
        (power,) = [one for one in told["curves"] if one["curve"] == "noise power"]
        powers[words] = power["numbers"]["sigma"]["value"]
    assert told["window"] == [400, 10]
    assert (told["data_range"], told["data_range_source"]) == (10, "width of the window")
    assert "All images were clipped to centre" in said.out
    # Noise of 10 within a window of 10 is not all there.
    assert powers[words] < 0.7 * powers[()]


def test_bias_by_tissue(cli: Any, make_scan: Any) -> None:
    x = np.minimum(np.arange(60), 59 - np.arange(60)) // 10
    plane = np.array([-1000, -100, 50])[np.minimum.outer(x, x)]
    clean = np.repeat(plane[..., None], 12, axis=2).astype("f4")
    image = clean + np.where(clean == 50, 4, 0).astype("f4")
    paths = [make_scan("a.nii.gz", clean), make_scan("b.nii.gz", image)]
    file = paths[0].with_name("all.json")
    said = cli("evaluate", *paths, paths[0], "--units", "HU", "--json", file)
    assert (said.status, said.err) == (0, "")
    (row,) = [line.split() for line in said.out.splitlines() if line.startswith("soft tissue")]
    assert row[:5] == ["soft", "tissue", "-29", "to", "150"]
    assert [float(v) for v in row[6:]] == [50, 4, 0]
    assert "bias of 2 [HU]" in said.out
    assert "none: lung: 0 voxels" in said.out
    told = json.loads(file.read_text(), parse_constant=pytest.fail)[str(paths[1])]["tissues"]
    assert [one["bias"] for one in told["biases"]] == [0, None, 0, 4, None]
    said = cli("evaluate", paths[1], "--noisy", paths[0], "--units", "HU")
    assert "shift [HU]" in said.out
    # Where regions are given, they are what is looked at.
    roi = make_scan("roi.nii.gz", (clean == 50).astype("f4"))
    assert "Tissues:" not in cli("evaluate", *paths, "--units", "HU", "--roi", roi).out


def test_numbers_are_never_written_over_a_scan(cli: Any, trio: list[Path]) -> None:
    before = [path.read_bytes() for path in trio]
    clean, good, bad = trio
    for options in (
        (clean, good, "--json", good),
        (clean, good, "--mask", bad, "--json", good.parent / "." / bad.name),
        (good, "--noisy", bad, "--json", bad),
        ("--lesions", clean, "--method", "median", "--json", clean),
    ):
        said = cli("evaluate", *options)
        assert said.status == 2
        assert "is an input as well: choose another file" in said.err
    both = clean.parent / "both.json"
    said = cli("evaluate", clean, good, "--json", both, "--curves", both)
    assert said.status == 2
    assert "is that of --json as well" in said.err
    assert not both.exists()
    assert [path.read_bytes() for path in trio] == before
