"""What ``network.name`` of a configuration can be, and what each costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from meddenoise.config.options import check_options
from meddenoise.errors import ConfigError
from meddenoise.networks import build_network, network_names
from meddenoise.networks.cost import Speed, flops_per_voxel, measure_speed
from meddenoise.networks.registry import NETWORKS, axes_of, takes_noise_map

__all__ = ["Architecture", "list_networks"]


@dataclass(frozen=True)
class Architecture:
    """A network with certain options, as people are told of it.

    Attributes:
        name: for ``network.name``.
        summary: one line.
        dims: spatial axes, 2 or 3.
        options: all of them, with the values it has here.
        noise_map: whether it can take one.
        weights: how many numbers are learned.
        flops_per_voxel: two for a multiply-add; see :mod:`meddenoise.networks.cost`.
        halo: how far an output voxel sees, per axis; ``None`` if that is the whole image, or not
            known.
        multiple: voxels of its coarsest grid's cell, per axis; other sizes are padded.
        speed: measured here, if that was asked for.
    """

    name: str
    summary: str
    dims: int
    options: dict[str, Any]
    noise_map: bool
    weights: int
    flops_per_voxel: float
    halo: tuple[int, ...] | None
    multiple: tuple[int, ...]
    speed: Speed | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def list_networks(
    names: Iterable[str] = (),
    *,
    dims: Sequence[int] = (2, 3),
    options: Mapping[str, Any] | None = None,
    measure: bool = False,
    device: str = "auto",
) -> list[Architecture]:
    """Registered networks, by name and number of axes.

    Args:
        names: which; all if there are none.
        dims: 2, 3 or both.
        options: of the network, other than its defaults; for one name only.
        measure: how fast they are, a few seconds each.
        device: where that is measured.

    Raises:
        ConfigError: no such network or option, or options for several networks.
        ParameterError: no such device.
    """
    chosen = list(names) or list(network_names())
    if options and len(chosen) != 1:
        raise ConfigError("Options belong to one network: name it.")
    given = dict(options or {})
    listed = []
    for name in chosen:
        for axes in sorted(dims):
            if axes in axes_of(name) or len(chosen) == len(dims) == 1:
                try:
                    listed.append(_describe(name, axes, given, measure, device))
                except ConfigError as fault:
                    raise ConfigError(f"{fault}{_fitting(name, axes, dims, given)}") from None
    return listed


def _fitting(name: str, axes: int, dims: Sequence[int], options: dict[str, Any]) -> str:
    """Which number of axes to ask for, if options that do not fit one asked for fit another."""
    for other in sorted(set(dims) & set(axes_of(name)) - {axes}):
        try:
            given = check_options(NETWORKS.options(name), options, section="network")
            build_network(name, dims=other, **given)
        except ConfigError:
            continue
        return f" They fit {other} axes: say --dims {other}."
    return ""


def _describe(
    name: str, dims: int, options: dict[str, Any], measure: bool, device: str
) -> Architecture:
    given = check_options(NETWORKS.options(name), options, section="network")
    network = build_network(name, dims=dims, **given).eval()
    fields = NETWORKS.options(name).model_fields
    halo = getattr(network, "halo", None)
    return Architecture(
        name=name,
        summary=(NETWORKS.get(name).__doc__ or "").strip().partition("\n")[0],
        dims=dims,
        options={key: options.get(key, field.default) for key, field in fields.items()},
        noise_map=takes_noise_map(name),
        weights=sum(parameter.numel() for parameter in network.parameters()),
        flops_per_voxel=flops_per_voxel(network, dims),
        halo=halo,
        multiple=getattr(network, "multiple", (1,) * dims),
        speed=measure_speed(network, dims, device=device) if measure else None,
    )
