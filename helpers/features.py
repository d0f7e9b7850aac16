"""Run a frozen backbone once, then train heads on what it said."""

import hashlib
import os
import pickle
import warnings
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import platformdirs
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from helpers.checkpoints import is_whole, writing_whole
from helpers.metrics import NO_BATCH
from helpers.models import eval_mode
from helpers.pictures import dataset


def extract_features(
    model: nn.Module, loader: DataLoader, device: torch.device, *, num_views: int = 1
) -> TensorDataset:
    """Return what the head `model.fc` would be given for each picture, and the labels.

    Features `(num_views · N, 512)`, float32, and labels `(num_views · N,)`, int64, on the CPU; in
    the order of the data set, also where the loader shuffles. `fit` trains a head on a loader of
    them as it trains a network on pictures.

    num_views: how often each picture is looked at. Without augmentation one view says it all, and
    training on the features is exact; with augmentation each view is another crop.
    """
    size, seen = num_views * len(loader.dataset), 0
    features = torch.empty(size, model.fc.in_features)
    labels = torch.empty(size, dtype=torch.int64)
    for batch_features, batch_labels in run_backbone(model, loader, device, num_views):
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

    The loader's data set is `Pictures`. The file's name is made of all that the features depend on,
    so features of other weights or pictures are never taken for these. Features stay on disk,
    mapped into memory, so there may be more of them than fit.

    folder: where to keep them; by default `cache_folder()`.
    """
    data = loader.dataset
    shape = (num_views * len(data), model.fc.in_features)
    key = fingerprint(model, data, num_views, device)
    path = Path(folder or cache_folder()) / f"{key}.npy"
    if not is_whole(path):
        try:
            with closing(run_backbone(model, loader, device, num_views)) as batches:
                write_features(path, shape, batches)  # if it fails, the model gets its head back
        except OSError as error:
            warnings.warn(f"features can't be kept in {path.parent}: {error}", stacklevel=2)
            return extract_features(model, loader, device, num_views=num_views)
    features = torch.from_numpy(np.load(path, mmap_mode="c"))
    return TensorDataset(features, torch.tensor(data.labels * num_views))


@torch.no_grad()
def run_backbone(
    model: nn.Module, loader: DataLoader, device: torch.device, num_views: int
) -> Generator[tuple[Tensor, Tensor]]:
    """Give the features `(B, 512)` and the labels `(B,)` of each batch, in the data set's order.

    Each view has random numbers of its own, so that the same pictures give the same crops again;
    the caller's random numbers stay where they were, as do the model's head and mode.
    """
    if not len(loader.dataset):
        raise ValueError(NO_BATCH)
    in_order = DataLoader(loader.dataset, loader.batch_size)
    # Convolutions run faster where the channels of a pixel lie side by side; on MPS, not reliably:
    # https://github.com/pytorch/pytorch/issues/174345
    side_by_side = device.type in ("cpu", "cuda")
    memory_format = torch.channels_last if side_by_side else torch.contiguous_format
    head, model.fc = model.fc, nn.Identity()
    try:
        with eval_mode(model), torch.random.fork_rng(devices=[]):
            for view in range(num_views):
                torch.default_generator.manual_seed(view)
                for inputs, labels in in_order:
                    inputs = inputs.to(device, memory_format=memory_format)
                    yield model(inputs).cpu(), labels
    finally:
        model.fc = head


def cache_folder() -> Path:
    """Return where features are kept; it may be deleted at any time."""
    return Path(
        os.environ.get("TRANSFER_LEARNING_CACHE")
        or platformdirs.user_cache_path("transfer-learning-hands-on")
    )


def fingerprint(
    model: nn.Module, data: dataset.Pictures, num_views: int, device: torch.device
) -> str:
    """Return the SHA-256 of all that features depend on, in hexadecimal.

    That is: the backbone and its weights, but not the head; the pictures, their labels and
    transforms; the views; the kind of device; and the versions of the libraries and of this code.
    """
    digest = hashlib.sha256()
    settings = torch.__version__, torchvision.__version__, device.type, num_views, data.labels
    digest.update(repr(settings).encode())
    digest.update(pickle.dumps((data.per_picture, data.per_batch)))
    for file in (__file__, dataset.__file__):
        digest.update(Path(file).read_bytes())
    layers = [(name, layer) for name, layer in model.named_children() if name != "fc"]
    digest.update(repr(layers).encode())
    weights = [value for _, layer in layers for value in layer.state_dict().values()]
    for tensor in (*weights, *data.pictures):
        digest.update(repr((tensor.dtype, tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def write_features(
    path: Path, shape: tuple[int, int], batches: Iterator[tuple[Tensor, Tensor]]
) -> None:
    """Write features as a .npy file, batch by batch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for features, _ in batches:
            file.write(features.numpy().astype("<f4", copy=False).tobytes())
