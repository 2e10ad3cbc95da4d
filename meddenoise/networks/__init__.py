"""One file an architecture, one registry: ``build_network("unet", dims=3)``."""

from meddenoise.networks.dncnn import DnCNN
from meddenoise.networks.noise_map import with_noise_map
from meddenoise.networks.registry import build_network, network_names, register_network
from meddenoise.networks.unet import UNet

__all__ = ["DnCNN", "UNet", "build_network", "network_names", "register_network", "with_noise_map"]
