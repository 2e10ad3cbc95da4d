from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import meddenoise as md
from meddenoise.config import InferenceConfig, NormaliseConfig, StabiliseConfig, parse
from meddenoise.data.draws import Draws
from meddenoise.data.patches import Batch
from meddenoise.errors import ConfigError, ModelError, ParameterError
from meddenoise.inference import Denoiser, read_model_info
from meddenoise.networks import build_network, with_noise_map
from meddenoise.noise import build_noise
from meddenoise.training import DistillationTrainer, Engine, build_trainer
from meddenoise.volume import Volume

Make = Callable[..., Engine]
OPTIONS = {"depth": 3, "width": 6}


def teacher(
    place: Path, *, noise_map: bool = False, name: str = "teacher", **settings: Any
) -> Path:
    """A model file of a network with random weights that do something."""
    torch.manual_seed(1)
    network = build_network("dncnn", dims=2, inputs=1 + noise_map, **OPTIONS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape))
    info = {"network": {"name": "dncnn", "dims": 2, "options": OPTIONS}}
    made = Denoiser(network, dims=2, device="cpu", info=info, noise_map=noise_map, **settings)
    return made.save(place / f"{name}.safetensors")


def batch(rows: int = 4, **changes: Any) -> Batch:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(rows, 1, 12, 12, generator=generator)
    image = target + 0.3 * torch.randn(target.shape, generator=generator)
    column = torch.ones(rows, 1, 1, 1)
    numbers = (2 * column, 10 * column, torch.full((rows,), 20.0), torch.ones(rows, 2))
    return replace(Batch(image, target, None, *numbers), **changes)


def test_the_loss_is_the_distance_to_what_the_teacher_makes(tmp_path: Path) -> None:
    file = teacher(tmp_path)
    trainer = build_trainer("distillation", teacher=str(file))
    student = build_network("light", dims=2, channels=[3])
    given = batch(target=None)
    loss, terms = trainer.training_step(student, given, Draws(0, 0, 4))
    taught = Denoiser.load(file, device="cpu").network(given.image)
    expected = (student(given.image) - taught).square().mean()
    torch.testing.assert_close(loss, expected)
    assert terms == {}
    loss.backward()
    assert isinstance(trainer, DistillationTrainer)
    assert all(parameter.grad is None for parameter in trainer.teacher.parameters())
    assert not trainer.needs_target


def test_a_share_of_the_truth(tmp_path: Path) -> None:
    trainer = build_trainer("distillation", teacher=str(teacher(tmp_path)), share=0.75, loss="l1")
    student = build_network("light", dims=2, channels=[3])
    loss, terms = trainer.training_step(student, batch(), Draws(0, 0, 4))
    torch.testing.assert_close(loss, 0.75 * terms["to_teacher"] + 0.25 * terms["to_truth"])
    truth = (student(batch().image) - batch().target).abs().mean()
    torch.testing.assert_close(terms["to_truth"], truth)
    assert trainer.needs_target


def test_a_teacher_with_a_noise_map_is_told_the_level(tmp_path: Path) -> None:
    file = teacher(tmp_path, noise_map=True)
    trainer = build_trainer("distillation", teacher=str(file))
    assert trainer.needs_sigma
    assert trainer.inputs == 1
    student = build_network("light", dims=2, channels=[3])
    given = batch(sigma=torch.tensor([1.0, 2.0, 3.0, 4.0]))
    loss, _ = trainer.training_step(student, given, Draws(0, 0, 4))
    network = Denoiser.load(file, device="cpu").network
    taught = network(with_noise_map(given.image, torch.tensor([0.1, 0.2, 0.3, 0.4])))
    torch.testing.assert_close(loss, (student(given.image) - taught).square().mean())
    # Noise that is drawn anew is known to it as well.
    fresh = DistillationTrainer(str(file), noise=build_noise("gaussian", sigma=5.0))
    noisy = fresh.noisy(batch(), Draws(0, 0, 4))
    assert noisy.sigma is not None
    assert noisy.sigma.tolist() == [5.0] * 4


def test_the_student_comes_nearer_to_the_teacher(make: Make, tmp_path: Path) -> None:
    """From noisy scans alone, without a clean one."""
    trainer = build_trainer("distillation", teacher=str(teacher(tmp_path)))
    student = build_network("light", dims=2, channels=[8, 8])
    options: dict[str, Any] = {"validate_every": 1000, "ema": 0.9, "precision": "fp32"}
    first = make(trainer=trainer, network=student, steps=1, learning_rate=1e-9, **options).run()
    after = make(trainer=trainer, network=student, steps=200, **options).run()
    assert after.validation["loss"] < 0.25 * first.validation["loss"]


