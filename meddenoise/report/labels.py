"""What each number is called, on a terminal and in a page."""

from __future__ import annotations

__all__ = ["LABELS", "plain", "range_in_words"]

LABELS = {
    "ms_ssim": "MS-SSIM",
    "hfen": "HFEN",
    "gmsd": "GMSD",
    "vif": "VIF",
    "lpips": "LPIPS",
    "error_nps_sigma": "error's noise power: sigma",
    "error_nps_peak": "error's noise power: peak",
    "error_nps_mean": "error's noise power: mean",
    "noise_left": "noise left in flat places",
    "error_structure": "structure in the error",
    "edge_width_reference": "width of edges, reference",
    "edge_width": "width of edges",
    "noise_sigma": "noise of the scan, estimated",
    "residual_sigma": "taken away",
    "residual_ratio": "taken away / noise",
    "shift": "shift of the mean",
    "noise_before": "noise in flat places, before",
    "noise_after": "noise in flat places, after",
    "noise_reduction": "noise reduction",
    "residual_correlation_x": "residual's correlation, x",
    "residual_correlation_y": "residual's correlation, y",
    "residual_correlation_z": "residual's correlation, z",
    "structure": "structure in the residual",
    "residual_at_edges": "residual at edges / elsewhere",
    "residual_nps_peak": "residual's noise power: peak",
    "residual_nps_mean": "residual's noise power: mean",
    "edge_width_before": "width of edges, before",
    "edge_width_after": "width of edges, after",
    "psnr_repeat": "PSNR by the repeat",
    "psnr_sure": "PSNR by Stein's estimate",
}


def plain(text: str) -> str:
    """A text for a plot, shown as it is: to matplotlib ``$`` begins a formula.

    It also leaves names that begin with ``_`` out of a legend; behind a space it does not.
    """
    shown = text.replace("$", "\\$")
    return f" {shown}" if shown.startswith("_") else shown


def range_in_words(low: float | None, high: float | None) -> str:
    """A range of intensities, open at an end that is ``None``."""
    if low is None or high is None:
        known = low if high is None else high
        return "" if known is None else f"{'above' if high is None else 'below'} {known:.4g}"
    return f"{low:.4g} to {high:.4g}"
