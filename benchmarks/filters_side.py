"""Runs one filter, ours or a peer's, on arrays; each method is a process of its own.

    python filters_side.py METHOD CASES.json

``CASES.json`` lists ``{"noisy", "out", "sigma", "rician", "spacing"}``: two ``.npy`` files, the
noise's standard deviation (null: the method finds it itself) and what kind of noise it is. Results
are saved to ``out``; a JSON line tells seconds by the clock and of CPU time for each case, and by
how much the process grew at most (MiB) while filtering.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))

Method = Callable[[np.ndarray, dict[str, Any]], np.ndarray]


def ours(name: str) -> Method:
    """A filter of meddenoise."""
    from meddenoise.filters import get_filter

    function = get_filter(name)

    def run(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
        more = {"rician": True} if name == "nlmeans" and case["rician"] else {}
        return function(noisy, spacing=case["spacing"], sigma_noise=case["sigma"], **more)

    return run


def bm4d_package(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """The authors' BM4D, with its defaults; it has no Rician mode."""
    import bm4d

    return bm4d.bm4d(noisy, case["sigma"])


def dipy_nlmeans(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """DIPY's non-local means with its default patches and search."""
    from dipy.denoise.nlmeans import nlmeans

    return nlmeans(
        noisy,
        sigma=case["sigma"],
        rician=case["rician"],
        patch_radius=1,
        block_radius=5,
        num_threads=THREADS,
    )


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


def skimage_tv(noisy: np.ndarray, case: dict[str, Any]) -> np.ndarray:
    """scikit-image's total variation with its default weight of 0.1 on an image of range 1."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(noisy, weight=0.1 * case["range"])


PEERS: dict[str, Method] = {
    "bm4d package": bm4d_package,
    "ANTs DenoiseImage": ants_denoise_image,
    "DIPY NLMeans": dipy_nlmeans,
    "scikit-image NLMeans": skimage_nlmeans,
    "scikit-image wavelet": skimage_wavelet,
    "scikit-image TV": skimage_tv,
}


def measure(method: Method, case: dict[str, Any]) -> dict[str, float]:
    """Filter one case, save the result, and tell what it took."""
    noisy = np.load(case["noisy"])
    clock, used = time.perf_counter(), time.process_time()
    result = np.asarray(method(noisy, case), dtype=np.float32)
    told = {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - used}
    np.save(case["out"], result)
    return told


def peak() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    warnings.simplefilter("ignore")
    name, cases = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    if name in PEERS:
        method = PEERS[name]
    else:
        try:
            import torch

            torch.set_num_threads(THREADS)
        except ImportError:
            pass
        method = ours(name)
    # What is imported and set up once is not the filter's time, nor its memory.
    small = np.random.default_rng(0).random((24, 24, 24), dtype=np.float32)
    spacing = cases[0]["spacing"]
    method(small, {"sigma": 0.1, "rician": False, "spacing": spacing, "range": 1.0})
    before = peak()
    told = [measure(method, case) for case in cases]
    print(json.dumps({"cases": told, "memory": peak() - before}))


if __name__ == "__main__":
    main()
