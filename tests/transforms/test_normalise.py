from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, MetaTensor, decollate_batch
from monai.transforms import Compose, EnsureTyped, Flipd, Invertd

from meddenoise.errors import ParameterError
from meddenoise.transforms import NormaliseIntensity, NormaliseIntensityd


def image(*, channels: int = 1, seed: int = 0) -> MetaTensor:
    values = np.random.default_rng(seed).gamma(2, 300, (channels, 12, 14, 16)) - 1000
    return MetaTensor(torch.from_numpy(values.astype(np.float32)), meta={"units": "HU"})


@pytest.mark.parametrize("channel_wise", [False, True])
def test_array_transform_and_its_inverse(channel_wise: bool) -> None:
    transform = NormaliseIntensity(channel_wise=channel_wise)
    given = image(channels=3)
    given[1] += 500
    before = given.clone()
    out = transform(given)
    axes = (1, 2, 3) if channel_wise else (0, 1, 2, 3)
    assert out.as_tensor().mean(axes).abs().max() < 1e-5
    assert (out.as_tensor().std(axes) - 1).abs().max() < 1e-3
    assert out.meta["units"] == "HU"
    assert torch.equal(given.as_tensor(), before.as_tensor())
    assert given.applied_operations == []
    back = transform.inverse(out)
    np.testing.assert_allclose(back.numpy(), before.numpy(), atol=1e-3)
    assert back.applied_operations == []


def test_numpy_arrays_do_as_well() -> None:
    out = NormaliseIntensity("fixed", shift=10, scale=5)(np.full((1, 4, 4), 20, dtype=np.int16))
    assert torch.equal(torch.as_tensor(out).float(), torch.full((1, 4, 4), 2.0))


def test_arrays_that_torch_does_not_take() -> None:
    plain = image(channels=2).numpy()
    wanted = NormaliseIntensity(channel_wise=True)(plain)
    for given in (plain[:, ::-1, :, ::-1][:, ::-1, :, ::-1], plain.astype(">f4")):
        assert torch.equal(NormaliseIntensity(channel_wise=True)(given), wanted)
    mirrored = NormaliseIntensity()(plain[:, ::-1])
    assert torch.equal(mirrored, NormaliseIntensity()(plain[:, ::-1].copy()))
    mask = plain > plain.mean()
    found = NormaliseIntensity()(mask)
    np.testing.assert_allclose(found.numpy(), (mask - mask.mean()) / mask.std(), rtol=1e-5)


def test_the_statistics_of_one_serve_all() -> None:
    data = {"image": image(seed=0), "target": image(seed=1) * 2}
    transform = NormaliseIntensityd(["image", "target"], like="image")
    out = transform(data)
    ratio = (out["target"].as_tensor()[0, 0] - out["image"].as_tensor()[0, 0]) / (
        data["target"].as_tensor()[0, 0] - data["image"].as_tensor()[0, 0]
    )
    assert ratio.std() / ratio.mean() < 1e-3
    assert 1 / ratio.mean() == pytest.approx(float(data["image"].as_tensor().std()), rel=0.01)
    back = transform.inverse(out)
    for key in data:
        np.testing.assert_allclose(back[key].numpy(), data[key].numpy(), atol=1e-3)


def test_invertd_restores_a_prediction_after_a_loader() -> None:
    forward = Compose(
        [EnsureTyped("image"), NormaliseIntensityd("image"), Flipd("image", spatial_axis=1)]
    )
    originals = [image(seed=s) * (s + 1) for s in range(2)]
    loader = DataLoader(Dataset([{"image": o} for o in originals], forward), batch_size=2)
    batch = next(iter(loader))
    batch["pred"] = batch["image"] * 1.0
    restore = Invertd("pred", transform=forward, orig_keys="image", nearest_interp=False)
    for item, original in zip(decollate_batch(batch), originals, strict=True):
        back = restore(item)["pred"]
        np.testing.assert_allclose(back.numpy(), original.numpy(), atol=5e-3)


def test_bad_settings_are_found_at_once() -> None:
    with pytest.raises(ParameterError, match="no normalisation 'zscore'"):
        NormaliseIntensity("zscore")
    with pytest.raises(ParameterError, match="scale above 0"):
        NormaliseIntensityd("image", "fixed", scale=0.0)
    with pytest.raises(ParameterError, match="no item 'image'"):
        NormaliseIntensityd("target", like="image")({"target": image()})
    with pytest.raises(ParameterError, match="constant"):
        NormaliseIntensity()(torch.zeros(1, 4, 4))
