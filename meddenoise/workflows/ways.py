"""How scans are denoised: by a model file or a filter, stabilised, or their bias taken away."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from meddenoise.errors import ParameterError
from meddenoise.filters import apply_filter, filter_options, get_filter
from meddenoise.io.named import path_of
from meddenoise.volume import Volume
from meddenoise.workflows import refined as refined  # registers a method
from meddenoise.workflows.adapted import check_adapt
from meddenoise.workflows.around import Around
from meddenoise.workflows.blended import blended
from meddenoise.workflows.filter_streamed import FilterStreaming, reach_of
from meddenoise.workflows.kept_blank import keeping_blank
from meddenoise.workflows.known_level import known_level, level_on_disk
from meddenoise.workflows.looked_at import is_series
from meddenoise.workflows.one_slice import by_image
from meddenoise.workflows.units import checked_units, hinting, in_units
from meddenoise.workflows.way import Progress, Way

if TYPE_CHECKING:
    from meddenoise.inference import Denoiser
    from meddenoise.io.plane_scan import PlaneScan
    from meddenoise.noise.correlation import Correlation
    from meddenoise.workflows.streamed import Streamed

__all__ = ["AUTO", "Progress", "Way", "way_to_denoise"]

AUTO = "auto"
"""The method that looks at the scan."""

# Filters that never look at the noise's level. Of one that a user registered nobody knows.
_DEAF = ("identity", "median", "patch2self")


def way_to_denoise(
    model: str | os.PathLike[str] | None,
    method: str | None,
    device: str,
    *,
    options: Mapping[str, Any] | None = None,
    sigma: str | float | None = None,
    stabilise: str | None = None,
    debias: bool = False,
    coils: int | None = None,
    budget: float | None = None,
    adapt: float | None = None,
    strength: float = 1.0,
    units: str | None = None,
    correlation: Correlation | None = None,
) -> Way:
    """By a model file, by a filter, or without either by the network that ships with meddenoise.

    Args:
        model: a model file, or
        method: the name of a filter, or ``"auto"``, which looks at each scan and chooses.
        device: for a model.
        options: the filter's.
        sigma: the noise's standard deviation in image units, or ``"10%"`` of each scan's 99.9th
            percentile; for a filter, a model with a noise map, the stabilisation or the bias.
        stabilise: ``"auto"``, ``"none"``, ``"rician"`` or ``"anscombe"``: denoise the scan with
            its noise made Gaussian, and bring the result back without bias. If ``None`` a model
            does as it was trained, and a filter nothing.
        debias: take the bias of Rician noise off the result instead.
        coils: whose sum of squares a magnitude image is; 1 if ``None``, or the model's.
        budget: seconds that ``"auto"`` may train on each scan.
        adapt: seconds that the network that ships may take to do better on each scan.
        strength: how much of what is found to be noise is taken away, 0 to 1.
        units: ``"HU"`` for CT in a format without a place for it; where nothing is said, noise is
            estimated, and a scan looks like CT, a warning hints at it.
        correlation: of the noise between a voxel and its neighbours, for a filter that asks for it;
            measured in each scan if ``None``.

    Raises:
        ParameterError: both of the two, options for a model or for ``"auto"``, a sigma or coils
            that nothing asks for, an impossible sigma, budget, strength or unit, a budget without
            ``"auto"``, ``adapt`` with a model or method, or two ways of taking one bias away.
        ConfigError: no such filter or option.
        ModelError: the model file cannot be used, or the weights that ship are missing or altered.
    """
    said = checked_units(units)
    if not 0 <= strength <= 1:
        raise ParameterError(f"--strength is {strength:g}: it is from 0 to 1.")
    way = _full_strength(
        model,
        method,
        device,
        options=dict(options or {}),
        sigma=sigma,
        around=Around(stabilise, debias, coils),
        budget=budget,
        adapt=adapt,
        correlation=correlation,
    )
    if method in (None, AUTO):  # a filter by name does what its name says
        way = keeping_blank(way)
    if strength != 1:
        way = blended(way, strength)
    if said:
        return in_units(way, said)
    looks = model is None and sigma is None and _estimates(method, dict(options or {}))
    return hinting(way) if looks else way


def _full_strength(
    model: str | os.PathLike[str] | None,
    method: str | None,
    device: str,
    *,
    options: dict[str, Any],
    sigma: str | float | None,
    around: Around,
    budget: float | None,
    adapt: float | None,
    correlation: Correlation | None,
) -> Way:
    """See :func:`way_to_denoise`."""
    if model is not None and method is not None:
        raise ParameterError(
            "Say --model FILE or --method NAME, not both; without either, the network that ships "
            "with meddenoise is taken."
        )
    stabilise, debias, coils = around.stabilise, around.debias, around.coils
    around.check()
    check_adapt(adapt, method, model)
    level = known_level(sigma)
    if method == AUTO:
        return _by_choice(options, level, around, budget, device)
    if budget is not None:
        raise ParameterError("--budget is for --method auto: it says how long that may train.")
    if method is not None:
        if "device" in filter_options(method):
            from meddenoise.devices import choose_device  # imports torch

            options.setdefault("device", str(choose_device(device)))
        if sigma is not None and not (around.stabilises or around.debias):
            _check_hears(method, options)
        return around.debiased(_by_filter(method, options, level, around, correlation), level)
    if model is None:
        return _by_what_ships(options, sigma, level, around, device, adapt)
    from meddenoise.inference import Denoiser
    from meddenoise.inference.stabilised import check_asked

    assert model is not None
    denoiser = Denoiser.load(path_of(model), device=device, inference=options)
    own = denoiser.stabilise.method
    around.check_method(own, str(model))
    check_asked(denoiser.stabilise, stabilise, coils)
    takes = denoiser.noise_map or own != "none" or around.stabilises
    if sigma is not None and not (takes or debias):
        raise ParameterError(
            "--sigma is for --method, or for a model with a noise map or a stabilisation, neither "
            f"of which {model} has, or with --stabilise or --debias."
        )

    def by_model(volume: Volume, progress: Progress | None) -> Volume:
        _compare_kinds(denoiser, volume)
        if debias:
            _compare_targets(denoiser)
        return denoiser(
            volume,
            sigma=level(volume) if takes else None,
            stabilise=stabilise,
            coils=None if debias else coils,
            progress=progress,
        )

    def streamed(scan: PlaneScan) -> Streamed:
        from meddenoise.inference.streaming import Streaming

        denoiser.check_fits(scan.head)
        _compare_kinds(denoiser, scan.head)
        known = level_on_disk(sigma, scan) if takes else None
        return Streaming(denoiser, scan, sigma=known, stabilise=stabilise, coils=coils)

    return around.debiased(Way(denoiser.name, by_model, streamed), level)


def _by_what_ships(
    options: dict[str, Any],
    sigma: str | float | None,
    level: Callable[[Volume], float | None],
    around: Around,
    device: str,
    adapt: float | None,
) -> Way:
    """The network that ships with meddenoise; see :mod:`meddenoise.workflows.ready`."""
    from meddenoise.workflows.looked_at import few_of
    from meddenoise.workflows.ready import Shipped, denoise_ready

    # Before anything is read: the weights may be altered, and options unknown.
    networks = Shipped(device, options)
    stabilise = "none" if around.debias else around.stabilise

    def run(volume: Volume, progress: Progress | None) -> Volume:
        return denoise_ready(
            volume,
            networks,
            sigma=level(few_of(volume)),
            stabilise=stabilise,
            coils=around.coils,
            adapt=adapt,
            progress=progress,
        )

    def streamed(scan: PlaneScan) -> Streamed:
        from meddenoise.pretrained.thick import ThickSliced, ready_for
        from meddenoise.workflows.ready_streamed import ReadyStreaming

        ready = ready_for(networks, scan.head.spacing, scan.shape) or networks[3]
        if scan.shape[2] == 1 and 2 in networks:
            ready = networks[2]
        if isinstance(ready, ThickSliced) and ready.axis != 2:
            warnings.warn(
                "The scan's slices, thick or two, lie across the planes that it is stored in, and "
                "it is too large to be held: the network for volumes goes over it alone, without "
                "the one for slices.",
                stacklevel=2,
            )
            ready = ready.whole
        known = level_on_disk(sigma, scan)
        return ReadyStreaming(ready, scan, sigma=known, stabilise=stabilise, coils=around.coils)

    # What is learnt from a scan needs all of it.
    by_planes = streamed if 3 in networks and adapt is None else None
    one_by_one = by_image(run) if 2 in networks else run
    way = Way("the network that ships with meddenoise", one_by_one, by_planes)
    return around.debiased(way, level)


def _estimates(method: str | None, options: dict[str, Any]) -> bool:
    """Whether a method asks for the noise's level, which is estimated from the scan."""
    from meddenoise.filters.registry import asks_noise, checked_options

    return method in (None, AUTO) or asks_noise(method, checked_options(method, options))


