"""The explorers of the chapters: each is one call, and lets an idea be moved."""

from helpers.explorers.chances import luck
from helpers.explorers.depth import unfreeze
from helpers.explorers.feature_map import labels
from helpers.explorers.films import boundary, drift, schedule
from helpers.explorers.random_crops import crops
from helpers.explorers.stages import layers
from helpers.explorers.sureness import mistakes
from helpers.explorers.upload import OwnPicture

__all__ = [
    "OwnPicture",
    "boundary",
    "crops",
    "drift",
    "labels",
    "layers",
    "luck",
    "mistakes",
    "schedule",
    "unfreeze",
]
