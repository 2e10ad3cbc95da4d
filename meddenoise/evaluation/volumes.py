"""A scan of several volumes (times, echoes, directions): scores of each, and their mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from meddenoise.evaluation.measured import Measured, undefined

__all__ = ["VolumeScores", "by_kind", "mean_of", "over_volumes"]

_MOST_NUMBERS = 8
_PLAIN = ("psnr", "ssim", "rmse", "mae", "bias")


@dataclass(frozen=True)
class VolumeScores:
    """One volume of a scan against its reference; units and conventions as for the whole scan.

    Attributes:
        number: from 1.
        psnr: dB; ``inf`` for identical volumes.
        ssim: ``nan`` if the volume is too small for its window.
        rmse, mae, bias: in image units.
        voxels: how many were compared.
        extra: the other metrics by name, if they were asked for.
    """

    number: int
    psnr: float
    ssim: float
    rmse: float
    mae: float
    bias: float
    voxels: int
    extra: Mapping[str, Measured] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON: what is no number is ``None``, and ``notes`` says why."""
        told: dict[str, Any] = {"volume": self.number, "voxels": self.voxels}
        notes = {}
        for name in _PLAIN:
            value = float(getattr(self, name))
            told[name] = value if math.isfinite(value) else None
        if math.isinf(self.psnr):
            notes["psnr"] = "infinite: the volumes are identical"
        if math.isnan(self.ssim):
            notes["ssim"] = "SSIM needs at least 11 voxels along two axes"
        told["extra"] = {name: one.as_dict() for name, one in self.extra.items()}
        return told | {"notes": notes}


def over_volumes(volumes: Sequence[VolumeScores]) -> dict[str, Measured]:
    """The mean over volumes of each plain score.

    That of PSNR is not the PSNR of all voxels: it weighs each volume alike, whatever its error.
    """
    found = {}
    for name in _PLAIN:
        parts = []
        for one in volumes:
            told = one.as_dict()
            value, why = told[name], told["notes"].get(name, "")
            parts.append(undefined(why) if value is None else Measured(value))
        found[name] = _mean(parts, [one.number for one in volumes], "volumes")
    return found


def mean_of(
    parts: Sequence[Mapping[str, Measured]],
    *,
    numbers: Sequence[int] | None = None,
    kind: str = "volumes",
) -> dict[str, Measured]:
    """Means over volumes of what each of them has; the convention says of how many.

    Args:
        parts: of each volume, the same names.
        numbers: of the volumes, from 1.
        kind: what they are, in the plural.
    """
    if len(parts) == 1:
        return dict(parts[0])
    counted = list(numbers or range(1, len(parts) + 1))
    names = dict.fromkeys(name for part in parts for name in part)
    absent = undefined("it was not measured there")
    return {
        name: _mean([part.get(name, absent) for part in parts], counted, kind) for name in names
    }


def _mean(every: Sequence[Measured], numbers: Sequence[int], kind: str) -> Measured:
    known = [one for one in every if one.value is not None]
    lacking = [(n, one.reason) for n, one in zip(numbers, every, strict=True) if one.value is None]
    if not known:
        return every[0]
    said = f"mean of {len(known)}"
    if lacking:
        first, why = lacking[0]
        said += f" of {len(every)} {kind}: {kind.removesuffix('s')} {first} has none ({why})"
        said += f", nor have {len(lacking) - 1} more" if len(lacking) > 1 else ""
    else:
        said += f" {kind}"
    value = math.fsum(one.value for one in known if one.value is not None) / len(known)
    about = known[0].convention
    return Measured(value, known[0].unit, f"{about}; {said}" if about else said)


def by_kind(found: Sequence[tuple[int, Mapping[str, str]]]) -> tuple[str, ...]:
    """What stands out in volumes, told once a kind: how many have it, and the first one's words.

    Args:
        found: of each volume its number, and a sentence by kind.
    """
    told = []
    for kind in dict.fromkeys(kind for _, said in found for kind in said):
        having = [(number, said[kind]) for number, said in found if kind in said]
        numbers = ", ".join(str(number) for number, _ in having[:_MOST_NUMBERS])
        rest = len(having) - _MOST_NUMBERS
        more = f" and {rest} more" if rest > 0 else ""
        told.append(
            f"{len(having)} of {len(found)} volumes ({numbers}{more}); "
            f"of volume {having[0][0]}: {having[0][1]}"
        )
    return tuple(told)
