"""One file an architecture, one registry: ``build_network("unet", dims=3)``."""

from meddenoise.networks.autoencoder import Autoencoder
from meddenoise.networks.dncnn import DnCNN
from meddenoise.networks.drunet import DRUNet
from meddenoise.networks.lapped import LappedNet
from meddenoise.networks.levelled import LevelledNet
from meddenoise.networks.light import LightNet
from meddenoise.networks.monai import (
    MonaiAttentionUnet,
    MonaiBasicUNet,
    MonaiDynUNet,
    MonaiSwinUNETR,
)
from meddenoise.networks.nafnet import NAFNet
from meddenoise.networks.noise_map import with_noise_map
from meddenoise.networks.red_cnn import REDCNN
from meddenoise.networks.registry import build_network, network_names, register_network
from meddenoise.networks.slab_unet import SlabUNet
from meddenoise.networks.unet import UNet

__all__ = [
    "REDCNN",
    "Autoencoder",
    "DRUNet",
    "DnCNN",
    "LappedNet",
    "LevelledNet",
    "LightNet",
    "MonaiAttentionUnet",
    "MonaiBasicUNet",
    "MonaiDynUNet",
    "MonaiSwinUNETR",
    "NAFNet",
    "SlabUNet",
    "UNet",
    "build_network",
    "network_names",
    "register_network",
    "with_noise_map",
]
