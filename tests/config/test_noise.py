"""The noise section: what is injected, and what is stabilised."""

from __future__ import annotations

from typing import Any

import pytest

from meddenoise.config import NoiseConfig, StabiliseConfig, dump, parse
from meddenoise.errors import ConfigError

TEXT = "data: {images: a}\ntrainer: {name: noise2void}\n"


def section(noise: str) -> NoiseConfig | None:
    return parse(f"{TEXT}noise: {noise}\n", file="a.yaml").noise


@pytest.mark.parametrize(
    ("noise", "name", "stabilise", "options"),
    [
        ("{stabilise: auto}", None, "auto", {}),
        ("{stabilise: none}", None, "none", {}),
        ("{stabilise: anscombe, coils: 1}", None, "anscombe", {"coils": 1}),
        ("{stabilise: rician, coils: 4}", None, "rician", {"coils": 4}),
        ("{name: rician, sigma: 10%}", "rician", "none", {"sigma": "10%"}),
        (
            "{name: noncentral_chi, sigma: 3, coils: 8, stabilise: auto}",
            "noncentral_chi",
            "auto",
            {"sigma": 3, "coils": 8},
        ),
    ],
)
def test_injection_and_stabilisation_share_a_section(
    noise: str, name: str | None, stabilise: str, options: dict[str, Any]
) -> None:
    config = parse(f"{TEXT}noise: {noise}\n")
    found = config.noise
    assert found is not None
    assert (found.name, found.stabilise, found.options) == (name, stabilise, options)
    assert config.stabilise == stabilise
    assert parse(dump(config)).model_dump() == config.model_dump()


def test_no_section_is_no_stabilisation() -> None:
    for text in (TEXT, f"{TEXT}noise: null\n"):
        config = parse(text)
        assert config.noise is None
        assert config.stabilise == "none"
    config = parse(TEXT, ["noise.stabilise=auto"])
    assert config.noise == NoiseConfig(stabilise="auto")


@pytest.mark.parametrize(
    ("noise", "told"),
    [
        ("{}", "it needs the name of a noise model, or stabilise"),
        ("{stabilize: auto}", "'stabilize' is no key without .*did you mean 'stabilise'"),
        (
            "{name: rician, sigma: 10%, stabilize: auto}",
            r"there is no key 'stabilize' \(did you mean 'stabilise'\?\)",
        ),
        ("{stabilise: ricain}", "noise.stabilise must be .*did you mean 'rician'"),
        ("{stabilise: null}", "noise.stabilise must be .*not None"),
        ("{stabilise: false}", "noise.stabilise must be .*not False"),
        ("{sigma: 5%}", "'sigma' is no key without the name of a noise model; there are: name"),
        ("{stabilise: auto, coil: 4}", "'coil' is no key without .*did you mean 'coils'"),
        ("{stabilise: rician, coils: 0}", "coils is a whole number of at least 1, not 0"),
        ("{stabilise: rician, coils: true}", "coils is a whole number of at least 1, not True"),
        ("{stabilise: anscombe, coils: 2}", "coils says nothing without stabilise rician or auto"),
        ("{coils: 2}", "coils says nothing without stabilise rician or auto"),
        ("{name: 3}", "noise.name must be a text"),
        ("auto", "noise must be a section with keys of its own"),
    ],
)
def test_a_fault_is_said_with_its_line(noise: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"a\.yaml, line 3: noise.*{told.removeprefix('noise')}"):
        section(noise)


def test_what_a_model_file_holds() -> None:
    assert StabiliseConfig().model_dump() == {"method": "none", "coils": 1}
