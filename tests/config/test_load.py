from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from meddenoise.config import Config, dump, load, parse, parse_settings
from meddenoise.config.benchmark import BenchmarkConfig
from meddenoise.config.load import read_yaml, validated
from meddenoise.config.pretrain import PretrainConfig
from meddenoise.errors import ConfigError

TEXT = """\
data:
  images: scan.nii.gz
trainer:
  name: noise2void
"""


def test_everything_else_has_a_default() -> None:
    config = parse(TEXT)
    assert config.data.images == "scan.nii.gz"
    assert config.network.name == "unet"
    assert config.training.steps == 1000
    assert config.dims == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("training:\n  stepz: 3\n", r"line 6: training\.stepz is no key .*did you mean 'steps'"),
        ("training:\n  step-s: 3\n", r"line 6: training\.step-s is no key .*did you mean 'steps'"),
        ("tranier: {}\n", r"line 5: tranier is no key .*did you mean 'trainer'"),
        ("training:\n  steps: many\n", r"line 6: training\.steps must be a whole number, not 'man"),
        ("training: {steps: '100'}\n", "steps must be a whole number, not '100'"),
        ("training: {steps: true}\n", "steps must be a whole number, not True"),
        ("training: {clip: true}\n", "clip must be a number, not True"),
        ("training: {steps: 0}\n", "steps must be greater than 0, not 0"),
        ("training: {learning_rate: .nan}\n", "learning_rate must be a finite number"),
        ("training: {ema: 1}\n", "ema must be less than 1"),
        ("training: 5\n", "line 5: training must be a section"),
        ("name: 5\n", "line 5: name must be a text, not 5"),
        ("inference: {tile: [8, a, 8]}\n", r"inference\.tile\.1 must be a whole number, not 'a'"),
        ("inference: {tile: [8, 8]}\n", "tile has 2 axes and data.patch has 3"),
        ("training:\n  trackers:\n  - tensorbord\n", r"line 7: .*did you mean 'tensorboard'"),
        ("1: 2\n", r"1 is a key that is no text: put it in quotes\.$"),
        (f"seed: {2**63}\n", "line 5: seed must be less than"),
        ("network: {name: unet, inputs: 2}\n", "line 5: network .*'inputs' is no key here"),
        ("network: {name: unet, dims: 2}\n", "line 5: network .*'dims' is no key here"),
    ],
)
def test_a_fault_names_key_line_and_remedy(more: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(TEXT + more)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + "name: a\nname: b\n", "line 6 is no valid YAML: the key 'name' stands twice"),
        (TEXT + "name: [a\n", "line 6 is no valid YAML"),
        (TEXT + "---\na: 1\n", "line 5 is no valid YAML: but found another document"),
        (TEXT + "name: \x00\n", "no valid YAML: special characters are not allowed"),
        (TEXT + 'name: "D:\\0815"\n', "line 5 .*: 'D:.x00815' holds no text"),
        (TEXT + 'name: "\\ud800"\n', "line 5 .* holds no text"),
        (TEXT + 'name: "\\U00110000"\n', "no valid YAML"),
        (
            TEXT + "name: !!timestamp 2024-13-01\n",
            "line 5 .*: '2024-13-01' is no date: .* in quotes",
        ),
        (TEXT + "seed: 0x_\n", "line 5 .*: '0x_' is no whole number"),
        (TEXT + f"seed: {'9' * 5000}\n", r"line 5 .*: '9{60}\.\.\.' is no whole number"),
        (TEXT + "seed: !!float a\n", "line 5 .*: 'a' is no number"),
        (TEXT + "seed: !!bool a\n", "line 5 .*: 'a' is no value of its kind"),
        (TEXT + "[a, b]: 1\n", "line 5 is no valid YAML: a key must be a plain text"),
        ("- a\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("x: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_no_configuration(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


@pytest.mark.parametrize("tag", ["python/object/apply:os.system [ls]", "python/name:os.system"])
def test_yaml_cannot_run_code(tag: str) -> None:
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        parse(TEXT + f"name: !!{tag}\n")
    with pytest.raises(ConfigError, match="no valid YAML"):
        parse(TEXT, [f"name=!!{tag}"])


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a [x, x]\nb: &b [*a, *a]\n"])
def test_yaml_cannot_unfold_without_end(text: str) -> None:
    with pytest.raises(ConfigError, match="aliases"):
        parse(TEXT + text)


def test_exponents_are_numbers_with_or_without_a_point() -> None:
    config = parse(TEXT + "training: {learning_rate: 1e-3, weight_decay: 1.5E-2}\n")
    assert (config.training.learning_rate, config.training.weight_decay) == (0.001, 0.015)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("10", 10), ("-3", -3), ("0", 0), ("0x10", 16), ("0o17", 15), ("10_000", 10_000),
        ("0.5", 0.5), (".5", 0.5), ("-.5", -0.5), ("5.", 5.0), ("1e-3", 1e-3), ("+1E3", 1e3),
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
    ],
)  # fmt: skip
def test_plain_words_that_are_no_text(word: str, value: Any) -> None:
    made = parse_settings([f"key={word}"])["key"]
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(
    "word",
    ["010", "-010", "08", "00", "1:30", "190:20:30.5", "y", "2024-01-01", "=", "<<", "1e", "0o8",
     "nan"],
)  # fmt: skip
def test_plain_words_that_yaml_1_1_reads_as_something_else(word: str) -> None:
    """``seed: 010`` was 8, and ``1:30`` 90."""
    assert parse_settings([f"key={word}"]) == {"key": word}
    assert read_yaml(f"{word}: 1\n", "It") == ({word: 1}, {(word,): 1})
    config = parse(TEXT, [f"name={word}"])
    assert config.name == word
    assert parse(dump(config)).name == word
    for key, kind in (("seed", "a whole number"), ("inference.flips", "true or false")):
        with pytest.raises(ConfigError, match=rf"{key} must be {kind}, not '{word}'"):
            parse(TEXT, [f"{key}={word}"])


