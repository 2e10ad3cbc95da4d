from __future__ import annotations

import pytest

from meddenoise.report.benchmark_table import Cell, markdown, summarise

MACHINE = {"processors": 2, "platform": "Linux", "versions": {"torch": "2"}}


def test_a_label_does_not_end_its_cell() -> None:
    cells = [Cell(name, "head", "3 %", {"psnr": 30.0, "ssim": 0.9}) for name in ("a|b", "c")]
    lines = markdown(summarise(cells, "c"), cells, "c", MACHINE).splitlines()
    (row,) = [line for line in lines if line.startswith("| a")]
    (head,) = [line for line in lines if line.startswith("| method")]
    assert row.startswith(r"| a\|b | 30.00 |")
    assert row.replace(r"\|", "").count("|") == head.count("|")


def test_where_all_failed_the_table_says_so() -> None:
    cells = [Cell.failed(name, "head", "3 %", "no memory") for name in ("a", "c")]
    told = markdown(summarise(cells, "c"), cells, "c", MACHINE)
    assert "- a, head, 3 %: no memory" in told


def test_noises_of_one_volume_are_no_more_volumes() -> None:
    gains = {"a": 1.0, "b": 2.0, "c": 3.0}
    cells = [
        Cell(method, volume, f"{noise} %", {"psnr": 40 - noise + better, "ssim": 0.9})
        for method in ("first", "second")
        for volume, gain in gains.items()
        for noise in (1, 3, 5, 7)
        for better in [gain if method == "second" else 0]
    ]
    told = summarise(cells, "first")
    (one,) = [row for row in told if (row.method, row.noise) == ("second", "3 %")]
    (whole,) = [row for row in told if (row.method, row.noise) == ("second", "all")]
    assert whole.psnr is not None
    assert one.psnr_gain is not None
    assert whole.psnr_gain is not None
    assert whole.psnr.value == pytest.approx(40 - 4 + 2)
    assert whole.psnr.count == 12
    # The gain is the same with every noise, and so is what is known of it.
    assert whole.psnr_gain.p_value is None
    low, high = whole.psnr_gain.difference.low, whole.psnr_gain.difference.high
    assert (low, high) == pytest.approx(
        (one.psnr_gain.difference.low, one.psnr_gain.difference.high)
    )


def test_over_all_noises_pairs_are_those_that_both_have() -> None:
    def cell(method: str, volume: str, noise: str, value: float) -> Cell:
        return Cell(method, volume, noise, {"psnr": value, "ssim": None})

    cells = [
        cell("first", "a", "weak", 40), cell("first", "a", "strong", 20),
        cell("first", "b", "weak", 42), cell("first", "b", "strong", 22),
        cell("second", "a", "weak", 41), Cell.failed("second", "a", "strong", "no memory"),
        cell("second", "b", "weak", 45), cell("second", "b", "strong", 23),
    ]  # fmt: skip
    (row,) = [r for r in summarise(cells, "first") if (r.method, r.noise) == ("second", "all")]
    assert row.psnr_gain is not None
    assert row.psnr_gain.difference.value == pytest.approx((1 + 3 + 1) / 3)
    assert (row.failed, row.psnr_gain.difference.count) == (1, 3)