def scan(*shape: int) -> np.ndarray:
    place = np.meshgrid(*(np.linspace(0, 6, n) for n in shape), indexing="ij")
    clean = 100 + 40 * np.sin(sum(place))
    return (clean + np.random.default_rng(0).normal(0, 8, shape)).astype(np.float32)


def test_fitted_on_a_scan_its_model_tells_no_path(tmp_path: Path) -> None:
    file = teacher(tmp_path, name="Doe^Jane")
    trainer = build_trainer("distillation", teacher=str(file))
    made = trainer.fit(scan(24, 24), network="light", patch=[12, 12], steps=2, device="cpu")
    told = read_model_info(made.save(tmp_path / "student.safetensors"))
    assert told["trainer"]["name"] == "distillation"
    assert told["trainer"]["teacher"].startswith("sha256:")
    assert "Doe" not in str(told)
    assert not told["inference"]["restore"]


def test_a_whole_run_by_configuration(tmp_path: Path) -> None:
    file = teacher(tmp_path, name="Doe^Jane")
    md.write(Volume.from_array(scan(24, 24)), tmp_path / "scan.nii.gz")
    run = md.train(
        {
            "data": {"images": str(tmp_path / "scan.nii.gz"), "patch": [12, 12]},
            "trainer": {"name": "distillation", "teacher": str(file)},
            "network": {"name": "light", "channels": [4]},
            "training": {"steps": 2, "trackers": [], "validate_batches": 1},
        },
        output=tmp_path / "run",
        device="cpu",
        progress=False,
    )
    assert run is not None
    assert "Doe" not in str(read_model_info(run.directory / "model.safetensors"))


def test_a_blind_teacher_has_a_blind_student(tmp_path: Path) -> None:
    file = teacher(tmp_path, inference=InferenceConfig(restore=True))
    trainer = build_trainer("distillation", teacher=str(file))
    assert trainer.blind
    made = trainer.fit(scan(24, 24), network="light", patch=[12, 12], steps=1, device="cpu")
    assert made.inference.restore


@pytest.mark.parametrize(
    ("changes", "stabilise", "message"),
    [
        ({"data": {"patch": [8, 8, 8]}}, "none", r"the model is 2-D and data\.patch has 3 axes"),
        (
            {"data": {"normalise": {"method": "fixed", "shift": 0, "scale": 200}}},
            "none",
            r"by \{method: standard\}, and this run has \{method: fixed, shift: 0, scale: 200\}",
        ),
        ({}, "rician", r"stabilised by 'none'.*give noise\.stabilise: none"),
    ],
)
def test_a_teacher_of_other_numbers_is_refused(
    tmp_path: Path, changes: dict[str, Any], stabilise: Any, message: str
) -> None:
    trainer = build_trainer("distillation", teacher=str(teacher(tmp_path)))
    data = {"images": "x", "patch": [8, 8], **changes.get("data", {})}
    config = parse({"data": data, "trainer": {"name": "distillation"}})
    with pytest.raises(ConfigError, match=rf"trainer\.teacher.*{message}"):
        trainer.check(config, StabiliseConfig(method=stabilise))


def test_only_the_numbers_that_count_must_agree(tmp_path: Path) -> None:
    file = teacher(tmp_path, normalise=NormaliseConfig(method="standard", low=3.0, scale=7.0))
    config = parse({"data": {"images": "x", "patch": [8, 8]}, "trainer": {"name": "distillation"}})
    build_trainer("distillation", teacher=str(file)).check(config, StabiliseConfig())


def test_what_is_no_teacher(tmp_path: Path, make: Make) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        build_trainer("distillation", teacher=str(tmp_path / "none.safetensors"))
    with pytest.raises(ConfigError, match=r"trainer\.teacher is missing|trainer\.teacher"):
        build_trainer("distillation")
    file = str(teacher(tmp_path))
    for share in (0.0, 1.5):
        with pytest.raises(ParameterError, match="share is above 0"):
            build_trainer("distillation", teacher=file, share=share)
    with pytest.raises(ConfigError, match="learns from clean partners"):
        make(trainer=build_trainer("distillation", teacher=file, share=0.5))


def test_noise_that_is_drawn_needs_clean_scans_to_draw_it_on(tmp_path: Path) -> None:
    trainer = DistillationTrainer(str(teacher(tmp_path)), noise=build_noise("gaussian", sigma=5.0))
    assert trainer.needs_target
    with pytest.raises(ConfigError, match=r"give data\.targets"):
        trainer.fit(np.random.default_rng(0).random((16, 16)), patch=[8, 8], steps=1, device="cpu")
