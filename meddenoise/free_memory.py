"""How much memory this process can still have."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["free_memory"]

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int:
    """Bytes that can still be had of this machine's (or container's) memory.

    The smallest of what the system says is available, what the container may still take and what
    the process may (``ulimit -v``).
    """
    found = [_system(), *(_left(*pair) for pair in _CGROUPS), _address_space()]
    return min((n for n in found if n is not None), default=2**32)


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


def _left(limit: str, usage: str) -> int | None:
    """What a control group may still take; ``None`` without a limit."""
    try:
        most, used = Path(limit).read_text().strip(), Path(usage).read_text().strip()
        return max(int(most) - int(used), 0) if most.isdigit() and int(most) < 2**60 else None
    except (OSError, ValueError):
        return None


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
