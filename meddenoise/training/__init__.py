"""One engine (the loop), and trainers that say what a step is."""

from meddenoise.training.engine import Engine, Result
from meddenoise.training.noise2void import Noise2VoidTrainer
from meddenoise.training.supervised import SupervisedTrainer
from meddenoise.training.trainer import Trainer, build_trainer, register_trainer, trainer_names

__all__ = [
    "Engine",
    "Noise2VoidTrainer",
    "Result",
    "SupervisedTrainer",
    "Trainer",
    "build_trainer",
    "register_trainer",
    "trainer_names",
]
