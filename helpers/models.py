"""The network: build it, freeze it, put it in the right mode, choose what to train."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors.torch
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrize

from helpers import assets


def build(
    name: str, num_classes: int, *, weights: str | Path | None = "pretrained", freeze: bool = False
) -> nn.Module:
    """Build a network with a new head for `num_classes`. The head's weights are random: seed first.

    Input `(B, 3, H, W)`, float32, normalized with `data.statistics(model)`; output the logits
    `(B, num_classes)`.

    name: "resnet18", torchvision's; or any that `timm.list_models()` names. weights: a file; None,
    random; or "pretrained": of "resnet18" in the edition in use, of "tf_efficientnet_lite0" and
    "tf_efficientnet_lite2" from the book, of all others downloaded by timm. freeze: leave only the
    head trainable.
    """
    path = assets.weights(name) if weights == "pretrained" else weights
    if name == "resnet18":
        model = torchvision.models.resnet18(weights=None)
    else:
        import timm  # takes half a second, which only those who need it should wait for

        model = timm.create_model(name, pretrained=weights == "pretrained" and path is None)
    if path is not None:
        load_backbone(model, Path(path))
    if freeze:
        model.requires_grad_(False)
    old = head_of(model)
    if not isinstance(old, nn.Linear):
        raise ValueError(f"the head of {name} is a {type(old).__name__}: choose one with a Linear")
    # A new module is trainable, whatever happened to the one that it replaces.
    model.set_submodule(head_name(model), nn.Linear(old.in_features, num_classes))
    return model


def resnet18(num_classes: int, **options) -> nn.Module:
    """Build a ResNet-18 with a new head; options: `weights` and `freeze`, as of `build`.

    He et al., *Deep residual learning for image recognition*, 2016, arXiv:1512.03385.
    """
    return build("resnet18", num_classes, **options)


def head_name(model: nn.Module) -> str:
    """Name the head: `fc` in torchvision's ResNets; `timm` models store it in `pretrained_cfg`."""
    name = getattr(model, "pretrained_cfg", {}).get("classifier", "fc")
    if not isinstance(name, str):
        raise ValueError(f"this network has the heads {', '.join(name)}: choose one with one head")
    return name


def head_of(model: nn.Module) -> nn.Module:
    """Return the head: the last layer, which makes logits of features."""
    if isinstance(inner := getattr(model, "module", None), nn.Module):  # DataParallel and the like
        raise ValueError(f"this is a {type(model).__name__}: give the {type(inner).__name__} in it")
    return model.get_submodule(head_name(model))


def load_backbone(model: nn.Module, path: Path) -> None:
    """Load the weights in `path` (.safetensors or .pth) into all of `model` but its head."""
    if path.suffix == ".safetensors":
        state = safetensors.torch.load_file(path)
    else:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            what = f"{path.name} holds more than weights, such as a whole model, and could run code"
            raise ValueError(f"{what}: save model.state_dict() where it was made") from error
        for key in {"state_dict", "model", "model_state_dict"} & state.keys():
            state = state[key]
    state = {name.removeprefix("module."): value for name, value in state.items()}
    head = head_name(model) + "."
    backbone = {name: value for name, value in state.items() if not name.startswith(head)}
    missing, unexpected = model.load_state_dict(backbone, strict=False)
    missing = [name for name in missing if not name.startswith(head)]
    if missing or unexpected:
        what = f"{path.name} is of another network: it lacks {missing[:3]}, brings {unexpected[:3]}"
        raise ValueError(f"{what}; give the weights of the same architecture")


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """List the parameters that training may change: what an optimizer should be given."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def parameter_groups(model: nn.Module, *, lr: float, head_lr: float) -> list[dict]:
    """Group what an optimizer should train: the head at `head_lr`, the backbone at `lr`.

    Frozen parameters are left out; of a frozen backbone, that leaves the head.

    Howard and Ruder, *Universal language model fine-tuning*, 2018, arXiv:1801.06146.
    """
    head = trainable_parameters(head_of(model))
    own = set(head)
    backbone = [parameter for parameter in trainable_parameters(model) if parameter not in own]
    groups = [{"params": head, "lr": head_lr}, {"params": backbone, "lr": lr}]
    return [group for group in groups if group["params"]]


def count_parameters(model: nn.Module) -> tuple[int, int]:
    """Count the numbers in all parameters, and in the trainable ones."""
    total = sum(parameter.numel() for parameter in model.parameters())
    return total, sum(parameter.numel() for parameter in trainable_parameters(model))


def train_mode(model: nn.Module) -> None:
    """Put `model` in training mode, except its frozen parts.

    `requires_grad=False` stops gradients, not BatchNorm: in training mode it goes on averaging the
    batches into its running mean and variance, and a "frozen" network drifts. So a module that
    has parameters, none of them trainable, stays in evaluation mode, with all that is inside it.
    A normalization without parameters is treated like the last layer with parameters before it.
    """
    model.train()
    frozen = False
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters:
            frozen = not any(parameter.requires_grad for parameter in parameters)
        if frozen and (parameters or getattr(module, "running_mean", None) is not None):
            module.eval()


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put `model` in evaluation mode for a `with` block; then each module as it was before."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """Copy every parameter and buffer of `module`, to compare with later."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> list[str]:
    """Name the parameters and buffers of `module` that differ from a `snapshot`, by any bit."""
    return [name for name, now in module.state_dict().items() if not now.equal(before[name])]


