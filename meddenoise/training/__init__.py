"""One engine (the loop), and trainers that say what a step is."""

from meddenoise.training.engine import Engine, Result
from meddenoise.training.neighbor2neighbor import Neighbor2NeighborTrainer
from meddenoise.training.noise2void import Noise2VoidTrainer
from meddenoise.training.r2r import R2RTrainer
from meddenoise.training.staged import StagedTrainer
from meddenoise.training.struct_noise2void import StructNoise2VoidTrainer
from meddenoise.training.supervised import SupervisedTrainer
from meddenoise.training.sure import SureTrainer
from meddenoise.training.trainer import Trainer, build_trainer, register_trainer, trainer_names
from meddenoise.training.unsure import UnsureTrainer

__all__ = [
    "Engine",
    "Neighbor2NeighborTrainer",
    "Noise2VoidTrainer",
    "R2RTrainer",
    "Result",
    "StagedTrainer",
    "StructNoise2VoidTrainer",
    "SupervisedTrainer",
    "SureTrainer",
    "Trainer",
    "UnsureTrainer",
    "build_trainer",
    "register_trainer",
    "trainer_names",
]
