from __future__ import annotations

import resource
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from meddenoise.inference.memory import available_memory, bytes_per_voxel, is_out_of_memory
from meddenoise.networks import build_network


def test_there_is_some_memory_and_not_more_than_the_machine_has() -> None:
    import os

    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 2**20 < available_memory() <= whole


def test_what_the_process_may_take_counts() -> None:
    asked = (
        "import resource; from meddenoise.inference.memory import available_memory as a\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({2**36}, {2**36}))\n"
        "free = a()\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({2**33}, {2**36}))\n"
        f"assert a() < {2**33}\n"
        "assert a() <= free"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)  # of this process, left alone


class Steps(nn.Module):
    """Holds the input, a copy in 4 channels and one in 2 of it at most."""

    multiple = (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.expand(-1, 4, -1, -1) + 0
        pair = wide[:, :2] * 1  # a view holds on to the whole
        del wide
        pair.add_(1)  # in place: nothing new
        return pair.sum(1, keepdim=True)


def test_bytes_of_a_voxel_are_those_that_live_at_once() -> None:
    assert bytes_per_voxel(Steps(), 2) == pytest.approx(1.25 * 4 * (4 + 2))


def test_more_channels_take_more_memory() -> None:
    few, many = (
        bytes_per_voxel(build_network("unet", dims=3, channels=[n, n]), 3) for n in (4, 16)
    )
    assert 3 < many / few < 5
    assert many > 16 * 4 * 3


def test_running_out_of_memory_is_told_from_other_faults() -> None:
    with pytest.raises(RuntimeError) as fault:
        torch.empty(2**50)
    assert is_out_of_memory(fault.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("no"))
