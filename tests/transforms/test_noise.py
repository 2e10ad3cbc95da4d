from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, RandFlipd, RandSpatialCropSamplesd
from monai.utils import set_determinism

from meddenoise.errors import ConfigError, ParameterError
from meddenoise.noise import build_noise, kspace, rician
from meddenoise.transforms import AddNoise, AddNoised, NormaliseIntensity, NormaliseIntensityd
from meddenoise.transforms.normalise import plain_values


def head(units: str = "") -> MetaTensor:
    x = torch.linspace(0, 1000, 32 * 32 * 32).reshape(1, 32, 32, 32)
    return MetaTensor(x, meta={"units": units} if units else None)


def test_noise_is_a_function_of_the_random_state() -> None:
    def series(seed: int) -> list[torch.Tensor]:
        transform = AddNoise("gaussian", sigma=[1, 50])
        transform.set_random_state(seed=seed)
        return [transform(head()).as_tensor() for _ in range(3)]

    once, again, other = series(0), series(0), series(1)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0], other[0])
    spreads = [float((noisy - head().as_tensor()).std()) for noisy in once]
    assert max(spreads) > 1.2 * min(spreads)


def test_the_input_is_not_touched() -> None:
    given = head()
    AddNoise("rician", sigma="10%")(given)
    assert torch.equal(given.as_tensor(), head().as_tensor())
    assert "noise" not in given.meta


@pytest.mark.parametrize("of", [">f4", ">i2"])
def test_arrays_of_another_byte_order(of: str) -> None:
    array = np.arange(2 * 8**3).reshape(2, 8, 8, 8)
    noisy = []
    for given in (array.astype(of), array.astype(np.float32), array[:, ::-1].astype(of)[:, ::-1]):
        transform = AddNoise("gaussian", sigma="5%")
        transform.set_random_state(seed=0)
        noisy.append(torch.as_tensor(transform(given)))
    assert torch.equal(noisy[0], noisy[1])
    assert torch.equal(noisy[2], noisy[1])


def test_percentages_are_of_the_99_9th_percentile() -> None:
    noisy = AddNoise("gaussian", sigma="5%")(head())
    assert noisy.meta["noise"]["sigma"] == pytest.approx(49.95, rel=1e-3)
    noisy = AddNoise("gaussian", sigma="5%", reference=200.0)(head())
    for given in (torch.tensor(200.0), np.array(200), np.float32(200)):
        assert AddNoise("gaussian", sigma="5%", reference=given).reference == 200  # type: ignore[arg-type]
    assert noisy.meta["noise"]["sigma"] == pytest.approx(10.0)


def test_what_was_drawn_can_be_replayed() -> None:
    transform = AddNoise("rician", sigma=["2%", "10%"]).set_random_state(seed=3)
    noisy = transform(head())
    record = noisy.meta["noise"]
    assert record["model"] == "rician"
    assert 20 <= record["sigma"] < 100
    generator = torch.Generator().manual_seed(record["seed"])
    by_hand = rician(head().as_tensor(), record["sigma"], generator=generator)
    assert torch.equal(noisy.as_tensor(), by_hand)
    other = AddNoise(build_noise("gaussian", sigma=1))
    assert torch.equal(other.replay(head(), record).as_tensor(), by_hand)


@pytest.mark.parametrize("channel_wise", [False, True])
def test_noise_after_normalisation_is_in_the_image_s_units(channel_wise: bool) -> None:
    clean = torch.cat([head().as_tensor(), 3 * head().as_tensor()])
    normalise = NormaliseIntensity(channel_wise=channel_wise)
    transform = AddNoise("rician", sigma="4%").set_random_state(seed=0)
    later = normalise.inverse(transform(normalise(clean)))
    first = transform.set_random_state(seed=0)(clean)
    assert later.meta["noise"] == first.meta["noise"]
    np.testing.assert_allclose(later.numpy(), first.numpy(), atol=2e-3)


def test_a_patch_has_the_noise_of_its_scan() -> None:
    normalised = NormaliseIntensity()(head())
    dark = normalised[:, :8, :8, :8]
    noisy = AddNoise("gaussian", sigma="4%")(dark)
    assert noisy.meta["noise"]["sigma"] == pytest.approx(0.04 * 999, rel=1e-3)


def test_probability() -> None:
    transform = AddNoise("gaussian", sigma=1.0, prob=0.3).set_random_state(seed=0)
    hit = [not torch.equal(transform(head()).as_tensor(), head().as_tensor()) for _ in range(100)]
    assert 15 < sum(hit) < 45


def test_a_ct_model_asks_for_hu() -> None:
    noisy = AddNoise("poisson", dose=0.5)(head("HU"))
    assert noisy.meta["noise"]["dose"] == 0.5
    with pytest.raises(ParameterError, match=r"'poisson' is for CT only.*in Bq/ml"):
        AddNoise("poisson", dose=0.5)(head("Bq/ml"))


def test_a_target_is_never_touched() -> None:
    shared = head()
    data = {"image": shared, "target": shared}
    out = AddNoised("image", "gaussian", sigma=20.0)(data)
    assert out["target"] is shared
    assert torch.equal(shared.as_tensor(), head().as_tensor())
    assert not torch.equal(out["image"].as_tensor(), head().as_tensor())
    with pytest.raises(ParameterError, match=r"target 'target'.*stays clean"):
        AddNoised(["image", "target"], "gaussian", sigma=20.0)
    with pytest.raises(ParameterError, match="target 'truth'"):
        AddNoised("image", "gaussian", sigma=1.0, new_keys="truth", target_keys=("truth",))


