"""One engine (the loop), and trainers that say what a step is."""

from meddenoise.training.adversarial import AdversarialTrainer
from meddenoise.training.distillation import DistillationTrainer
from meddenoise.training.engine import Engine, Result
from meddenoise.training.neighbor2neighbor import Neighbor2NeighborTrainer
from meddenoise.training.noise2noise import Noise2NoiseTrainer
from meddenoise.training.noise2void import Noise2VoidTrainer
from meddenoise.training.poisson_r2r import PoissonR2RTrainer
from meddenoise.training.r2r import R2RTrainer
from meddenoise.training.slice2slice import Slice2SliceTrainer
from meddenoise.training.staged import StagedTrainer
from meddenoise.training.struct_noise2void import StructNoise2VoidTrainer
from meddenoise.training.supervised import SupervisedTrainer
from meddenoise.training.sure import SureTrainer
from meddenoise.training.trainer import Trainer, build_trainer, register_trainer, trainer_names
from meddenoise.training.unsure import UnsureTrainer
from meddenoise.training.zs_n2n import ZSN2NTrainer

__all__ = [
    "AdversarialTrainer",
    "DistillationTrainer",
    "Engine",
    "Neighbor2NeighborTrainer",
    "Noise2NoiseTrainer",
    "Noise2VoidTrainer",
    "PoissonR2RTrainer",
    "R2RTrainer",
    "Result",
    "Slice2SliceTrainer",
    "StagedTrainer",
    "StructNoise2VoidTrainer",
    "SupervisedTrainer",
    "SureTrainer",
    "Trainer",
    "UnsureTrainer",
    "ZSN2NTrainer",
    "build_trainer",
    "register_trainer",
    "trainer_names",
]
