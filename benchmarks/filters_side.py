"""Runs one filter, ours or a peer's, on arrays; each method is a process of its own.

    python filters_side.py METHOD CASES.json

``CASES.json`` lists ``{"name", "noisy", "clean", "spectrum", "out", "told", "sigma", "rician",
"spacing", "modality", "units", "range"}``: ``.npy`` files of the noisy and the clean image, of the
power spectrum of noise that is correlated, and of the result,
a JSON file for what it took (``seconds`` by the clock, ``cpu`` seconds, and ``memory``: by how many
MiB the process has grown at most), and what methods are told of the image. A case whose ``told``
file is there is left out. The clean image is only for peers whose setting is the best of several.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
SMALL = 20_000
THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
ALONE = " alone"
STABILISED = ", stabilised"
AUTO = re.compile(r"auto(?:, ([0-9.]+) s)?")
READY = "the network that ships"
TOLD_SIGMA = f"{READY}, told sigma"
ADAPTED = re.compile(rf"{READY}, adapted for ([0-9.]+) s")

Method = Callable[[np.ndarray, dict[str, Any]], np.ndarray]


def ours(name: str) -> Method:
    """A filter of meddenoise as a user has it: told the noise's strength, or ``alone`` nothing.

    ``, stabilised``: Rician noise is stabilised around it.
    """
    import meddenoise as md
    from meddenoise.filters import apply_filter

    method, alone = name.removesuffix(ALONE), name.endswith(ALONE)
    method, stabilised = method.removesuffix(STABILISED), method.endswith(STABILISED)

    def run(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
        affine = np.diag([*case["spacing"], 1.0])
        known = {"units": case["units"], "modality": case["modality"]}
        volume = md.Volume.from_array(noisy, affine=affine, **known)
        if alone:
            return apply_filter(volume, method).array[0]
        if stabilised and case["rician"]:
            return apply_filter(
                volume, method, sigma_noise=case["sigma"], stabilise="rician"
            ).array[0]
        more = {"rician": True} if method == "nlmeans" and case["rician"] else {}
        return apply_filter(volume, method, sigma_noise=case["sigma"], **more).array[0]

    return run


def auto(name: str) -> Method:
    """``--method auto`` as a user has it, told nothing but what a file's header says."""
    import meddenoise as md

    match = AUTO.fullmatch(name)
    assert match is not None
    seconds = match[1]

    def run(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
        affine = np.diag([*case["spacing"], 1.0])
        known = {"units": case["units"], "modality": case["modality"]}
        volume = md.Volume.from_array(noisy, affine=affine, **known)
        # What is filtered once to set things up needs no training.
        budget = None if seconds is None or noisy.size < SMALL else float(seconds)
        return md.denoise(volume, method="auto", budget=budget).array[0]

    return run


def ready(name: str) -> Method:
    """No method and no model, as a user begins; told nothing but what a file's header says.

    ``, told sigma``: the strength of the noise that was added, as the filters are.
    """
    import meddenoise as md

    match = ADAPTED.fullmatch(name)

    def run(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
        affine = np.diag([*case["spacing"], 1.0])
        known = {"units": case["units"], "modality": case["modality"]}
        # What is denoised once to set things up needs no longer than that.
        adapt = None if match is None or noisy.size < SMALL else float(match[1])
        sigma = case["sigma"] if name == TOLD_SIGMA else None
        volume = md.Volume.from_array(noisy, affine=affine, **known)
        return md.denoise(volume, adapt=adapt, sigma=sigma).array[0]

    return run


def chosen(name: str) -> Method:
    """A method by name."""
    if name in PEERS:
        return PEERS[name]
    if AUTO.fullmatch(name):
        return auto(name)
    return ready(name) if name.startswith(READY) else ours(name)


def bm4d_package(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """The authors' BM4D, with its defaults; it has no Rician mode."""
    import bm4d

    return bm4d.bm4d(noisy, case["sigma"])


def bm4d_package_told(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """The same, told the true power of correlated noise at each frequency."""
    import bm4d

    return bm4d.bm4d(noisy, np.load(case["spectrum"]))


def dipy_nlmeans(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """DIPY's non-local means with its default patches and search.

    It averages squares, even where the noise is not Rician, and returns negative values as positive
    ones: so it gets the image far above 0, where that does no harm.
    """
    from dipy.denoise.nlmeans import nlmeans

    sigma = case["sigma"]
    offset = 0.0 if case["rician"] else float(noisy.min()) - 20 * sigma
    options = {"patch_radius": 1, "block_radius": 5, "num_threads": THREADS}
    return nlmeans(noisy - offset, sigma=sigma, rician=case["rician"], **options) + offset


def ants_denoise_image(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """ANTs' DenoiseImage with its defaults; it estimates the noise itself."""
    import ants

    image = ants.from_numpy(noisy, spacing=tuple(case["spacing"]))
    model = "Rician" if case["rician"] else "Gaussian"
    return ants.denoise_image(image, noise_model=model).numpy()


def skimage_nlmeans(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """scikit-image's fast non-local means, as its gallery sets it."""
    from skimage.restoration import denoise_nl_means

    sigma = case["sigma"]
    return denoise_nl_means(
        noisy, patch_size=3, patch_distance=3, h=0.6 * sigma, sigma=sigma, fast_mode=True
    )


def skimage_wavelet(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """scikit-image's wavelet shrinkage with its defaults (BayesShrink)."""
    from skimage.restoration import denoise_wavelet

    return denoise_wavelet(noisy, sigma=case["sigma"])


def skimage_visu(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """scikit-image's wavelet shrinkage by one threshold for all bands."""
    from skimage.restoration import denoise_wavelet

    return denoise_wavelet(noisy, sigma=case["sigma"], method="VisuShrink", mode="soft")


def skimage_tv(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """scikit-image's total variation with its default weight of 0.1 on an image of range 1."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(noisy / case["range"], weight=0.1) * case["range"]


def skimage_tv_best(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """scikit-image's total variation with the weight that comes closest to the truth.

    Nobody can choose so without the truth: it is what the method could give.
    """
    from skimage.restoration import denoise_tv_chambolle

    clean, sigma = np.load(case["clean"]), case["sigma"]
    scaled = noisy / sigma
    results = (denoise_tv_chambolle(scaled, weight=w) * sigma for w in TV_WEIGHTS)
    return min(results, key=lambda result: float(np.mean((result - clean) ** 2)))


TV_WEIGHTS = (0.15, 0.25, 0.35, 0.45, 0.6, 0.8, 1.0, 1.3, 1.7)

# Those without much to wait for first.
PEERS: dict[str, Method] = {
    "ANTs DenoiseImage": ants_denoise_image,
    "DIPY NLMeans": dipy_nlmeans,
    "scikit-image NLMeans": skimage_nlmeans,
    "scikit-image wavelet": skimage_wavelet,
    "scikit-image wavelet, VisuShrink": skimage_visu,
    "scikit-image TV": skimage_tv,
    "scikit-image TV, best weight": skimage_tv_best,
    "bm4d package": bm4d_package,
    "bm4d package, told the spectrum": bm4d_package_told,
}


def measure(method: Method, case: dict[str, Any], before: float) -> None:
    """Filter one case, save the result, and then what it took."""
    noisy = np.load(case["noisy"])
    clock, used = time.perf_counter(), time.process_time()
    result = np.asarray(method(noisy, case), dtype=np.float32)
    seconds, cpu = time.perf_counter() - clock, time.process_time() - used
    np.save(case["out"], result)
    told = {"seconds": seconds, "cpu": cpu, "memory": peak() - before}
    Path(case["told"]).write_text(json.dumps(told))


def peak() -> float:
    """The most memory that this process has held, in MiB."""
    # Not getrusage: a child begins with what its parent held.
    told = Path("/proc/self/status").read_text()
    return int(told.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    warnings.simplefilter("ignore")
    name, cases = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    cases = [case for case in cases if not Path(case["told"]).exists()]
    if not cases:
        return
    method = chosen(name)
    # What is imported and set up once is not the filter's time, nor its memory.
    small = np.random.default_rng(0).random((24, 24, 24), dtype=np.float32)
    first = {**cases[0], "sigma": 0.1, "range": 1.0, "clean": f"{cases[0]['out']}.warm.npy"}
    np.save(first["clean"], small)
    method(small, first)
    Path(first["clean"]).unlink()
    before = peak()
    for case in cases:
        print(f"  {name}: {case['name']}", file=sys.stderr, flush=True)
        measure(method, case, before)


if __name__ == "__main__":
    main()
