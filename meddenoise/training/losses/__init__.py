"""How far a prediction is from its target: losses by name, and their weighted sums."""

from meddenoise.training.losses.compared import Compared
from meddenoise.training.losses.frequency import focal_frequency, frequency
from meddenoise.training.losses.logarithmic import log_l2
from meddenoise.training.losses.random_features import random_features
from meddenoise.training.losses.registry import loss_names, register_loss
from meddenoise.training.losses.structural import ms_ssim, ssim
from meddenoise.training.losses.voxelwise import charbonnier, l1, l2
from meddenoise.training.losses.weighted import LossOption, WeightedLoss

__all__ = [
    "Compared",
    "LossOption",
    "WeightedLoss",
    "charbonnier",
    "focal_frequency",
    "frequency",
    "l1",
    "l2",
    "log_l2",
    "loss_names",
    "ms_ssim",
    "random_features",
    "register_loss",
    "ssim",
]