def _by_filter(
    name: str,
    options: dict[str, Any],
    level: Callable[[Volume], float | None],
    around: Around,
    correlation: Correlation | None,
) -> Way:
    """Wrong names and options are said before anything is read."""
    from meddenoise.filters.registry import checked_options, is_joint

    checked = checked_options(name, options)
    if around.debias and checked.get("rician"):
        raise ParameterError(
            f"'{name}' with rician=true takes the bias of Rician noise away, and so does --debias: "
            "say one of the two."
        )
    around.check_method("none", name)

    def run(volume: Volume, progress: Progress | None) -> Volume:
        return apply_filter(
            volume,
            name,
            sigma_noise=level(volume),
            correlation=correlation,
            stabilise=around.stabilise or "none",
            coils=around.coils or 1,
            **options,
        )

    # A filter of the user's may be for three axes, and a correlation is told of three.
    own = get_filter(name).__module__.startswith("meddenoise.") and not is_joint(name)
    by = by_image(run) if own and correlation is None else run
    reach = None if around.stabilises else reach_of(name, checked)
    if reach is None:
        return Way(name, by)
    seen = reach
    return Way(name, by, lambda scan: FilterStreaming(scan, name, checked, seen))


def _check_hears(name: str, options: dict[str, Any]) -> None:
    """Raise for a filter that a level would say nothing to."""
    from meddenoise.filters.registry import checked_options, chosen_by_noise

    checked, chosen = checked_options(name, options), chosen_by_noise(name)
    if name in _DEAF:
        raise ParameterError(
            f"'{name}' does not look at the noise's level: leave --sigma out, or take another "
            "method."
        )
    if chosen is not None and checked.get(chosen) is not None:
        raise ParameterError(
            f"'{name}' chooses its {chosen} by the noise's level, and {chosen}={checked[chosen]} "
            "says it already: leave --sigma or the option out."
        )


