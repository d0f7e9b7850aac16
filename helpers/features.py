"""Run a frozen backbone once over all pictures; then train heads on its features."""

import copy
import hashlib
import os
import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import platformdirs
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, TensorDataset

from helpers.metrics import NO_BATCH
from helpers.models import head_name
from helpers.runtime import atomic_write, preserve_rng_state, progress


@torch.no_grad()
def extract_features(
    model: nn.Module, loader: DataLoader, device: torch.device, *, num_views: int = 1
) -> TensorDataset:
    """Return what the head of `model` would be given for each picture, and the labels.

    Features `(num_views · N, num_features)`, float32, and labels `(num_views · N,)`, int64, on the
    CPU, in the data set's order. With augmentation, each view of a picture is another crop.
    """
    backbone, features, all_labels = backbone_of(model, device), [], []
    batches = progress(views(loader, num_views), "features", num_views * len(loader))
    for inputs, labels in batches:
        features.append(backbone(inputs.to(device)).float().cpu())
        all_labels.append(labels)
    return TensorDataset(torch.cat(features), torch.cat(all_labels))


@torch.no_grad()
def cached_features(
    model: nn.Module, loader: DataLoader, device: torch.device, *, num_views: int = 1
) -> TensorDataset:
    """Return the same as `extract_features`, from disk if they have been extracted before.

    The file is named after the weights and every pixel that the network would be given. Since a
    network is more than its weights, the first batch goes through it again, and the file is used
    only if it holds the same features, to a relative 1e-4. The files lie in your account's cache,
    or in the folder that `TRANSFER_LEARNING_CACHE` names, and may be deleted at any time.
    """
    default = platformdirs.user_cache_path("transfer-learning-hands-on")
    folder = Path(os.environ.get("TRANSFER_LEARNING_CACHE") or default)
    backbone = backbone_of(model, device)
    key, labels, first = fingerprint(backbone, loader, device, num_views)
    path = folder / f"{key}.npy"
    try:
        stored = torch.from_numpy(np.load(path, mmap_mode="c"))
    except (OSError, ValueError, EOFError):  # not there, or damaged
        stored = torch.empty(0)
    expected = backbone(first.to(device)).float().cpu()
    found, near = stored[: len(first)], 1e-5 * float(expected.abs().max())
    if found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-4, atol=near):
        return TensorDataset(stored, labels)
    features = extract_features(model, loader, device, num_views=num_views)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as aside, aside.open("wb") as file:
            np.save(file, features.tensors[0].numpy())
    except OSError as error:
        warnings.warn(f"features can't be cached in {folder}: {error}", stacklevel=2)
    return features


def backbone_of(model: nn.Module, device: torch.device) -> nn.Module:
    """Copy `model` without its head, in evaluation mode. `device` is the one that it is on.

    The channels of a pixel lie side by side, since convolutions are faster so; not on MPS, where
    they are not reliable: https://github.com/pytorch/pytorch/issues/174345
    """
    backbone = copy.deepcopy(model).eval()
    backbone.set_submodule(head_name(model), nn.Identity())
    if device.type in ("cpu", "cuda"):
        backbone.to(memory_format=torch.channels_last)
    return backbone


def views(loader: DataLoader, num_views: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give all batches in the data set's order, `num_views` times, the same whenever called."""
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    if not isinstance(sampler, SequentialSampler | RandomSampler):
        raise ValueError(f"the loader's {type(sampler).__name__} chooses pictures: use a Subset")
    in_order = DataLoader(loader.dataset, loader.batch_size or 64, collate_fn=loader.collate_fn)
    if not len(in_order) or num_views < 1:
        raise ValueError(NO_BATCH if num_views else "num_views is 0: look once at least")
    with preserve_rng_state(in_order):
        for view in range(num_views):
            random.seed(view)
            np.random.seed(view)
            torch.default_generator.manual_seed(view)
            yield from in_order


def fingerprint(
    backbone: nn.Module, loader: DataLoader, device: torch.device, num_views: int
) -> tuple[str, Tensor, Tensor]:
    """Return a key of weights, inputs, device and versions; all labels; the first batch."""
    digest = hashlib.sha256(f"{torch.__version__} {torchvision.__version__} {device.type}".encode())
    for name, value in backbone.state_dict().items():
        add(digest, value, name)
    inputs, labels = [], []
    for batch_inputs, batch_labels in views(loader, num_views):
        add(digest, batch_inputs)
        inputs = inputs or [batch_inputs]
        labels.append(batch_labels)
    return digest.hexdigest(), torch.cat(labels), inputs[0]


def add(digest, tensor: Tensor, name: str = "") -> None:
    """Add a tensor's bytes, type and shape to a digest."""
    digest.update(repr((name, tensor.dtype, tensor.shape)).encode())
    digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
