"""The explorers of the chapters: each is one call, and lets an idea be moved."""

from helpers.explorers.crops import crops
from helpers.explorers.films import boundary, drift
from helpers.explorers.layers import layers
from helpers.explorers.luck import luck
from helpers.explorers.mistakes import mistakes
from helpers.explorers.own_picture import OwnPicture
from helpers.explorers.reliability import reliability
from helpers.explorers.stored import labels, strategies
from helpers.explorers.unfreeze import unfreeze

__all__ = [
    "OwnPicture",
    "boundary",
    "crops",
    "drift",
    "labels",
    "layers",
    "luck",
    "mistakes",
    "reliability",
    "strategies",
    "unfreeze",
]
