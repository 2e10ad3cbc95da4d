"""Memory that a step of a network frees stays with the process, for the next step."""

from __future__ import annotations

import os
import platform
import sys

__all__ = ["TUNABLES", "keep_memory"]

# By default glibc gives every large tensor back to the kernel when it is freed and asks for zeroed
# pages of 4 KiB again in the next step: a quarter of the time of a training step or of a tile
# (benchmarks/throughput.py, benchmarks/speed.py).
# Without mmap, and with huge pages, the same memory is used again.
TUNABLES = (
    "glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:"
    "glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456"
)


def keep_memory() -> None:
    """Start this very command anew with :data:`TUNABLES`, which glibc reads only at the start.

    Nothing happens on other systems, and where the user has set ``GLIBC_TUNABLES``.
    """
    if "GLIBC_TUNABLES" in os.environ or platform.libc_ver()[0] != "glibc":
        return
    os.environ["GLIBC_TUNABLES"] = TUNABLES
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