STRATEGIES = ("head", "normalization", "low rank", "last stage", "all")
BATCHNORM = (nn.BatchNorm1d, nn.BatchNorm2d)
NORMALIZATION = (*BATCHNORM, nn.LayerNorm, nn.GroupNorm)
LAYERS = (nn.Conv2d, nn.Linear)


class LowRank(nn.Module):
    """A weight plus the product of two narrow matrices. Only these are trained, from zero on.

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


def train_only(model: nn.Module, strategy: str, *, rank: int = 4) -> None:
    """Make the head trainable, and of the rest what `strategy` names; freeze everything else.

    "head": nothing more. "normalization": the scale and shift of every normalization layer.
    "low rank": a `LowRank` that is added to each convolution and linear layer, except where it has
    no more than `rank` channels or inputs. "last stage": the layers from there on. "all": all.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}: choose one of {', '.join(STRATEGIES)}")
    model.requires_grad_(False)
    if strategy == "normalization":
        for module in model.modules():
            if isinstance(module, NORMALIZATION):
                module.requires_grad_(True)
    elif strategy == "low rank":
        for m in [m for m in model.modules() if isinstance(m, LAYERS) and m is not head_of(model)]:
            if min(len(m.weight), m.weight[0].numel()) > rank:
                addition = LowRank(m.weight, rank).to(m.weight.device)
                parametrize.register_parametrization(m, "weight", addition)
    elif strategy == "last stage":
        resnet = [{"module": "layer3"}, {"module": "layer4"}]  # `timm` models list their own
        before, last = (s["module"] for s in getattr(model, "feature_info", resnet)[-2:])
        if any(isinstance(m, LAYERS) for m in model.get_submodule(last).modules()):
            unfreeze_from(model, last)
        else:  # a mere normalization, as in DenseNets: what follows the stage before
            unfreeze_from(model, before)
            model.get_submodule(before).requires_grad_(False)
    elif strategy == "all":
        model.requires_grad_(True)
    head_of(model).requires_grad_(True)


def unfreeze_from(model: nn.Module, first: str) -> None:
    """Unfreeze the layer named `first` and all that were added to the model after it."""
    names = [name for name, _ in model.named_modules()]
    for name in names[names.index(first) :]:
        model.get_submodule(name).requires_grad_(True)


def fixed_statistics(model: nn.Module) -> None:
    """Put `model` in training mode, except its frozen parts and every BatchNorm.

    These normalize with running averages that stay; their scale and shift are trained.
    """
    train_mode(model)
    for module in model.modules():
        if isinstance(module, BATCHNORM):
            module.eval()
