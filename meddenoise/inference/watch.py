"""To see the operations of a network as they are done."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Watch"]


class Watch(TorchDispatchMode):
    """A mode that ``torch.compile`` is nothing to.

    By default torch keeps its compiler out of a mode, and to do so imports it: that takes a second,
    and whoever has a network run once would wait for it.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
