"""How each tool reads a scan and writes it back, as its own documentation shows.

Arrays are ``(X, Y, Z)`` or ``(X, Y, Z, C)`` and affines put voxel indices to RAS+ mm.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS to RAS, and back
Volumes = list[tuple[np.ndarray, np.ndarray]]


class Tool:
    """One column of the table.

    Attributes:
        package: its distribution, which tells the version.
        module: what must be importable, where that has another name.
        reads: formats that it claims to read.
        returns: formats that it claims to write back; ``"to nifti"``: from DICOM.
    """

    package = ""
    module = ""
    reads: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()

    def prepare(self) -> None:
        """Import what takes long, once."""

    def read(self, path: Path) -> Volumes:
        raise NotImplementedError

    def give_back(self, path: Path, out: Path) -> None:
        """Read in floating point, as a denoiser would, and write unchanged to ``out``."""
        raise NotImplementedError


class Meddenoise(Tool):
    package = "meddenoise"
    reads = frozenset({"nifti", "nrrd", "metaimage", "dicom"})
    returns = reads | {"to nifti"}

    def prepare(self) -> None:
        import meddenoise.io.dicom.reading
        import meddenoise.io.metaimage
        import meddenoise.io.nifti
        import meddenoise.io.nrrd  # noqa: F401

    def read(self, path: Path) -> Volumes:
        volume = self._volume(path)
        array = volume.array if volume.dims == 3 else volume.array[..., None]
        return [(_channels_last(array), volume.affine)]

    def give_back(self, path: Path, out: Path) -> None:
        from meddenoise import io

        report = io.write_report(self._volume(path), out)
        _say(*report.notes, *([f"{report.clipped} voxels were clipped"] if report.clipped else []))

    def _volume(self, path: Path) -> Any:
        from meddenoise import io

        volume = io.read(path)
        _say(*volume.source.oddities)  # which the command line prints
        return volume


class SimpleItk(Tool):
    package = "SimpleITK"
    reads = frozenset({"nifti", "nrrd", "metaimage", "dicom"})
    returns = reads | {"to nifti"}

    def prepare(self) -> None:
        import SimpleITK  # noqa: F401

    def read(self, path: Path) -> Volumes:
        import SimpleITK as sitk

        image = self._image(path)
        array = sitk.GetArrayFromImage(image)
        spatial = image.GetDimension()
        array = np.moveaxis(array, range(spatial), range(spatial)[::-1])
        direction = np.array(image.GetDirection()).reshape(spatial, spatial)
        affine = np.eye(4)
        size = min(3, spatial)
        affine[:size, :size] = (direction * image.GetSpacing())[:size, :size]
        affine[:size, 3] = image.GetOrigin()[:size]
        return [(array if spatial > 2 else array[:, :, None], FLIP @ affine)]

    def _image(self, path: Path) -> Any:
        """A file; a DICOM directory as in the example DicomSeriesReader."""
        import SimpleITK as sitk

        if path.is_file():
            return sitk.ReadImage(str(path))
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        return reader.Execute()

    def give_back(self, path: Path, out: Path) -> None:
        import SimpleITK as sitk

        if out.suffix == "":
            return self._series(path, out)
        image = self._image(path)
        if image.GetDimension() > 3:  # which Cast does not take
            return sitk.WriteImage(image, str(out))
        kind = image.GetPixelID()
        real = kind if "complex" in image.GetPixelIDTypeAsString() else sitk.sitkFloat32
        if image.GetNumberOfComponentsPerPixel() > 1:
            real = kind
        sitk.WriteImage(sitk.Cast(sitk.Cast(image, real), kind), str(out))
        return None

    def _series(self, path: Path, out: Path) -> None:
        """As in the example DicomSeriesReadModifySeriesWrite."""
        import SimpleITK as sitk

        reader = sitk.ImageSeriesReader()
        names = reader.GetGDCMSeriesFileNames(str(path))
        reader.SetFileNames(names)
        reader.MetaDataDictionaryArrayUpdateOn()
        reader.LoadPrivateTagsOn()
        image = reader.Execute()
        kind = image.GetPixelID()
        image = sitk.Cast(sitk.Cast(image, sitk.sitkFloat32), kind)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        copied = ["0010|0010", "0010|0020", "0010|0030", "0020|000d", "0020|0010", "0008|0020",
                  "0008|0030", "0008|0050", "0008|0060"]  # fmt: skip
        day, moment = time.strftime("%Y%m%d"), time.strftime("%H%M%S")
        direction = image.GetDirection()
        axes = "\\".join(map(str, [*direction[0::3], *direction[1::3]][:6]))
        values = {
            key: reader.GetMetaData(0, key) for key in copied if reader.HasMetaDataKey(0, key)
        }
        described = reader.HasMetaDataKey(0, "0008|103e")
        values |= {
            "0008|0031": moment,
            "0008|0021": day,
            "0008|0008": "DERIVED\\SECONDARY",
            "0020|000e": f"1.2.826.0.1.3680043.2.1125.{day}.1{moment}",
            "0020|0037": axes,
            "0008|103e": (reader.GetMetaData(0, "0008|103e") if described else "") + " Processed",
        }
        out.mkdir()
        for number in range(image.GetDepth()):
            piece = image[:, :, number]
            for key, value in values.items():
                piece.SetMetaData(key, value)
            piece.SetMetaData("0008|0012", day)
            piece.SetMetaData("0008|0013", moment)
            corner = image.TransformIndexToPhysicalPoint((0, 0, number))
            piece.SetMetaData("0020|0032", "\\".join(map(str, corner)))
            piece.SetMetaData("0020|0013", str(number))
            writer.SetFileName(str(out / f"{number:04}.dcm"))
            writer.Execute(piece)


class Monai(Tool):
    package = "monai"
    reads = frozenset({"nifti", "nrrd", "metaimage", "dicom"})
    returns = frozenset({"nifti", "nrrd", "metaimage", "to nifti"})

    def prepare(self) -> None:
        import itk
        import monai.transforms  # noqa: F401

        itk.Image  # loads lazily  # noqa: B018

    def read(self, path: Path) -> Volumes:
        from monai.transforms import LoadImage

        image = LoadImage(image_only=True)(path)
        array = np.asarray(image)
        array = array[:, :, None] if array.ndim == 2 else array
        return [(array, np.asarray(image.affine, float))]

    def give_back(self, path: Path, out: Path) -> None:
        from monai.transforms import LoadImage, SaveImage

        image = LoadImage(image_only=True, ensure_channel_first=True)(path)
        name = out.name.removesuffix(".gz")
        extension = out.name[len(Path(name).stem) :]
        save = SaveImage(
            output_dir=out.parent, output_postfix="", output_ext=extension, resample=False,
            separate_folder=False, output_dtype=None, print_log=False,
        )  # fmt: skip
        image.meta["filename_or_obj"] = Path(name).stem
        save(image)


class Dcm2niix(Tool):
    package = "dcm2niix"
    reads = frozenset({"dicom"})
    returns = frozenset({"to nifti"})

    def read(self, path: Path) -> Volumes:
        import nibabel as nib

        volumes = []
        for name in self._converted(path, Path("dcm2niix")):
            image = nib.load(name)
            array = np.asarray(image.dataobj)
            if array.dtype.names:  # RGB
                array = np.stack([array[name] for name in array.dtype.names], axis=-1)
            volumes.append((array, image.affine))
        return volumes

    def give_back(self, path: Path, out: Path) -> None:
        for name in sorted(self._converted(path, Path("dcm2niix")), reverse=True):
            for made in name.parent.glob(f"{name.name.split('.')[0]}.*"):
                made.rename(out.parent / made.name.replace(made.name.split(".")[0], "out", 1))

    def _converted(self, path: Path, out: Path) -> list[Path]:
        place = path if path.is_dir() else path.parent
        beside = Path(sys.executable).parent
        program = shutil.which("dcm2niix", path=str(beside)) or shutil.which("dcm2niix")
        if program is None:
            import dcm2niix

            program = dcm2niix.bin
        out.mkdir()
        command = [program, "-b", "y", "-ba", "n", "-z", "y", "-f", "%p_%s", "-o", out, place]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode < 0:
            os.kill(os.getpid(), -run.returncode)
        images = sorted(out.glob("*.nii.gz"))
        lines = (run.stdout + run.stderr).splitlines()
        if not images:
            raise RuntimeError(f"exit code {run.returncode}: {' '.join(lines)}")
        _say(*(line for line in lines if line.startswith(("Warning", "Error", "Unsupported"))))
        return images


class Highdicom(Tool):
    package = "highdicom"
    reads = frozenset({"dicom"})

    def prepare(self) -> None:
        import highdicom  # noqa: F401

    def read(self, path: Path) -> Volumes:
        import highdicom as hd
        import pydicom

        files = sorted(path.iterdir()) if path.is_dir() else [path]
        if len(files) == 1:
            volume = hd.imread(files[0]).get_volume()
        else:
            series = [pydicom.dcmread(file) for file in files]
            volume = hd.get_volume_from_series([ds for ds in series if "Rows" in ds])
        return [(np.asarray(volume.array), FLIP @ volume.affine)]


class Nibabel(Tool):
    package = "nibabel"
    reads = returns = frozenset({"nifti"})

    def prepare(self) -> None:
        import nibabel  # noqa: F401

    def read(self, path: Path) -> Volumes:
        import nibabel as nib

        image = nib.load(path)
        array = np.asanyarray(image.dataobj)
        if array.dtype.names:
            array = np.stack([array[name] for name in array.dtype.names], axis=-1)
        return [(np.asarray(array), image.affine)]

    def give_back(self, path: Path, out: Path) -> None:
        import nibabel as nib

        image = nib.load(path)
        data = image.get_fdata(dtype=np.float32)
        nib.save(type(image)(data, image.affine, image.header), out)


class Pynrrd(Tool):
    package = "pynrrd"
    module = "nrrd"
    reads = returns = frozenset({"nrrd"})

    def prepare(self) -> None:
        import nrrd  # noqa: F401

    def read(self, path: Path) -> Volumes:
        import nrrd

        array, header = nrrd.read(str(path))
        axes = np.asarray(header["space directions"], float)
        spatial = ~np.isnan(axes).any(axis=1)
        array = np.moveaxis(array, np.flatnonzero(spatial), range(spatial.sum()))
        affine = np.eye(4)
        affine[:3, :3] = axes[spatial].T
        affine[:3, 3] = header["space origin"]
        lps = header["space"].lower() in ("left-posterior-superior", "lps")
        return [(array, FLIP @ affine if lps else affine)]

    def give_back(self, path: Path, out: Path) -> None:
        import nrrd

        array, header = nrrd.read(str(path))
        nrrd.write(str(out), array.astype(np.float32).astype(array.dtype), header)


TOOLS: dict[str, Tool] = {
    "meddenoise": Meddenoise(),
    "SimpleITK": SimpleItk(),
    "MONAI": Monai(),
    "dcm2niix": Dcm2niix(),
    "highdicom": Highdicom(),
    "nibabel": Nibabel(),
    "pynrrd": Pynrrd(),
}


def _channels_last(array: np.ndarray) -> np.ndarray:
    return array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)


def _say(*sentences: str) -> None:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