@pytest.mark.parametrize("word", ["on", "Off", "yes", "NO"])
def test_words_that_are_true_or_false_but_as_keys(word: str) -> None:
    """``on: own`` was the key true."""
    value = word in ("on", "yes")
    assert parse_settings([f"key={word}"]) == {"key": value}
    assert parse(TEXT, [f"inference.flips={word}"]).inference.flips is value
    assert read_yaml(f"{word}: 1\n", "It") == ({word: 1}, {(word,): 1})
    assert parse(dump(parse(TEXT, [f"name='{word}'"]))).name == word


@pytest.mark.parametrize("word", ["010", "1:30", "yes", "0o17", "-.5", "1e3", "1_000", "~", "''"])
def test_a_text_that_is_written_comes_back_whoever_reads_it(word: str) -> None:
    config = parse(TEXT).renamed(word)
    assert parse(dump(config)).name == yaml.safe_load(dump(config))["name"] == word


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.steps=50", ("training", "steps"), 50),
        ("data.patch=[32, 32]", ("data", "patch"), [32, 32]),
        ("training.learning_rate=2e-3", ("training", "learning_rate"), 0.002),
        ("data.images=sample:head:3", ("data", "images"), "sample:head:3"),
        ("data.series=a=b", ("data", "series"), "a=b"),
        ("training.clip=null", ("training", "clip"), None),
        ("noise.name=rician", ("noise", "name"), "rician"),
    ],
)
def test_overrides(override: str, path: tuple[str, str], value: Any) -> None:
    config = parse(TEXT, [override])
    assert getattr(getattr(config, path[0]), path[1]) == value


