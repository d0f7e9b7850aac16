"""The training runs that chapters and tables share; each begins anew, with its seed."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

from helpers import models
from helpers.data import Loaders
from helpers.features import extract_features
from helpers.metrics import History
from helpers.runtime import get_device, seed_everything
from helpers.training import fit


def train_network(
    load: Callable[[], Loaders],
    *,
    weights: str | Path | None = "pretrained",
    freeze: bool = False,
    lr: float = 0.008,
    head_lr: float = 0.02,
    seed: int = 0,
    num_epochs: int = 12,
    **options,
) -> tuple[nn.Module, Loaders, History]:
    """Train a ResNet-18; return it with its best weights, its loaders and the history.

    load: makes the loaders. weights, freeze: as of `resnet18`. lr: of the backbone, if it is
    trained. head_lr: of the head, and the rate that the history shows. options: as of `fit`.
    """
    seed_everything(seed)
    loaders = load()
    model = models.resnet18(len(loaders.class_names), weights=weights, freeze=freeze)
    groups = models.parameter_groups(model.to(get_device()), lr=lr, head_lr=head_lr)
    options["num_epochs"] = num_epochs
    return model, loaders, fit_cosine(model, loaders, SGD(groups, momentum=0.9), **options)


def fit_cosine(model: nn.Module, loaders: Loaders, optimizer: Optimizer, **options) -> History:
    """Train with rates that fall along half a cosine; options: `num_epochs`, and more of `fit`."""
    scheduler = CosineAnnealingLR(optimizer, T_max=options["num_epochs"])
    options |= {"scheduler": scheduler, "verbose": False}
    return fit(model, *loaders[:2], nn.CrossEntropyLoss(), optimizer, get_device(), **options)


def train_head(
    train: TensorDataset,
    val: TensorDataset,
    num_classes: int,
    *,
    make_optimizer: Callable[..., Optimizer] = Adam,
    num_epochs: int = 20,
    batch_size: int = 100,
    seed: int = 0,
) -> tuple[nn.Module, History]:
    """Train a linear head on the features of `extract_features`; return it and the history."""
    seed_everything(seed)
    head = nn.Linear(train.tensors[0].shape[1], num_classes).to(get_device())
    optimizer, order = make_optimizer(head.parameters()), torch.Generator().manual_seed(seed)
    train_loader = DataLoader(train, batch_size, shuffle=True, generator=order)
    loaders = train_loader, DataLoader(val, batch_size)
    options: dict = {"num_epochs": num_epochs, "verbose": False}
    return head, fit(head, *loaders, nn.CrossEntropyLoss(), optimizer, get_device(), **options)


def fit_logistic_regression(features: TensorDataset, num_classes: int) -> nn.Linear:
    """Return the linear head with the least mean loss plus 0.005 times its squared weights."""
    inputs, labels = features.tensors
    head, criterion = nn.Linear(inputs.shape[1], num_classes), nn.CrossEntropyLoss()
    nn.init.zeros_(head.weight)  # the loss is convex: any start would do
    nn.init.zeros_(head.bias)
    settings = {"max_iter": 100, "tolerance_grad": 1e-4, "line_search_fn": "strong_wolfe"}
    optimizer = LBFGS(head.parameters(), **settings)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = criterion(head(inputs), labels) + 0.01 / 2 * head.weight.square().sum()
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
    lr: float = 1e-4,
    head_lr: float = 1e-3,
    seed: int = 0,
    num_epochs: int = 6,
    mode: Callable[[nn.Module], object] = models.fixed_statistics,
) -> tuple[nn.Module, Loaders, History]:
    """Fine-tune a pretrained network by a strategy; return the same as `train_network`.

    load: makes the loaders; takes `augment`. name: as of `build`. strategy: as of `train_only`.
    head_first: begin with the head of `fit_logistic_regression` on whole pictures, not with a
    random one. lr, head_lr: of what the strategy trains, and of the head. mode: as of `fit`.
    """
    seed_everything(seed)
    loaders, device = load(), get_device()
    num_classes = len(loaders.class_names)
    model = models.build(name, num_classes).to(device)
    if device.type in ("cpu", "cuda"):
        model.to(memory_format=torch.channels_last)  # faster so; on MPS, not reliable
    if head_first:
        features = extract_features(model, load(augment=False).train, device)
        best = fit_logistic_regression(features, num_classes)
        models.head_of(model).load_state_dict(best.state_dict())
    models.train_only(model, strategy)
    optimizer = AdamW(models.parameter_groups(model, lr=lr, head_lr=head_lr))
    return model, loaders, fit_cosine(model, loaders, optimizer, num_epochs=num_epochs, mode=mode)
