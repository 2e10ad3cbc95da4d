"""``meddenoise train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from meddenoise.cli.options import Device, ReplaceRun, Resume, RunDirectory

__all__ = ["train"]


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="A YAML file, such as configs/mri_n2v.yaml.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a key: --set data.images=scan.nii.gz --set training.steps=2000. "
            "Can be given many times; the value is YAML, so null removes a section.",
        ),
    ] = None,
    output: RunDirectory = None,
    resume: Resume = False,
    overwrite: ReplaceRun = False,
    device: Device = "auto",
) -> None:
    """Train a model on your scans, then denoise the test scans with it.

    A single scan trains on itself and is denoised; of several subjects, 70 % train, 15 %
    validate and 15 % test. The run directory then holds `model.safetensors` (for `meddenoise
    denoise --model`), `denoised/`, `preview.png`, `metrics.json`, `log.jsonl`, `splits.json`,
    the resolved `config.yaml`, and TensorBoard logs. Ctrl-C stops and saves; `--resume` goes on.

    Several processes: `torchrun --nproc-per-node 2 -m meddenoise train CONFIG`.
    """
    from meddenoise.workflows.train import train as run

    finished = run(
        config,
        overrides=set_ or [],
        output=output,
        resume=resume,
        overwrite=overwrite,
        device=device,
        progress=int(os.environ.get("RANK", "0")) == 0,
    )
    if finished is None:
        return
    told = finished.metrics["train"]
    speed = told["voxels_per_second"]
    pace = f", {speed / 1e6:.2f} Mvoxel/s" if speed else ""
    print(f"Trained {told['steps']} steps in {told['seconds']:.0f} s{pace}.")
    test = finished.metrics["test"]
    before, after = test.get("noisy", {}), test.get("denoised", {})
    gains = [
        f"{metric.upper()} {before[metric]:{form}} -> {after[metric]:{form}}{unit}"
        for metric, form, unit in (("psnr", ".2f", " dB"), ("ssim", ".3f", ""))
        if metric in before and metric in after
    ]
    if gains:
        scans = len(test["volumes"])
        print(f"Test {', '.join(gains)} ({scans} scan(s); conventions in metrics.json).")
    for name, what in (
        ("denoised", "the denoised scans, in their own format"),
        ("model.safetensors", "the model, for meddenoise denoise --model"),
        ("preview.png", f"noisy | denoised | residual{' | truth' if before else ''}"),
        ("metrics.json", "all numbers"),
    ):
        print(f"  {finished.directory / name}  {what}")
