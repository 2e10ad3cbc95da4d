from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from meddenoise.errors import OutputError
from meddenoise.report import preview
from meddenoise.report.preview import display_window
from meddenoise.volume import Volume


def pair(*shape: int, units: str = "", affine: np.ndarray | None = None) -> tuple[Volume, Volume]:
    """A noisy and a clean volume."""
    rng = np.random.default_rng(0)
    clean = np.zeros((1, *shape), np.float32)
    clean[(0, *(slice(n // 4, 3 * n // 4) for n in shape))] = 100
    grid = np.eye(4) if affine is None else affine
    noisy = clean + rng.normal(0, 10, clean.shape).astype(np.float32)
    return Volume(noisy, grid, units=units), Volume(clean, grid, units=units)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_three_rows_and_a_column_an_image(tmp_path: Path) -> None:
    noisy, clean = pair(32, 32, 32)
    three = pixels(preview(tmp_path / "three.png", noisy, clean))
    four = pixels(preview(tmp_path / "four.png", noisy, clean, clean))
    assert three.shape[0] == four.shape[0]
    assert three.shape[1] / four.shape[1] == pytest.approx(3 / 4, abs=0.01)
    assert 900 < three.shape[0] < 1400
    assert 900 < three.shape[1] < 1200


def test_it_shows_what_it_is_given(tmp_path: Path) -> None:
    noisy, clean = pair(32, 32, 32)
    one = pixels(preview(tmp_path / "one.png", noisy, clean))
    other = pixels(preview(tmp_path / "other.png", noisy, noisy))
    assert not np.array_equal(one, other)
    same = pixels(preview(tmp_path / "same.png", noisy, clean))
    np.testing.assert_array_equal(one, same)
    captioned = preview(tmp_path / "c.png", noisy, clean, captions={"noisy": "PSNR 20 dB"})
    assert not np.array_equal(pixels(captioned), one)
    third = one.shape[1] // 3
    middle = np.s_[one.shape[0] // 2 - 20 : one.shape[0] // 2 + 20, third + 100 : third + 140]
    assert one[middle].std() < 1 < other[middle].std()  # the second column is the denoised one


def test_a_first_volume_that_was_lost(tmp_path: Path) -> None:
    noisy, clean = pair(16, 16, 16)
    lost = np.full_like(noisy.array, np.nan)
    noisy, clean = (
        Volume(np.concatenate([lost, scan.array]), scan.affine) for scan in (noisy, clean)
    )
    made = pixels(preview(tmp_path / "lost.png", noisy, clean, clean))
    assert made.size > 0


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((40, 30), (1, 1, 1)),
        ((40, 30, 1), (1, 1, 5)),
        ((40, 30, 12), (0.8, 0.8, 6.5)),
        ((5, 5, 5), (0.5, 0.5, 9)),
        ((6, 6, 300), (1, 1, 3)),
    ],
)
def test_flat_thin_and_tiny_scans(
    tmp_path: Path, shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> None:
    noisy, clean = pair(*shape, affine=np.diag([*spacing, 1.0]))
    height, width, _ = pixels(preview(tmp_path / "p.png", noisy, clean)).shape
    assert 100 < height < 2500
    assert width == pytest.approx(1056, abs=2)


def test_a_long_scan_keeps_its_proportions(tmp_path: Path) -> None:
    """The white block is as high over wide in the picture as in millimetres."""
    _, clean = pair(32, 32, 16, affine=np.diag([1.0, 1, 3, 1]))
    image = pixels(preview(tmp_path / "p.png", clean, clean))
    column = image[:, : image.shape[1] // 3].astype(int)
    white = (column.min(-1) > 250) & (np.ptp(column, axis=-1) == 0)
    white[: int(60 * 1.1)] = False  # the title
    rows = np.flatnonzero(white[:, white.shape[1] // 2])
    last = np.flatnonzero(np.diff(rows) > 5)
    first_block = rows[: last[0] + 1] if len(last) else rows
    width = np.count_nonzero(white[first_block[len(first_block) // 2]])
    assert len(first_block) / width == pytest.approx(8 * 3 / 16, rel=0.05)


def test_odd_values_are_no_fault(tmp_path: Path) -> None:
    noisy, clean = pair(20, 20, 20, units="HU")
    holed = noisy.array.copy()
    holed[0, 3:6, 10, 10] = np.nan
    preview(tmp_path / "nan.png", noisy.with_array(holed), clean)
    flat = clean.with_array(np.zeros_like(clean.array))
    preview(tmp_path / "flat.png", flat, flat)
    four_d = Volume(np.concatenate([noisy.array, clean.array]), np.eye(4))
    preview(tmp_path / "4d.png", four_d, four_d)


def test_an_impossible_place(tmp_path: Path) -> None:
    noisy, clean = pair(16, 16, 16)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        preview(tmp_path / "file/p.png", noisy, clean)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e17, -1e20, 3e38])
def test_a_constant_has_a_window(value: float) -> None:
    low, high = display_window(Volume.from_array(np.full((4, 4, 4), value, np.float32)))
    assert low < high
