"""What every test may ask for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A suite that was started in the background inherits an ignored Ctrl-C; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real scans that stands beside a developer's checkout."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"real scans are not at hand: no directory {path}")
    return path


@pytest.fixture
def bids(tmp_path: Path) -> Path:
    """A raw BIDS dataset of two participants, one of them with a session; procedural noise."""
    import nibabel as nib
    import numpy as np

    root = tmp_path / "raw"
    draws = np.random.default_rng(0)

    def text(name: str, content: str) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)

    def scan(name: str, volumes: int = 1) -> None:
        shape = (9, 8, 7, volumes) if volumes > 1 else (9, 8, 7)
        image = nib.Nifti1Image(draws.normal(500, 50, shape).astype(np.int16), np.eye(4))
        image.header.set_xyzt_units("mm", "sec")
        image.header["pixdim"][4] = 2
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, root / name)

    text("dataset_description.json", '{"Name": "Tiny", "BIDSVersion": "1.8.0"}')
    text("task-rest_bold.json", '{"TaskName": "rest", "RepetitionTime": 2, "EchoTime": 0.03}')
    text("T1w.json", '{"EchoTime": 0.003, "Manufacturer": "None"}')
    text("dwi.bval", "0 1000 1000\n")
    text("dwi.bvec", "0 1 0\n0 0 1\n0 0 0\n")
    for place, name in (("sub-01", "sub-01"), ("sub-02/ses-a", "sub-02_ses-a")):
        scan(f"{place}/anat/{name}_T1w.nii.gz")
        text(f"{place}/anat/{name}_T1w.json", '{"EchoTime": 0.004, "Site": "Köln"}')
        scan(f"{place}/anat/{name}_T1map.nii.gz")
        scan(f"{place}/func/{name}_task-rest_part-mag_bold.nii.gz", 3)
        scan(f"{place}/func/{name}_task-rest_part-phase_bold.nii.gz", 3)
        scan(f"{place}/dwi/{name}_dwi.nii.gz", 3)
        scan(f"{place}/fmap/{name}_dir-AP_epi.nii.gz")
    scan("sub-01/perf/sub-01_m0scan.nii")
    text("sub-01/perf/sub-01_m0scan.json", '{"IntendedFor": ["perf/sub-01_asl.nii.gz"]}')
    scan("sub-01/anat/sub-01_desc-defaced_T1w.nii.gz")
    scan("derivatives/other/sub-01/anat/sub-01_T1w.nii.gz")
    scan("sourcedata/sub-01/anat/sub-01_T1w.nii.gz")
    return root
