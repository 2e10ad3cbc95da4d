"""The page in a real browser: Chromium without a screen, WebGL by software."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from meddenoise.report.html import Page, Scans
from meddenoise.volume import Volume

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]  # fmt: skip


def volumes(shape: tuple[int, ...]) -> Scans:
    draws = np.random.default_rng(0)
    clean = np.zeros(shape)
    clean[tuple(slice(n // 4, 3 * n // 4) for n in shape)] = 100
    noisy = clean + 20 * draws.standard_normal(shape)
    return Scans(*(Volume.from_array(a.astype(np.float32)) for a in (noisy, clean, clean)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield started
        started.close()


class Opened:
    """A page from the disk, and what its console and the network were asked."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": 1000, "height": 900})
        self.page.on(
            "console",
            lambda m: self.said.append(m.text) if m.type in ("error", "warning") else None,
        )
        self.page.on("pageerror", lambda fault: self.said.append(str(fault)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri(), timeout=180_000)
        self.page.wait_for_selector("body[data-ready]", timeout=180_000)

    def look(self) -> np.ndarray:
        """The slices as they are on the screen, ``(rows, columns, 3)``."""
        import io

        shot = self.page.locator("#stage").screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    def set(self, control: str, value: float) -> None:
        self.page.eval_on_selector(
            f"#{control}",
            "(e, v) => { e.value = v; e.dispatchEvent(new Event('input'));"
            " e.dispatchEvent(new Event('change')); }",
            str(value),
        )
        self.page.wait_for_timeout(150)


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    page = Page("Test")
    page.viewer(volumes((24, 20, 16)))
    return Opened(browser, page.write(tmp_path_factory.mktemp("page") / "page.html"))


@pytest.fixture
def fresh(opened: Opened) -> Opened:
    opened.page.click("#reset")
    opened.page.wait_for_timeout(200)
    return opened


def shades(picture: np.ndarray) -> int:
    """How many greys there are in more than a few places: many with noise, few without."""
    grey = picture[np.ptp(picture, axis=2) < 8].mean(axis=1).astype(int)
    return int((np.bincount(grey, minlength=256) > 50).sum())


def test_it_opens_without_an_error_and_asks_nobody(fresh: Opened) -> None:
    assert fresh.page.get_attribute("body", "data-ready") == "yes"
    assert fresh.page.text_content("#trouble") == ""
    assert not [line for line in fresh.said if "GPU stall" not in line]
    assert all(url.startswith(("file:", "data:", "blob:")) for url in fresh.asked)
    picture = fresh.look()
    assert picture.std() > 10
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50


def test_the_swipe_shows_more_of_one_or_the_other(fresh: Opened) -> None:
    fresh.set("swipe", 100)
    noisy = fresh.look()
    fresh.set("swipe", 0)
    denoised = fresh.look()
    assert shades(noisy) > 3 * shades(denoised)
    fresh.set("swipe", 50)
    both, middle = fresh.look(), noisy.shape[1] // 2
    top = slice(0, -40)  # above the names
    assert np.abs(both[top, : middle - 9] - noisy[top, : middle - 9]).mean() < 0.5
    assert np.abs(both[top, middle + 9 :] - denoised[top, middle + 9 :]).mean() < 0.5


def test_the_bar_is_dragged(fresh: Opened) -> None:
    stage = fresh.page.locator("#stage").bounding_box()
    y = stage["y"] + stage["height"] / 2
    fresh.page.mouse.move(stage["x"] + stage["width"] / 2, y)
    fresh.page.mouse.down()
    fresh.page.mouse.move(stage["x"] + stage["width"] / 4, y, steps=4)
    fresh.page.mouse.up()
    assert abs(float(fresh.page.input_value("#swipe")) - 25) < 1


def test_window_and_level_change_what_is_seen(fresh: Opened) -> None:
    before = fresh.look()
    fresh.set("level", 400)
    darker = fresh.look()
    assert darker.mean() < 0.7 * before.mean()
    fresh.set("level", 0)
    assert fresh.look().mean() > 1.2 * before.mean()


def test_zoom_makes_it_larger(fresh: Opened) -> None:
    fresh.set("plane", 0)
    before = (fresh.look().mean(axis=2) > 100).mean()
    fresh.set("zoom", 2)
    assert (fresh.look().mean(axis=2) > 100).mean() > 1.5 * before


def test_the_residual_is_laid_over_in_colour(fresh: Opened) -> None:
    def colour(picture: np.ndarray) -> float:
        return float((picture.max(axis=2) - picture.min(axis=2) > 60).mean())

    before = colour(fresh.look())
    fresh.set("overlay", 1)
    assert colour(fresh.look()) > before + 0.05


def test_one_plane_or_three(fresh: Opened) -> None:
    three = fresh.look()
    fresh.set("plane", 0)
    assert np.abs(fresh.look() - three).mean() > 3


def test_a_click_in_one_plane_moves_both_sides(fresh: Opened) -> None:
    fresh.page.mouse.click(*_point(fresh, 0.15, 0.25))
    fresh.page.wait_for_timeout(200)
    places = fresh.page.evaluate(
        "Object.values(meddenoiseViewer.sides).map(nv => Array.from(nv.scene.crosshairPos))"
    )
    assert np.allclose(places[0], places[1], atol=1e-4)
    assert not np.allclose(places[0], 0.5, atol=0.02)
    assert "noisy" in fresh.page.text_content("#place") or "denoised" in fresh.page.text_content(
        "#place"
    )


def _point(opened: Opened, across: float, down: float) -> tuple[float, float]:
    stage = opened.page.locator("#stage").bounding_box()
    return stage["x"] + across * stage["width"], stage["y"] + down * stage["height"]


def test_the_reference_is_a_side_too(fresh: Opened) -> None:
    fresh.page.select_option("#left", "reference")
    fresh.set("swipe", 100)
    assert fresh.page.text_content("#name-left") == "reference"
    noise_free = shades(fresh.look())
    fresh.page.select_option("#left", "noisy")
    fresh.page.wait_for_timeout(200)
    assert shades(fresh.look()) > 3 * noise_free


@pytest.mark.parametrize(("scale", "offset"), [(1e-11, 0.0), (1.0, 1e6)])
def test_scans_of_tiny_numbers_and_far_from_zero_are_seen_as_others(
    browser: Any, opened: Opened, tmp_path: Path, scale: float, offset: float
) -> None:
    plain = volumes((24, 20, 16))
    arrays = (v.array[0].astype(np.float64) for v in (plain.noisy, plain.denoised))
    page = Page("Other numbers")
    page.viewer(Scans(*(Volume.from_array(array * scale + offset) for array in arrays)))
    other = Opened(browser, page.write(tmp_path / "other.html"))
    opened.page.click("#reset")
    opened.page.wait_for_timeout(200)
    for look in (other, opened):
        look.set("overlay", 1)
    assert abs(other.look() - opened.look()).mean() < 4
    assert float(other.page.input_value("#window")) == pytest.approx(100 * scale)
    assert float(other.page.input_value("#level")) == pytest.approx(50 * scale + offset)
    other.page.mouse.click(*_point(other, 0.15, 0.25))
    other.page.wait_for_timeout(200)
    value = float(other.page.text_content("#place").split()[1])
    assert value == pytest.approx(offset, abs=200 * scale)
    other.page.close()


def test_a_picture_has_one_plane(browser: Any, tmp_path: Path) -> None:
    page = Page("Flat")
    page.viewer(volumes((40, 30)))
    opened = Opened(browser, page.write(tmp_path / "flat.html"))
    assert opened.page.get_attribute("body", "data-ready") == "yes"
    assert opened.look().std() > 10
    assert not [line for line in opened.said if "GPU stall" not in line]
    opened.page.close()
