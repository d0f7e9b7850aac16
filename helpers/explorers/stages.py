"""Layer by layer: what a ResNet makes of a picture on the way to its features."""

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models.feature_extraction import create_feature_extractor

from helpers.data import Loaders
from helpers.explorers.form import Explorer, picture, table, thumbnail, thumbnails
from helpers.models import eval_mode
from helpers.recipe import best_head

NODES = {"the first convolution": "maxpool"} | {f"stage {i}": f"layer{i}" for i in (1, 2, 3, 4)}
NUM_MAPS, NUM_NEIGHBORS, NUM_PICTURES, SIDE = 5, 4, 3, 88


def layers(model: nn.Module, train: DataLoader, loaders: Loaders, device: torch.device) -> Explorer:
    """Explore a ResNet's maps of a picture, its nearest pictures, and what a linear head reads.

    train: the training pictures without augmentation, to read from; `loaders.val` is asked.
    """
    extractor = create_feature_extractor(model, {node: name for name, node in NODES.items()})
    maps, inputs, labels = run(extractor, loaders.val, device)
    train_maps, _, train_labels = run(extractor, train, device)
    names, shown = loaders.class_names, spread(labels)
    means = {name: found.mean(dim=(2, 3)) for name, found in maps.items()}
    right = {
        name: probe(train_maps[name].mean(dim=(2, 3)), train_labels, means[name], labels)
        for name in NODES
    }
    pictures = {f"{names[labels[i]]}, picture {n}": i for n, i in enumerate(shown, 1)}

    def show(name: str, which: str) -> str:
        i, found = pictures[which], maps[name]
        near = nearest(means[name], i)
        strongest = found[i].flatten(1).std(dim=1).topk(NUM_MAPS).indices
        channels, side = found.shape[1:3]
        drawn = [picture(gray(found[i, c]), f"map {c}", SIDE) for c in strongest.tolist()]
        alike = [thumbnail(inputs[j], loaders, names[labels[j]], SIDE) for j in near]
        itself = thumbnail(inputs[i], loaders, "the picture", SIDE)
        return (
            f"<p><b>A linear head on this layer's means is right on {right[name]:.1%} of the "
            f"validation pictures.</b> {channels} maps of {side} × {side}.</p>"
            f"{thumbnails([itself, *drawn])}"
            f"<p>The pictures whose means are nearest:</p>{thumbnails(alike)}"
        )

    best = max(right, key=lambda name: right[name])
    rows = ((name, f"{share:.1%}") for name, share in right.items())
    return Explorer(
        "A linear head reads the means of the maps after each stage. After which stage does it "
        "tell our classes apart best?",
        tuple(NODES),
        {"After": tuple(NODES), "Picture": tuple(pictures)},
        show,
        answer=f"Measured: after {best}, on {right[best]:.1%} of the validation pictures.",
        in_words=table(("after", "right, of the validation pictures"), rows),
    )


@torch.no_grad()
def run(
    extractor: nn.Module, loader: DataLoader, device: torch.device
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Return the maps `(N, C, H, W)` after each stage, the inputs and the labels."""
    with eval_mode(extractor):
        found = [(extractor(inputs.to(device)), inputs, labels) for inputs, labels in loader]
    maps = {name: torch.cat([stages[name].cpu() for stages, _, _ in found]) for name in NODES}
    return maps, torch.cat([inputs for _, inputs, _ in found]), torch.cat([y for *_, y in found])


def spread(labels: Tensor) -> list[int]:
    """Choose pictures from the whole range, so that classes in order are all there."""
    return torch.linspace(0, len(labels) - 1, NUM_PICTURES).round().long().tolist()


def probe(train: Tensor, train_labels: Tensor, means: Tensor, labels: Tensor) -> float:
    """Train the best linear head on standardized means `(N, C)`; return its accuracy on others."""
    center, scale = train.mean(dim=0), train.std(dim=0) + 1e-6
    features = TensorDataset((train - center) / scale, train_labels)
    head = best_head(features, int(train_labels.max()) + 1)
    return float((head((means - center) / scale).argmax(dim=1) == labels).float().mean())


def nearest(means: Tensor, i: int) -> list[int]:
    """Return the pictures whose means `(N, C)` point most nearly where those of picture i do."""
    directions = nn.functional.normalize(means, dim=1)
    return (directions @ directions[i]).topk(NUM_NEIGHBORS + 1).indices[1:].tolist()


def gray(values: Tensor) -> Image.Image:
    """Turn a map `(H, W)` into a gray picture, from its lowest value to its highest."""
    low, high = values.min(), values.max()
    return Image.fromarray((255 * (values - low) / (high - low + 1e-9)).byte().numpy())
