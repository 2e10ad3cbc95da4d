from __future__ import annotations

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