def _by_choice(
    options: Mapping[str, Any],
    level: Callable[[Volume], float | None],
    around: Around,
    budget: float | None,
    device: str,
) -> Way:
    """Each scan by what :func:`meddenoise.workflows.choosing.choose` finds right for it."""
    if options:
        raise ParameterError("--set is for a method by name: auto chooses method and options.")
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise ParameterError(f"--budget is {budget:g}: it is above 0, in seconds.")
    around.check_method("none", AUTO)

    def run(volume: Volume, progress: Progress | None) -> Volume:
        from meddenoise.filters.registry import is_joint
        from meddenoise.workflows.choosing import choose

        sigma = level(volume)
        choice = choose(volume, budget=budget, sigma=sigma)
        warnings.warn(" ".join(choice.why), stacklevel=2)
        stabilise = choice.stabilise
        if around.debias or around.stabilise not in (None, "auto"):
            stabilise = around.stabilise or "none"
        chosen = dict(choice.options)
        if "device" in filter_options(choice.method):
            chosen["device"] = device

        def filtered(seen: Volume, _: Progress | None) -> Volume:
            return apply_filter(
                seen,
                choice.method,
                # Every filter can be told, but a filter of 4-D scans knows better.
                sigma_noise=sigma,
                correlation=choice.correlation,
                stabilise=stabilise,
                coils=around.coils or 1,
                **chosen,
            )

        return (filtered if is_joint(choice.method) else by_image(filtered))(volume, progress)

    def by(volume: Volume, progress: Progress | None) -> Volume:
        # The volumes of a series are compared with each other, however few slices they have.
        return (run if is_series(volume) else by_image(run))(volume, progress)

    return around.debiased(Way(AUTO, by), level)


def _compare_kinds(denoiser: Denoiser, volume: Volume) -> None:
    """Warn of a scan that is not what the model was trained on; where unknown, say nothing."""
    learned = denoiser.info.get("data", {})
    for what in ("modality", "units"):
        theirs, ours = learned.get(what) or "", getattr(volume, what)
        if theirs and ours and theirs != ours:
            warnings.warn(
                f"The model was trained on scans whose {what} is {theirs}, and this one's is "
                f"{ours}: the result may be wrong.",
                stacklevel=3,
            )


def _compare_targets(denoiser: Denoiser) -> None:
    """Warn where the result is likely to have no bias."""
    if denoiser.info.get("trainer", {}).get("name") == "supervised":
        warnings.warn(
            "The model learned from clean partners, if its targets were clean: then its results "
            "have no bias, and taking it away makes a new one.",
            stacklevel=3,
        )
