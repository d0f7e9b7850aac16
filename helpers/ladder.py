"""How much of a network to train: the rungs of chapter 6's ladder, from the head to all of it."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from helpers.models import freeze_parameters, head_of, train_mode, unfreeze_parameters

RUNGS = ("head", "normalization", "low rank", "last stage", "all")
LAYERS = (nn.Conv2d, nn.Linear)
BATCHNORM = (nn.BatchNorm1d, nn.BatchNorm2d)
NORMALIZATION = (*BATCHNORM, nn.LayerNorm, nn.GroupNorm)


class LowRank(nn.Module):
    """A weight plus a product of two narrow matrices, which alone are trained.

    The product is zero at first, so the network begins as it was. Register it with
    `torch.nn.utils.parametrize`.

    Hu et al., *LoRA: Low-rank adaptation of large language models*, 2022, arXiv:2106.09685.
    """

    def __init__(self, weight: Tensor, rank: int = 4):
        """Take the weight `(out, …)` of a layer; a convolution's counts as `(out, in · H · W)`."""
        super().__init__()
        num_inputs = weight[0].numel()
        self.down = nn.Parameter(torch.randn(rank, num_inputs) / num_inputs**0.5)
        self.up = nn.Parameter(torch.zeros(len(weight), rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the sum, in the form of the weight."""
        return weight + (self.up @ self.down).view_as(weight)


def train_only(model: nn.Module, rung: str, *, rank: int = 4) -> None:
    """Leave trainable what a rung says, and the head; for "low rank", add it.

    "head": nothing more. "normalization": the scale and shift of every normalization layer.
    "low rank": an addition of that rank to the weight of each convolution and linear layer, but
    for those whose channels or inputs are no more than `rank`. "last stage": the layers from the
    last stage on. "all": everything.
    """
    if rung not in RUNGS:
        raise ValueError(f"rung is {rung!r}: choose one of {', '.join(RUNGS)}")
    freeze_parameters(model)
    head = head_of(model)
    if rung == "normalization":
        for module in model.modules():
            if isinstance(module, NORMALIZATION):
                unfreeze_parameters(module)
    elif rung == "low rank":
        add_low_rank(model, rank)
    elif rung == "last stage":
        unfreeze_from(model, last_stage(model))
    elif rung == "all":
        unfreeze_parameters(model)
    unfreeze_parameters(head)


def add_low_rank(model: nn.Module, rank: int) -> None:
    """Add a trainable `LowRank` to each layer but the head and those too narrow for it."""
    head = head_of(model)
    for module in [m for m in model.modules() if isinstance(m, LAYERS) and m is not head]:
        if min(len(module.weight), module.weight[0].numel()) > rank:
            addition = LowRank(module.weight, rank).to(module.weight.device)
            parametrize.register_parametrization(module, "weight", addition)


def last_stage(model: nn.Module) -> str:
    """Name the last stage: `layer4` of ResNet-18; a network of timm's says it."""
    stages = getattr(model, "feature_info", [{"module": "layer4"}])
    return stages[-1]["module"]


def unfreeze_from(model: nn.Module, first: str) -> None:
    """Put the layers from the one named `first` on back into training, in the order of adding."""
    names = [name for name, _ in model.named_modules()]
    for name in names[names.index(first) :]:
        unfreeze_parameters(model.get_submodule(name))


def fixed_statistics(model: nn.Module) -> None:
    """Put `model` in training mode, except its frozen parts and every BatchNorm.

    These normalize with the averages that they have kept, as in evaluation, and keep them; their
    scale and shift are trained all the same.
    """
    train_mode(model)
    for module in model.modules():
        if isinstance(module, BATCHNORM):
            module.eval()
