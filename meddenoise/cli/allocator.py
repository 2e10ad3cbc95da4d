"""Memory that a step of a network frees stays with the process, for the next step."""

from __future__ import annotations

import os
import platform
import sys

__all__ = ["DENOISE", "TRAIN", "keep_memory"]

# By default glibc gives every large tensor back to the kernel when it is freed and asks for zeroed
# pages of 4 KiB again in the next step: a quarter of the time of a training step or of a tile
# (benchmarks/throughput.py, benchmarks/speed.py). Without mmap the same memory is used again.
DENOISE = (
    "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=67108864"
)
"""For a few tiles."""

TRAIN = f"glibc.malloc.hugetlb=1:{DENOISE}"
"""For many steps: huge pages make each a twentieth faster. Where memory is scattered to find them
takes seconds at first, which a scan is denoised in."""


def keep_memory(tunables: str) -> None:
    """Start this very command anew with some tunables, which glibc reads only at the start.

    Nothing happens on other systems, and where the user has set ``GLIBC_TUNABLES``.
    """
    if "GLIBC_TUNABLES" in os.environ or platform.libc_ver()[0] != "glibc":
        return
    os.environ["GLIBC_TUNABLES"] = tunables
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
