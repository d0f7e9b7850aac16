"""Run a frozen backbone once, then train heads on what it said."""

import hashlib
import os
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from operator import length_hint
from pathlib import Path

import numpy as np
import platformdirs
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, TensorDataset

from helpers.checkpoint import is_whole, writing_whole
from helpers.metrics import NO_BATCH
from helpers.models import eval_mode, head_name, head_of
from helpers.runtime import preserve_rng_state, progress, seed_everything

NUM_PROBES = 8  # pictures that are asked again before stored features are taken for theirs


def extract_features(
    model: nn.Module, loader: DataLoader, device: torch.device, *, num_views: int = 1
) -> TensorDataset:
    """Return what the head of `model` would be given for each picture, and the labels.

    Features `(num_views · N, num_features)`, float32, and labels `(num_views · N,)`, int64, on the
    CPU; in the order of the data set, also where the loader shuffles. `fit` trains a head on a
    loader of them as it trains a network on pictures.

    num_views: how often each picture is looked at. Without augmentation one view says it all, and
    training on the features is exact; with augmentation each view is another crop.
    """
    size, seen = num_views * length_hint(loader.dataset), 0
    features, labels = torch.empty(0), torch.empty(size, dtype=torch.int64)
    for batch_features, batch_labels in run_backbone(model, loader, device, num_views):
        if not seen:
            features = torch.empty(size, *batch_features.shape[1:])
        batch = slice(seen, seen := seen + len(batch_labels))
        features[batch], labels[batch] = batch_features, batch_labels
    return TensorDataset(features, labels)


def cached_features(
    model: nn.Module,
    loader: DataLoader,
    device: torch.device,
    *,
    num_views: int = 1,
    folder: str | Path | None = None,
) -> TensorDataset:
    """Return the same as `extract_features`, from disk if they have been extracted before.

    The file's name is made of the weights and of every pixel that the network would be given. And
    since a network is more than its weights, some pictures go through it again: only if it says
    the same about them as the file (to a relative 1e-4) are the stored features taken. They stay
    on disk, mapped into memory, so there may be more of them than fit.

    folder: where to keep them; by default `cache_folder()`.
    """
    key, labels, probes = fingerprint(model, loader, device, num_views)
    path = Path(folder or cache_folder()) / f"{key}.npy"
    if not (is_whole(path) and says_the_same(model, probes, np.load(path, mmap_mode="r"), device)):
        try:
            with closing(run_backbone(model, loader, device, num_views)) as batches:
                write_features(path, len(labels), batches)
        except OSError as error:
            warnings.warn(f"features can't be kept in {path.parent}: {error}", stacklevel=2)
            return extract_features(model, loader, device, num_views=num_views)
    return TensorDataset(torch.from_numpy(np.load(path, mmap_mode="c")), labels)


@torch.no_grad()
def run_backbone(
    model: nn.Module, loader: DataLoader, device: torch.device, num_views: int
) -> Generator[tuple[Tensor, Tensor]]:
    """Give the features `(B, num_features)` and the labels `(B,)` of each batch of `views`."""
    with without_head(model), channels_last(model, device):
        num_batches = num_views * length_hint(loader)
        for inputs, labels in progress(views(loader, num_views), "features", num_batches):
            yield model(inputs.to(device)).float().cpu(), labels


@contextmanager
def without_head(model: nn.Module) -> Iterator[None]:
    """Let `model` give features for a `with` block, in evaluation mode."""
    name, head = head_name(model), head_of(model)
    model.set_submodule(name, nn.Identity())
    try:
        with eval_mode(model):
            yield
    finally:
        model.set_submodule(name, head)


@contextmanager
def channels_last(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Let the channels of a pixel lie side by side for a `with` block: convolutions are faster so.

    On MPS, not reliably: https://github.com/pytorch/pytorch/issues/174345
    """
    before = {parameter: parameter.data for parameter in model.parameters()}
    if device.type in ("cpu", "cuda"):
        model.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for parameter, values in before.items():
            parameter.data = values


def views(loader: DataLoader, num_views: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the batches of the data set in its order, `num_views` times.

    Each view has random numbers of its own, so that the same pictures give the same crops again;
    the caller's random numbers stay where they were.
    """
    if not length_hint(loader.dataset) or num_views < 1:
        raise ValueError(NO_BATCH if num_views else "num_views is 0: look once at least")
    sampler = getattr(loader.batch_sampler, "sampler", loader.sampler)
    if not isinstance(sampler, SequentialSampler | RandomSampler):
        raise ValueError(
            f"the loader's {type(sampler).__name__} chooses pictures, but all of its data set "
            f"would be taken: give a loader of a Subset"
        )
    batch_size = loader.batch_size or 64  # a loader with a sampler of batches has none
    in_order = DataLoader(loader.dataset, batch_size, collate_fn=loader.collate_fn)
    with preserve_rng_state(in_order):
        for view in range(num_views):
            seed_everything(view)
            np.random.seed(view)
            yield from in_order


def fingerprint(
    model: nn.Module, loader: DataLoader, device: torch.device, num_views: int
) -> tuple[str, Tensor, dict[int, Tensor]]:
    """Return a key of the weights and inputs, the labels, and some inputs by their place.

    The key is the SHA-256, in hexadecimal, of the weights and buffers but for the head's, of every
    input as transformed, of the kind of device and of the libraries' versions.
    """
    digest = hashlib.sha256()
    digest.update(repr((torch.__version__, torchvision.__version__, device.type)).encode())
    head = head_name(model) + "."
    for name, value in model.state_dict().items():
        if not name.startswith(head):
            add(digest, value, name)
    all_labels, probes, seen = [], {}, 0
    size = num_views * length_hint(loader.dataset)
    places = set(np.linspace(0, size - 1, NUM_PROBES, dtype=int).tolist())
    for inputs, labels in views(loader, num_views):
        add(digest, inputs)
        all_labels.append(labels)
        probes |= {i: inputs[i - seen] for i in places & set(range(seen, seen + len(labels)))}
        seen += len(labels)
    return digest.hexdigest(), torch.cat(all_labels), probes


def add(digest, tensor: Tensor, name: str = "") -> None:
    """Add a tensor's bytes, type and shape to a digest."""
    digest.update(repr((name, tensor.dtype, tensor.shape)).encode())
    digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


@torch.no_grad()
def says_the_same(
    model: nn.Module, probes: dict[int, Tensor], stored: np.ndarray, device: torch.device
) -> bool:
    """Tell whether the network gives for some inputs what the file has in their places."""
    with without_head(model):
        features = model(torch.stack(list(probes.values())).to(device)).float().cpu()
    there = torch.from_numpy(stored[list(probes)])
    near = 1e-5 * float(there.abs().max())
    return there.shape == features.shape and torch.allclose(there, features, rtol=1e-4, atol=near)


def cache_folder() -> Path:
    """Return where features are kept; it may be deleted at any time."""
    return Path(
        os.environ.get("TRANSFER_LEARNING_CACHE")
        or platformdirs.user_cache_path("transfer-learning-hands-on")
    )


def write_features(path: Path, num_rows: int, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    """Write features as a .npy file, batch by batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as file:
        for number, (features, _) in enumerate(batches):
            if number == 0:
                shape = (num_rows, *features.shape[1:])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(features.numpy().astype("<f4", copy=False).tobytes())
