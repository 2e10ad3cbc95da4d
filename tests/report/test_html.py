from __future__ import annotations

import hashlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import meddenoise
from meddenoise.errors import OutputError
from meddenoise.report.html import Page, Scans, Table
from meddenoise.volume import Volume

VENDOR = Path(meddenoise.__file__).parent / "report" / "vendor" / "niivue"


def test_text_cannot_become_markup(tmp_path: Path) -> None:
    page = Page("<script>a</script>")
    page.text("<img src=x>")
    page.table(Table(("<b>",), [("<i>",)]))
    page.code("</pre>")
    text = page.write(tmp_path / "p.html").read_text()
    for tag in ("<script>a", "<img", "<b>", "<i>", "</pre></pre>"):
        assert tag not in text


def test_a_name_that_is_no_text_is_spelled_out(tmp_path: Path) -> None:
    page = Page("A page")
    page.text(os.fsdecode(b"scan_\xe9.nii.gz"))
    assert "scan_\\udce9.nii.gz" in page.write(tmp_path / "p.html").read_text("utf-8")


def test_it_names_no_address_to_load_from(tmp_path: Path) -> None:
    found: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(v or "" for k, v in attrs if k in ("src", "href"))

    page = Page("t")
    volume = Volume.from_array(np.random.default_rng(0).normal(size=(8, 8, 8)))
    page.viewer(Scans(volume, volume))
    text = page.write(tmp_path / "p.html").read_text()
    Links().feed(text)
    assert all(link.startswith("data:") for link in found)
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    ("shape", "most", "shown", "said"),
    [
        ((8, 8, 40), 1300, [8, 8, 20], "its 40 axial slices one in 2 is here, whole. Nothing is"),
        ((16, 16, 16), 2100, [8, 16, 16], "one voxel of 2 x 1 x 1 is here. Nothing is"),
        ((16, 16, 40), 2100, [8, 8, 20], "slices one in 2 is here, with one voxel of 2 x 2."),
        ((40, 40), 1300, [20, 40, 1], "one voxel of 2 x 1 is here. Nothing is averaged"),
    ],
)
def test_a_large_scan_is_thinned_and_that_is_said(
    tmp_path: Path, shape: tuple[int, ...], most: int, shown: list[int], said: str
) -> None:
    page = Page("t")
    volume = Volume.from_array(np.random.default_rng(0).normal(size=shape))
    page.viewer(Scans(volume, volume, most=most))
    text = page.write(tmp_path / "p.html").read_text()
    assert said in text
    assert f"at most {most:,}, --voxels" in text
    told = json.loads(re.search(r'id="scans">(.*?)</script>', text).group(1))
    assert told["images"]["noisy"]["shape"] == shown


def test_intensities_are_rounded_by_what_was_taken_away(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    denoised = draws.uniform(0, 1000, (16, 16, 16))
    noisy = denoised + draws.normal(0, 32, denoised.shape)
    for pair, said in (((noisy, denoised), "rounded to 1"), ((noisy, noisy), "rounded to 0.0")):
        page = Page("t")
        page.viewer(Scans(*map(Volume.from_array, pair)))
        assert said in page.write(tmp_path / "p.html", overwrite=True).read_text()


def test_a_page_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "p.html").write_text("old")
    with pytest.raises(OutputError, match="exists"):
        Page("t").write(tmp_path / "p.html")
    assert (tmp_path / "p.html").read_text() == "old"


def test_the_viewer_is_the_one_that_is_named_with_its_licence() -> None:
    said = re.search(r"[0-9a-f]{64}", (VENDOR / "README.txt").read_text()).group()
    assert hashlib.sha256((VENDOR / "niivue.umd.js").read_bytes()).hexdigest() == said
    assert "BSD 2-Clause" in (VENDOR / "LICENSE.txt").read_text()
    assert "</script" not in (VENDOR / "niivue.umd.js").read_text(encoding="utf-8")
    assert "*/" not in (VENDOR / "BUNDLED.txt").read_text()


def test_numbers_stand_right_and_how_they_were_found_is_small() -> None:
    page = Page("a")
    page.table(
        Table(("", "value", "how, or why there is none"), [
            ("GMSD", "0.1", "3-D, Prewitt"), ("LPIPS", "none", "short"),
        ])
    )  # fmt: skip
    text = "".join(page.parts)
    for cell in ('<td class="number">0.1</td>', '<td class="number">none</td>', "<td>GMSD</td>",
                 '<td class="said">3-D, Prewitt</td>', '<td class="said">short</td>'):  # fmt: skip
        assert cell in text


@pytest.mark.parametrize(
    ("axes", "shape", "spacing", "view"),
    [
        ((0, 1, 2), (24, 20, 16), (1, 1, 1), 3),
        ((0, 1, 2), (40, 40, 5), (1, 1, 2), 0),
        ((0, 2, 1), (40, 40, 5), (1, 1, 2), 1),
        ((1, 2, 0), (40, 40, 5), (1, 1, 2), 2),
        ((0, 1, 2), (40, 40, 10), (1, 1, 4), 3),
    ],
)
def test_a_slab_opens_in_its_own_plane(
    tmp_path: Path, axes: Any, shape: Any, spacing: Any, view: int
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(axes)] * spacing
    volume = Volume(np.random.default_rng(0).normal(size=(1, *shape)).astype("f4"), affine)
    page = Page("a")
    page.viewer(Scans(volume, volume))
    assert f'"plane": {view},' in page.scripts[0]
