from __future__ import annotations

import pickle

import pytest

from meddenoise import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_one_root_catches_all(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.MeddenoiseError)


def test_what_the_user_can_mend_exits_with_2_and_our_own_faults_with_1() -> None:
    assert errors.MeddenoiseError.exit_status == 1
    for name in set(errors.__all__) - {"MeddenoiseError"}:
        kind = getattr(errors, name)
        assert issubclass(kind, errors.InputError)
        assert kind.exit_status == 2


def test_errors_are_also_what_python_expects() -> None:
    assert issubclass(errors.ParameterError, ValueError)
    assert issubclass(errors.MissingDependency, ImportError)
    assert issubclass(errors.AmbiguousInput, errors.FileError)


def test_the_tree_in_the_docstring_names_every_class() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        assert name in errors.__doc__


def test_a_message_can_be_printed_whatever_it_quotes() -> None:
    error = errors.FileError("a\x1b[2Jb\udca3\u202ec\0\nEché 漢字")
    assert str(error) == "a\\x1b[2Jb\\udca3\\u202ec\\x00\nEché 漢字"
    str(error).encode()
    assert str(errors.ParameterError("\0")) == str(errors.MissingDependency("\0")) == "\\x00"
    endless = str(errors.FileError("file: " + "x" * 100_000 + " is odd: mend it."))
    assert len(endless) < 1000
    assert endless.startswith("file: x")
    assert endless.endswith("x is odd: mend it.")


def test_damage_says_what_to_do_and_survives_another_process() -> None:
    error = errors.DamagedScan("a.nii is truncated.")
    assert str(error) == "a.nii is truncated. Copy or export it again."
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(errors.FileError("a.nii: no such file.")) == "a.nii: no such file."
