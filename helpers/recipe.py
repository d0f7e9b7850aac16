"""The training runs that chapters share with each other and with the tables of the book.

Every one begins anew, with its seed, its loaders and its network, so that whatever is called the
same is the same run: the chapters show these steps before they call them.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from helpers.data import Loaders
from helpers.features import extract_features
from helpers.metrics import History
from helpers.models import (
    build,
    fixed_statistics,
    head_of,
    parameter_groups,
    resnet18,
    train_mode,
    train_only,
)
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
        num_epochs=num_epochs, scheduler=scheduler, mode=mode, verbose=False,
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


def fit_logistic_regression(features: TensorDataset, num_classes: int) -> nn.Linear:
    """Return the linear head with the least mean loss plus 0.01 / 2 times its squared weights.

    That is logistic regression. It has no seed: beginning with zeros, it always ends the same.

    features: `(N, num_features)`, float32, and labels `(N,)`, as of `extract_features`.
    """
    inputs, labels = features.tensors
    head = nn.Linear(inputs.shape[1], num_classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    options = {"max_iter": 100, "tolerance_grad": 1e-4, "line_search_fn": "strong_wolfe"}
    optimizer = LBFGS(head.parameters(), **options)

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = 0.01 / 2 * head.weight.square().sum()
        loss = F.cross_entropy(head(inputs), labels) + penalty
        loss.backward()
        return loss

    optimizer.step(closure)
    return head


def fine_tune(
    load: Callable[..., Loaders],
    name: str,
    strategy: str,
    *,
    head_first: bool = True,
    num_epochs: int = 6,
    lr: float = 1e-4,
    head_lr: float = 1e-3,
    seed: int = 0,
    mode: Callable[[nn.Module], object] = fixed_statistics,
) -> tuple[nn.Module, Loaders, History]:
    """Train of a pretrained network what a strategy of the ladder says, as chapter 6 does.

    load: makes the loaders; takes `augment`. name: as of `build`. strategy: as of `train_only`.
    head_first: begin with the `fit_logistic_regression` on whole pictures, not with a random one.
    lr, head_lr: of what the strategy trains, and of the head; both fall along half a cosine.
    mode: as of `fit`.

    Returns the model with its best weights, the loaders and the history.
    """
    seed_everything(seed)
    loaders, device = load(), get_device()
    num_classes = len(loaders.class_names)
    model = build(name, num_classes).to(device)
    if device.type in ("cpu", "cuda"):
        model.to(memory_format=torch.channels_last)  # faster so; on MPS, not reliable
    if head_first:
        features = extract_features(model, load(augment=False).train, device)
        head_of(model).load_state_dict(fit_logistic_regression(features, num_classes).state_dict())
    train_only(model, strategy)
    optimizer = AdamW(parameter_groups(model, lr=lr, head_lr=head_lr))
    scheduler = CosineAnnealingLR(optimizer, T_max=num_epochs)
    history = fit(
        model, loaders.train, loaders.val, nn.CrossEntropyLoss(), optimizer, device,
        num_epochs=num_epochs, scheduler=scheduler, mode=mode, verbose=False,
    )  # fmt: skip
    return model, loaders, history