def test_noisy_copies_go_to_new_keys() -> None:
    transform = AddNoised(["target", "target"], "gaussian", sigma=20.0, new_keys=["a", "b"])
    out = transform({"target": head()})
    assert torch.equal(out["target"].as_tensor(), head().as_tensor())
    noise = [(out[key].as_tensor() - head().as_tensor()).ravel() for key in ("a", "b")]
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.03


def test_in_a_pipeline_with_monai_s_crops_and_flips() -> None:
    pipeline = Compose(
        [
            NormaliseIntensityd(["image", "target"], like="image"),
            RandSpatialCropSamplesd(["image", "target"], (16, 16, 16), 2, random_size=False),
            RandFlipd(["image", "target"], prob=0.5, spatial_axis=0),
            AddNoised("image", "gaussian", sigma=["2%", "6%"]),
        ]
    )
    data = {"image": head(), "target": head()}
    once = pipeline.set_random_state(seed=5)(data)
    again = pipeline.set_random_state(seed=5)(data)
    deviation = float(head().as_tensor().std(correction=0))
    for patch, same in zip(once, again, strict=True):
        assert torch.equal(patch["image"].as_tensor(), same["image"].as_tensor())
        noise = (patch["image"] - patch["target"]).as_tensor() * deviation
        assert noise.std() == pytest.approx(patch["image"].meta["noise"]["sigma"], rel=0.05)
        assert "noise" not in patch["target"].meta
    assert once[0]["image"].meta["noise"] != once[1]["image"].meta["noise"]


def test_bad_settings_are_found_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean 'gaussian'"):
        AddNoise("gausian", sigma=1)
    with pytest.raises(ParameterError, match="belong to the noise model"):
        AddNoise(build_noise("gaussian", sigma=1), sigma=2)
    with pytest.raises(ParameterError, match="1 keys and 2 new_keys"):
        AddNoised("image", "gaussian", sigma=1, new_keys=["a", "b"])
    with pytest.raises(ParameterError, match="reference is 'a'"):
        AddNoise("gaussian", sigma="5%", reference="a")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [np.ones((1, 4, 4), complex), torch.ones(1, 4, 4, dtype=torch.complex64), [[1.0, 2.0]],
     np.array([[["a"]]])],
)  # fmt: skip
def test_what_holds_no_real_numbers(given: Any) -> None:
    """Of complex data the imaginary part was dropped."""
    for transform in (AddNoise("gaussian", sigma=1), NormaliseIntensity("fixed")):
        with pytest.raises(ParameterError, match="real numbers, not"):
            transform(given)


def test_workers_and_epochs_draw_noise_of_their_own() -> None:
    set_determinism(seed=0)
    try:
        chain = Compose([AddNoised("image", "gaussian", sigma=10)])
        loader = DataLoader(Dataset([{"image": head()}] * 4, chain), num_workers=2)
        seen = {float(item["image"].as_tensor().std()) for _ in range(2) for item in loader}
    finally:
        set_determinism(seed=None)
    assert len(seen) == 8


def test_models_that_need_the_reference_and_several_ranges_replay() -> None:
    transform = AddNoise("speckle", sigma=["5%", "20%"], exponent=[0.5, 1.5])
    noisy = transform.set_random_state(seed=3)(head())
    record = noisy.meta["noise"]
    assert record["reference"] == pytest.approx(999, rel=1e-3)
    # Each range has a place of its own.
    assert (record["sigma"] / 999 - 0.05) / 0.15 != pytest.approx(record["exponent"] - 0.5)
    assert torch.equal(transform.replay(head(), record).as_tensor(), noisy.as_tensor())


def test_channels_are_no_axis_of_space() -> None:
    image = torch.full((3, 24, 20), 1e4)
    noisy = AddNoise("kspace", sigma=10.0, zero_filling=2.0).set_random_state(seed=0)(image)
    noise = torch.as_tensor(noisy) - 1e4
    record = noisy.meta["noise"]
    generator = torch.Generator().manual_seed(record["seed"])
    by_hand = kspace(image[None], 10.0, zero_filling=2.0, generator=generator)[0]
    assert torch.equal(torch.as_tensor(noisy), by_hand)
    alike = np.corrcoef(noise.reshape(3, -1).numpy())
    assert np.abs(alike - np.eye(3)).max() < 0.2


@pytest.mark.parametrize("of", ["grad", "bfloat16"])
def test_tensors_that_numpy_does_not_take(of: str) -> None:
    image = torch.full((1, 40, 40), 200.0)
    given = image.clone().requires_grad_() if of == "grad" else image.bfloat16()
    add, plain = (AddNoise("gaussian", sigma="5%").set_random_state(1) for _ in range(2))
    np.testing.assert_allclose(plain_values(add(given)), plain(image).numpy())
    given = (image + torch.arange(40)).to(given.dtype)
    given.requires_grad_(of == "grad")
    whole = NormaliseIntensity()(given)
    assert float(whole.detach().mean()) == pytest.approx(0, abs=1e-3)
    assert float(whole.detach().std()) == pytest.approx(1, abs=1e-3)
