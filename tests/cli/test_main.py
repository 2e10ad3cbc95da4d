from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import meddenoise

EXPLAINED = {
    "train": ["--set", "--output", "--resume", "--overwrite", "default: auto", "70 %", "Ctrl-C"],
    "denoise": [
        *["--model", "--method", "bm4d", "meddenoise methods", "--set", "--sigma", "99.9th"],
        *["derived", "--overwrite", "--json", "glob"],
    ],
    "methods": ["--json", "options"],
    "networks": ["--measure", "--json", "--set", "Weights", "halo", "default: all"],
    "evaluate": ["--mask", "99.9th", "CENTER WIDTH", "--json", "PSNR", "SSIM"],
    "simulate": ["--list", "--set", "SNR", "%", "--dose", "--units", "default: 0", "--series"],
    "info": ["--json", "noise", "model"],
    "config": ["schema", "show"],
    "config schema": ["JSON Schema"],
    "config show": ["--set", "default"],
}


def test_version(cli: Any) -> None:
    said = cli("--version")
    assert (said.status, said.out.strip()) == (0, f"meddenoise {meddenoise.__version__}")


@pytest.mark.parametrize("command", EXPLAINED)
def test_help_explains_every_command(cli: Any, command: str) -> None:
    for flag in ("--help", "-h"):
        said = cli(*command.split(), flag)
        assert said.status == 0
        assert not said.err
        for word in EXPLAINED[command]:
            assert word in said.out


@pytest.mark.parametrize(
    ("words", "before"),
    [
        (["info", ""], "info"),
        (["denoise", "", "out.nii"], "denoise"),
        (["denoise", "scan.nii", "out.nii", "--keep-noise", ""], "--keep-noise"),
        (["config", "show", ""], "show"),
        ([""], "meddenoise"),
    ],
)
def test_an_empty_word_is_no_place(cli: Any, words: list[str], before: str) -> None:
    said = cli(*words)
    assert said.status == 2
    assert f"after '{before}' is empty" in said.sentence


def test_help_names_all_commands(cli: Any) -> None:
    said = cli("--help")
    assert said.status == 0
    for command in ("train", "denoise", "methods", "evaluate", "simulate", "info", "config"):
        assert f" {command} " in said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["denoise", "scan.nii.gz"], "Missing argument 'OUTPUT'"),
        (["denoise", "a", "b", "--colour"], "No such option"),
        (["evaluate", "a.nii.gz"], "a.nii.gz stands alone"),
        (["simulate", "a", "b"], "Missing option '--noise'"),
        (
            ["simulate", "a", "b", "--noise", "poisson", "--seed", "much"],
            "Invalid value for '--seed'",
        ),
        (["evaluate", "a", "b", "--window", "40"], "requires 2 arguments"),
        (["train"], "Missing argument 'CONFIG'"),
        (["info"], "Missing argument 'PATH'"),
        (["denoize", "a", "b"], "No such command 'denoize'"),
        (["config", "print"], "No such command 'print'"),
    ],
)
def test_usage_errors_are_the_user_s_to_mend(cli: Any, words: list[str], told: str) -> None:
    said = cli(*words)
    assert said.status == 2
    assert told in said.err


def test_no_command_prints_the_help(cli: Any) -> None:
    said = cli()
    assert said.status == 2
    assert "denoise" in said.out + said.err


def test_ctrl_c_is_130_and_leaves_nothing(
    cli: Any, scan: Path, contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the very moment that the output is written."""
    before = contents(scan.parent)

    def interrupted(*_: Any, **__: Any) -> None:
        assert any(".part-" in name for name in contents(scan.parent))
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("meddenoise.io.nifti.write_nifti", interrupted)
    said = cli("denoise", scan, scan.parent / "out.nii.gz", "--method", "identity")
    assert said.status == 130
    assert said.sentence.startswith("meddenoise: Stopped")
    assert contents(scan.parent) == before


def test_sigterm_leaves_nothing_either(
    cli: Any, scan: Path, contents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(scan.parent)
    monkeypatch.setattr(
        "meddenoise.io.nifti.write_nifti", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
    )
    said = cli("denoise", scan, scan.parent / "out.nii.gz", "--method", "identity")
    assert said.status == 128 + signal.SIGTERM
    assert contents(scan.parent) == before
