"""The training runs that chapters share with each other and with the tables of the book.

Every one begins anew, with its seed, its loaders and its network, so that whatever is called the
same is the same run: chapters 3, 4 and 5 show these steps before they call them.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from helpers.data import Loaders
from helpers.metrics import History
from helpers.models import parameter_groups, resnet18, train_mode
from helpers.runtime import get_device, seed_everything
from helpers.training import fit


def train_network(
    load: Callable[[], Loaders],
    *,
    weights: str | Path | None = "pretrained",
    freeze: bool = False,
    num_epochs: int = 12,
    lr: float = 0.008,
    head_lr: float = 0.02,
    seed: int = 0,
    mode: Callable[[nn.Module], object] = train_mode,
    verbose: bool = False,
) -> tuple[nn.Module, Loaders, History]:
    """Train a ResNet-18 with a new head: all of it, or with `freeze` the head alone.

    load: makes the loaders; called once, after seeding, so that the batches are those of the seed.
    weights, freeze: as of `resnet18`. lr: of the backbone, if it is trained. head_lr: of the head,
    and the rate that the history shows. Both fall along half a cosine. mode: as of `fit`.

    Returns the model with its best weights, the loaders and the history.
    """
    seed_everything(seed)
    loaders, device = load(), get_device()
    model = resnet18(len(loaders.class_names), weights=weights, freeze=freeze).to(device)
    optimizer = SGD(parameter_groups(model, lr=lr, head_lr=head_lr), momentum=0.9)
    scheduler = CosineAnnealingLR(optimizer, T_max=num_epochs)
    history = fit(
        model, loaders.train, loaders.val, nn.CrossEntropyLoss(), optimizer, device,
        num_epochs=num_epochs, scheduler=scheduler, mode=mode, verbose=verbose,
    )  # fmt: skip
    return model, loaders, history


def adam(parameters) -> Optimizer:
    """Make the optimizer that heads are trained with, if no other is asked for."""
    return Adam(parameters, lr=1e-3)


def train_head(
    train: TensorDataset,
    val: TensorDataset,
    num_classes: int,
    *,
    make_optimizer: Callable[..., Optimizer] = adam,
    num_epochs: int = 20,
    batch_size: int = 100,
    seed: int = 0,
) -> tuple[nn.Module, History]:
    """Train a linear head on features; return it with its best weights, and the history.

    train, val: features `(N, num_features)` and labels `(N,)`, as of `extract_features`.
    """
    seed_everything(seed)
    device = get_device()
    head = nn.Linear(train.tensors[0].shape[1], num_classes).to(device)
    shuffling = torch.Generator().manual_seed(seed)
    train_loader = DataLoader(train, batch_size, shuffle=True, generator=shuffling)
    history = fit(
        head, train_loader, DataLoader(val, batch_size), nn.CrossEntropyLoss(),
        make_optimizer(head.parameters()), device, num_epochs=num_epochs, verbose=False,
    )  # fmt: skip
    return head, history
