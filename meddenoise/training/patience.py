"""Ends a run whose results no longer become better, by a criterion that noise cannot fool."""

from __future__ import annotations

from typing import Any

__all__ = ["Patience"]


class Patience:
    """Counts validations without an improvement.

    The criterion is the PSNR where the truth is known, and SURE (see
    :func:`meddenoise.training.validate.validate`) where it is not: an unbiased estimate of the
    error to the truth. A blind-spot loss is none, for it goes on falling while structure is lost.

    Args:
        limit: so many validations in a row may bring nothing; ``None`` never ends a run.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._best: float | None = None
        self._waited = 0

    @property
    def over(self) -> bool:
        """Whether the run ends here."""
        return self.limit is not None and self._waited >= self.limit

    def look(self, values: dict[str, float]) -> None:
        """See the values of a validation."""
        if "psnr" in values:
            now = values["psnr"]
        elif "risk" in values:
            now = -values["risk"]
        else:
            return
        if self._best is None or now > self._best:
            self._best, self._waited = now, 0
        else:
            self._waited += 1

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self._best, self._waited = state["best"], state["waited"]