def test_later_overrides_win_and_null_removes_a_section() -> None:
    text = TEXT + "noise: {name: gaussian}\n"
    assert parse(text, ["seed=1", "seed=2"]).seed == 2
    assert parse(text, ["noise=null"]).noise is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.patchh=[8, 8]", r"--set: data\.patchh is no key .*did you mean 'patch'"),
        ("training.steps=many", r"--set: training\.steps must be a whole number"),
        ("tranier.steps.x=1", r"^--set: tranier is no key here \(did you mean 'trainer'"),
        ("data.splitt.val=0.1", r"^--set: data\.splitt is no key here"),
        ("data.images=[1, a]", r"--set: data\.images\.0 must be a text, not 1"),
        ("data.images=1", r"--set: data\.images must be a text or a list, not 1"),
        ("training.steps", "is no override"),
        ("=3", "is no override"),
        ("a..b=3", "is no override"),
        ("seed=[", "no valid YAML"),
        ("seed=" + "[" * 5000, "nested too deeply"),
        ("data.images=*.nii", "is no valid YAML: .* in quotes"),
        ("data.images=*study", "is no valid YAML: aliases .* in quotes"),
        ("name=!!timestamp 2024-13-01", "is no valid YAML: '2024-13-01' is no date: .* in quotes"),
        ("training={steps: 2, steps: 3}", "is no valid YAML: the key 'steps' stands twice"),
    ],
)
def test_a_fault_of_an_override_does_not_blame_the_file(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(TEXT, [override], file="a.yaml")
    assert "line" not in str(caught.value)


def test_a_fault_of_a_section_names_what_was_set_in_it_too() -> None:
    text = "data:\n  images: a\n  split:\n    val: 0.2\n    test: 0.1\n"
    with pytest.raises(ConfigError, match=r"^mine\.yaml, line 3, and --set: data\.split is"):
        parse(text, ["data.split.train=0.9"], file="mine.yaml")
    with pytest.raises(ConfigError, match=r"^mine\.yaml, line 3: data\.split is"):
        parse(text + "    train: 0.9\n", ["seed=1"], file="mine.yaml")


def test_an_override_does_not_change_the_dictionary_it_is_for() -> None:
    values: dict[str, Any] = {"data": {"images": "a"}, "trainer": {"name": "noise2void"}}
    parse(values, ["data.images=b"])
    assert values["data"]["images"] == "a"


def test_python_may_give_tuples_paths_and_numpy_numbers() -> None:
    config = parse(
        {
            "data": {"images": Path("a") / "b", "patch": (8, np.int64(9))},
            "trainer": {"name": "noise2void"},
            "training": {"learning_rate": np.float32(0.5)},
        }
    )
    assert config.data.images == str(Path("a") / "b")
    assert config.data.patch == [8, 9]
    assert config.training.learning_rate == 0.5


def test_load_names_the_file_and_takes_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT)
    assert load(file).name == "mine"
    file.write_text(TEXT + "seeds: 1\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml, line 5: seeds is no key"):
        load(file)


def test_load_says_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "binary.yaml")


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["name='1e3'", "data.series='5e-7'", "output='no'"],  # texts that look like other things
        [
            "training.learning_rate=1e-7",
            "training.clip=null",
            "network={name: unet, channels: [4, 8]}",
        ],
        ["noise={name: rician, sigma: [1%, 5%]}", "data.targets=[a.nii, 'ü b.nii']"],
    ],
)
def test_what_is_dumped_reads_back_the_same(overrides: list[str]) -> None:
    config = parse(TEXT, overrides)
    again = parse(dump(config))
    assert again.model_dump() == config.model_dump()
    assert dump(again) == dump(config)


def test_every_default_is_spelled_out() -> None:
    text = dump(parse(TEXT))
    for section in Config.model_fields:
        assert f"{section}:" in text
    assert "checkpoint_every: 200" in text


def test_the_configs_in_the_repository_read() -> None:
    files = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
    # Pretraining has a recipe of its own, with no scans in it.
    files = [file for file in files if not file.stem.startswith("pretrain")]
    assert len(files) >= 4
    for file in files:
        assert load(file).name == file.stem


@pytest.mark.parametrize(
    ("load", "text", "command"),
    [
        (parse, "{data: {images: a}, synthetic: {batch: 2}, loss: l2}", "pretrain"),
        (parse, "{data: {images: a}, methods: [{filter: median}]}", "benchmark"),
        (lambda text: validated(PretrainConfig, text), "{trainer: {name: noise2void}}", "train"),
        (lambda text: validated(BenchmarkConfig, text), "{trainer: {name: noise2void}}", "train"),
    ],
)
def test_the_configuration_of_another_command_is_told(
    load: Callable[[str], object], text: str, command: str
) -> None:
    with pytest.raises(ConfigError, match=f"is one for meddenoise {command}\\.$"):
        load(text)


def test_a_section_of_another_command_beside_our_own_is_a_key_too_many() -> None:
    with pytest.raises(ConfigError, match="methods is no key here"):
        parse("{data: {images: a}, trainer: {name: noise2void}, methods: []}")
