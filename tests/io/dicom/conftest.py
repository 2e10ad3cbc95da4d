"""Enhanced multi-frame CT, PET and MR objects made on the spot: no real ones are free to share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items

CLASSES = {
    "CT": uid.EnhancedCTImageStorage,
    "PT": uid.EnhancedPETImageStorage,
    "MR": uid.EnhancedMRImageStorage,
}
AXIAL, SAGITTAL = (1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)


@dataclass(frozen=True, eq=False)
class Slice:
    """One frame: its stored pixels, where it lies, and how its values are scaled."""

    pixels: np.ndarray
    position: tuple[float, float, float]
    orientation: tuple[float, ...] = AXIAL
    stack: int = 1
    place: int = 1
    time: int = 1
    slope: float = 1.0
    intercept: float = 0.0


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def one(**elements: Any) -> Items:
    return Items([item(**elements)])


def coded(value: str, scheme: str, meaning: str) -> Items:
    return one(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def per_frame(modality: str, ds: Dataset, one_slice: Slice, number: int) -> Dataset:
    """What differs from frame to frame: place, time, dimension indices."""
    return item(
        FrameContentSequence=one(
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime=f"2020010112{number // 60:02}{number % 60:02}",
            FrameAcquisitionDateTime="20200101120000",
            FrameAcquisitionDuration=10.0,
            StackID=str(one_slice.stack),
            InStackPositionNumber=one_slice.place,
            TemporalPositionIndex=one_slice.time,
            DimensionIndexValues=[one_slice.stack, one_slice.time, one_slice.place],
        ),
        PlanePositionSequence=one(ImagePositionPatient=list(one_slice.position)),
        PlaneOrientationSequence=one(ImageOrientationPatient=list(one_slice.orientation)),
    )


def scale(modality: str, slope: float, intercept: float) -> Items:
    kind = {"CT": "HU", "PT": "US", "MR": "US"}[modality]
    return one(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType=kind)


def dimensions() -> dict[str, Any]:
    pointers = (("StackID", 0x00209056), ("Time", 0x00209128), ("Place", 0x00209057))
    organization = "1.2.3.4.7"
    return {
        "DimensionOrganizationSequence": one(DimensionOrganizationUID=organization),
        "DimensionIndexSequence": Items(
            item(
                DimensionOrganizationUID=organization, DimensionIndexPointer=tag,
                FunctionalGroupPointer=0x00209111, DimensionDescriptionLabel=label,
            )
            for label, tag in pointers
        ),
    }  # fmt: skip


def shared_groups(modality: str) -> Dataset:
    group = item(
        PixelMeasuresSequence=one(PixelSpacing=[0.7, 0.4], SliceThickness=5),
        FrameAnatomySequence=one(
            FrameLaterality="U", AnatomicRegionSequence=coded("69536005", "SCT", "Head")
        ),
        FrameVOILUTSequence=one(WindowCenter=40, WindowWidth=400),
    )
    for keyword, value in MACROS[modality]().items():
        setattr(group, keyword, value)
    return group


def ct_macros() -> dict[str, Any]:
    return {
        "CTImageFrameTypeSequence": one(
            FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE",
        ),
        "CTAcquisitionTypeSequence": one(AcquisitionType="SPIRAL", ConstantVolumeFlag="NO",
                                         FluoroscopyFlag="NO"),
        "CTAcquisitionDetailsSequence": one(
            RotationDirection="CW", RevolutionTime=0.5, SingleCollimationWidth=1.0,
            TotalCollimationWidth=16.0, TableHeight=100.0, GantryDetectorTilt=0.0,
            DataCollectionDiameter=500.0,
        ),
        "CTTableDynamicsSequence": one(TableSpeed=10.0, TableFeedPerRotation=5.0,
                                       SpiralPitchFactor=1.0),
        "CTPositionSequence": one(
            TablePosition=0.0, DataCollectionCenterPatient=[0, 0, 0],
            ReconstructionTargetCenterPatient=[0, 0, 0],
        ),
        "CTGeometrySequence": one(DistanceSourceToDetector=1000.0,
                                  DistanceSourceToDataCollectionCenter=500.0),
        "CTReconstructionSequence": one(
            ReconstructionAlgorithm="FILTER_BACK_PROJ", ConvolutionKernel="B30",
            ConvolutionKernelGroup="SOFT_TISSUE", ReconstructionDiameter=300.0,
            ReconstructionPixelSpacing=[0.7, 0.4], ReconstructionAngle=360.0, ImageFilter="NONE",
        ),
        "CTExposureSequence": one(
            ExposureTimeInms=500.0, XRayTubeCurrentInmA=200.0, ExposureInmAs=100.0,
            ExposureModulationType="NONE",
        ),
        "CTXRayDetailsSequence": one(KVP=120, FocalSpots=[1.0], FilterType="FLAT",
                                     FilterMaterial="ALUMINUM"),
        "IrradiationEventIdentificationSequence": one(IrradiationEventUID="1.2.3.4.8"),
    }  # fmt: skip


def pet_macros() -> dict[str, Any]:
    return {
        "PETFrameTypeSequence": one(
            FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE",
        ),
        "PETFrameAcquisitionSequence": one(
            TableHeight=100.0, GantryDetectorTilt=0.0, GantryDetectorSlew=0.0,
            DataCollectionDiameter=500.0,
        ),
        "PETPositionSequence": one(
            TablePosition=0.0, DataCollectionCenterPatient=[0, 0, 0],
            ReconstructionTargetCenterPatient=[0, 0, 0],
        ),
        "PETDetectorMotionDetailsSequence": one(RotationDirection="CW", RevolutionTime=0.5),
        "PETFrameCorrectionFactorsSequence": one(
            PrimaryPromptsCountsAccumulated=1000, ScatterFractionFactor=0.3, DeadTimeFactor=1.0,
            DecayFactor=1.0, SliceSensitivityFactor=1.0,
        ),
        "RadiopharmaceuticalUsageSequence": one(RadiopharmaceuticalAgentNumber=1),

        "PETReconstructionSequence": one(
            ReconstructionType="3D", ReconstructionAlgorithm="FILTER_BACK_PROJ",
            IterativeReconstructionMethod="NO", ReconstructionDiameter=300.0,
        ),
    }  # fmt: skip


def pet_top() -> dict[str, Any]:
    """The modules Enhanced PET Acquisition, Isotope and Corrections."""
    corrected = (
        "DecayCorrected", "AttenuationCorrected", "ScatterCorrected", "DeadTimeCorrected",
        "GantryMotionCorrected", "PatientMotionCorrected", "CountLossNormalizationCorrected",
        "RandomsCorrected", "NonUniformRadialSamplingCorrected", "SensitivityCalibrated",
        "DetectorNormalizationCorrection",
    )  # fmt: skip
    direction = coded("24422004", "SCT", "Axial")
    direction[0].ViewModifierCodeSequence = Items()
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "TableMotion": "STATIC",
        "TimeOfFlightInformationUsed": "FALSE",
        "AcquisitionStartCondition": "MANU",
        "AcquisitionTerminationCondition": "TIME",
        "TerminationTimeThreshold": 60.0,
        "DetectorGeometry": "CYLINDRICAL_RING",
        "AxialDetectorDimension": 4.0,
        "TransverseDetectorSeparation": 4.0,
        "CoincidenceWindowWidth": 10.0,
        "CollimatorType": "NONE",
        "TypeOfDetectorMotion": "STATIONARY",
        "EnergyWindowRangeSequence": one(EnergyWindowLowerLimit=425, EnergyWindowUpperLimit=650),
        "ViewCodeSequence": direction,
        "SliceProgressionDirection": "APEX_TO_BASE",
        "RadiopharmaceuticalInformationSequence": one(
            RadiopharmaceuticalAgentNumber=1,
            RadionuclideCodeSequence=coded("77004003", "SCT", "^18^Fluorine"),
            AdministrationRouteCodeSequence=coded("47625008", "SCT", "Intravenous route"),
            RadiopharmaceuticalVolume=1,
            RadiopharmaceuticalStartDateTime="20200101110000",
            RadionuclideTotalDose=300,
            RadionuclideHalfLife=6586.2,
            RadionuclidePositronFraction=0.97,
            RadiopharmaceuticalCodeSequence=coded("35321007", "SCT", "Fluorodeoxyglucose F^18^"),
        ),
        "DecayCorrectionDateTime": "20200101110000",
        "AttenuationCorrectionSource": "CT",
        "AttenuationCorrectionTemporalRelationship": "SEPARATE",
        "ScatterCorrectionMethod": "model",
        "RandomsCorrectionMethod": "DLYD",
        "CountsSource": "EMISSION",
        **dict.fromkeys(corrected, "YES"),
    }


def mr_macros() -> dict[str, Any]:
    return {
        "MRImageFrameTypeSequence": one(
            FrameType=["ORIGINAL", "PRIMARY", "T1", "NONE"], PixelPresentation="MONOCHROME",
            VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE",
            ComplexImageComponent="MAGNITUDE", AcquisitionContrast="T1",
        ),
        "MRTimingAndRelatedParametersSequence": one(
            RepetitionTime=8, FlipAngle=9, EchoTrainLength=1, RFEchoTrainLength=0,
            GradientEchoTrainLength=1, GradientOutputType="DB_DT", GradientOutput=20.0,
        ),
        "MREchoSequence": one(EffectiveEchoTime=3.7),
        "MRModifierSequence": one(Spoiling="RF", InversionRecovery="NO", FlowCompensation="NONE"),
    }  # fmt: skip


MACROS = {"CT": ct_macros, "PT": pet_macros, "MR": mr_macros}
TOP: dict[str, dict[str, Any]] = {
    "CT": {"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]},
    "PT": pet_top(),
    "MR": {
        "ImageType": ["ORIGINAL", "PRIMARY", "T1", "NONE"],
        "PulseSequenceName": "fl3d", "MRAcquisitionType": "3D", "EchoPulseSequence": "GRADIENT",
        "BulkMotionCompensationTechnique": "NONE",
    },
}  # fmt: skip


def enhanced(modality: str, slices: Sequence[Slice], *, shared_scale: bool = False) -> Dataset:
    """An object of these frames, in this order, without faults that dciodvfy would find."""
    ds = item(
        SOPClassUID=CLASSES[modality], SOPInstanceUID=uid.generate_uid(), Modality=modality,
        StudyInstanceUID="1.2.3.4", SeriesInstanceUID="1.2.3.4.5", FrameOfReferenceUID="1.2.3.4.6",
        PatientName="Sentinel^Patient", PatientID="SENTINEL-ID", PatientBirthDate="19500101",
        PatientSex="O", StudyDate="20200101", StudyTime="120000", StudyID="1",
        AccessionNumber="", ReferringPhysicianName="", PositionReferenceIndicator="",
        SeriesNumber=7, InstanceNumber=1, SeriesDescription="enhanced test",
        Manufacturer="Maker", ManufacturerModelName="Model", DeviceSerialNumber="1",
        SoftwareVersions="1", ContentDate="20200101", ContentTime="120000",
        ContentQualification="RESEARCH", AcquisitionDateTime="20200101120000",
        AcquisitionDuration=1.0, BurnedInAnnotation="NO", LossyImageCompression="00",
        PresentationLUTShape="IDENTITY", PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME", VolumeBasedCalculationTechnique="NONE",
        AcquisitionContextSequence=Items(), NumberOfFrames=len(slices), SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", SpecificCharacterSet="ISO_IR 100",
        PatientPosition="HFS", **dimensions(), **TOP[modality],
    )  # fmt: skip
    groups = [per_frame(modality, ds, each, number) for number, each in enumerate(slices)]
    shared = shared_groups(modality)
    if shared_scale:
        shared.PixelValueTransformationSequence = scale(
            modality, slices[0].slope, slices[0].intercept
        )
    else:
        for group, each in zip(groups, slices, strict=True):
            group.PixelValueTransformationSequence = scale(modality, each.slope, each.intercept)
    ds.SharedFunctionalGroupsSequence = Items([shared])
    ds.PerFrameFunctionalGroupsSequence = Items(groups)
    voxels = np.stack([each.pixels for each in slices])
    ds.Rows, ds.Columns = voxels.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(voxels.dtype.kind == "i")
    ds.PixelData = voxels.tobytes()
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return ds


EnhancedMaker = Callable[..., Path]


@pytest.fixture
def make_enhanced(tmp_path: Path) -> EnhancedMaker:
    """``make_enhanced(modality, slices, shared_scale=...)`` writes one file."""

    def make(modality: str, slices: Sequence[Slice], **options: Any) -> Path:
        path = tmp_path / f"enhanced-{modality}.dcm"
        ds = enhanced(modality, slices, **options)
        pydicom.dcmwrite(path, ds, enforce_file_format=True)
        return path

    return make


@pytest.fixture
def frame() -> type[Slice]:
    """``frame(pixels, position, orientation=..., stack=..., place=..., time=..., slope=...)``."""
    return Slice
