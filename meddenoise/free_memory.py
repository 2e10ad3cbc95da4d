"""How much memory this process can still have, and whether something failed for want of it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["free_memory", "is_out_of_memory"]

# Of a control group: its limit, what it uses, and the line that says how much of that are pages of
# files that can be dropped at once; version 2 and 1.
_V1 = "/sys/fs/cgroup/memory/memory"
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "inactive_file"),
    (f"{_V1}.limit_in_bytes", f"{_V1}.usage_in_bytes", "total_inactive_file"),
)


def free_memory() -> int:
    """Bytes that can still be had of this machine's (or container's) memory.

    The smallest of what the system says is available, what the container may still take and what
    the process may (``ulimit -v``).
    """
    found = [_system(), *(_left(*group) for group in _CGROUPS), _address_space()]
    return min((n for n in found if n is not None), default=2**32)


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether Python, numpy or torch (on a CPU or a GPU) could not get its memory."""
    return (
        isinstance(fault, MemoryError)
        or type(fault).__name__ == "OutOfMemoryError"  # torch's, which is not imported for that
        or "can't allocate memory" in str(fault)
        or "DefaultCPUAllocator: not enough memory" in str(fault)
        or "could not create a memory object" in str(fault)
    )


def _system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        except (ValueError, OSError, AttributeError):
            return None
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(told["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in told else None


def _left(limit: str, usage: str, cache: str) -> int | None:
    """What a control group may still take; ``None`` without a limit."""
    try:
        most, used = Path(limit).read_text().strip(), int(Path(usage).read_text())
    except (OSError, ValueError):
        return None
    if not most.isdigit() or int(most) >= 2**60:
        return None
    return max(int(most) - used + _droppable(Path(usage).with_name("memory.stat"), cache), 0)


def _droppable(stat: Path, name: str) -> int:
    """Bytes of files that were read and are still held, because nobody needed their place."""
    try:
        told = dict(line.split() for line in stat.read_text().splitlines())
        return int(told.get(name, 0))
    except (OSError, ValueError):
        return 0


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        used = 0
    return max(limit - used, 0)
