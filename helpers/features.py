"""Run a frozen backbone once, then train heads on what it said."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.metrics import predict


def extract_features(model: nn.Module, loader: DataLoader, device: torch.device) -> TensorDataset:
    """Return what the head `model.fc` would be given for each picture, and the labels.

    Features `(N, 512)`, float32, and labels `(N,)`, int64, on the CPU, in the order of the loader.
    `fit` trains a head on a loader of them as it trains a network on pictures. That is exact as
    long as a picture is the same in every epoch: hence without augmentation.
    """
    head, model.fc = model.fc, nn.Identity()
    try:
        return TensorDataset(*predict(model, loader, device))
    finally:
        model.fc = head
