"""Layer by layer: what a ResNet makes of a picture on the way to its features."""

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models.feature_extraction import create_feature_extractor

from helpers.data import Loaders
from helpers.explorers.form import Control, Explorer
from helpers.explorers.pieces import gallery, headline, percent, picture, spread, table, to_image
from helpers.models import eval_mode
from helpers.recipe import fit_logistic_regression

NODES = {"the first convolution": "maxpool"} | {f"stage {i}": f"layer{i}" for i in (1, 2, 3, 4)}
NUM_MAPS, NUM_NEIGHBORS, NUM_PICTURES = 5, 4, 3


def layers(model: nn.Module, train: DataLoader, loaders: Loaders, device: torch.device) -> Explorer:
    """Explore a ResNet's maps of a picture, its nearest pictures, and what a linear head reads.

    train: the training pictures without augmentation, to read from; `loaders.val` is asked.
    """
    extractor = create_feature_extractor(model, {node: name for name, node in NODES.items()})
    maps, inputs, labels = run(extractor, loaders.val, device)
    train_maps, _, train_labels = run(extractor, train, device)
    names = loaders.class_names
    means = {name: found.mean(dim=(2, 3)) for name, found in maps.items()}
    right = {
        name: probe(train_maps[name].mean(dim=(2, 3)), train_labels, means[name], labels)
        for name in NODES
    }
    chosen = enumerate(spread(len(labels), NUM_PICTURES), 1)
    pictures = {f"picture {n}: {names[labels[i]]}": i for n, i in chosen}

    def show(name: str, which: str) -> str:
        i, found = pictures[which], maps[name]
        strongest = found[i].flatten(1).std(dim=1).topk(NUM_MAPS).indices.tolist()
        drawn = [
            picture(gray(found[i, c]), f"map {c}", resample=Image.Resampling.NEAREST)
            for c in strongest
        ]
        alike = [
            picture(to_image(inputs[j], loaders), names[labels[j]]) for j in nearest(means[name], i)
        ]
        itself = picture(to_image(inputs[i], loaders), "the picture")
        channels, height, width = found.shape[1:]
        return (
            headline(f"A linear head is right on {percent(right[name])} after {name}.")
            + f"<p>After it there are {channels} maps of {height} × {width} places. Here are the "
            f"{NUM_MAPS} that vary most over this picture, from black, the lowest value, to white:"
            f"</p>{gallery([itself, *drawn])}"
            f"<p>The pictures whose means of all maps are most alike:</p>{gallery(alike)}"
        )

    best = max(right, key=lambda name: right[name])
    return Explorer(
        question="A linear head reads the mean of each map after a stage. After which stage does "
        "it tell our classes apart best?",
        guesses=tuple(NODES),
        controls=[Control("After", tuple(NODES)), Control("Picture", tuple(pictures))],
        show=show,
        answer=f"Measured: after {best}, on {percent(right[best])} of {len(labels)} validation "
        "pictures. A difference of a few points may be luck.",
        in_words=table(
            ("after", "right, of the validation pictures"),
            ((name, percent(share)) for name, share in right.items()),
        ),
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


def probe(train: Tensor, train_labels: Tensor, means: Tensor, labels: Tensor) -> float:
    """Train the best linear head on standardized means `(N, C)`; return its accuracy on others."""
    center, scale = train.mean(dim=0), train.std(dim=0) + 1e-6
    features = TensorDataset((train - center) / scale, train_labels)
    head = fit_logistic_regression(features, int(train_labels.max()) + 1)
    return float((head((means - center) / scale).argmax(dim=1) == labels).float().mean())


def nearest(means: Tensor, i: int) -> list[int]:
    """Return the pictures whose means `(N, C)` point most nearly where those of picture i do."""
    directions = nn.functional.normalize(means, dim=1)
    order = (directions @ directions[i]).argsort(descending=True).tolist()
    return [j for j in order if j != i][:NUM_NEIGHBORS]


def gray(values: Tensor) -> Image.Image:
    """Turn a map `(H, W)` into a gray picture, from its lowest value to its highest."""
    low, high = values.min(), values.max()
    return Image.fromarray((255 * (values - low) / (high - low + 1e-9)).byte().numpy())
