"""Fine-tune a pretrained ResNet-18 on pictures of your own, then name the class of new ones.

python transfer.py FOLDER               learns from FOLDER/train/<class>/*.jpg and FOLDER/val/…,
                                        and reports on FOLDER/test/…, if there is one
python transfer.py --predict PICTURE    uses what the first wrote: model.safetensors, model.json
"""

import argparse
import copy
import json
from pathlib import Path

import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

BATCH_SIZE, NUM_EPOCHS = 16, 12
LR, HEAD_LR = 0.008, 0.02  # of the pretrained backbone, and of the new head
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's: red, green, blue
DEVICE = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def open_picture(path: str | Path) -> Image.Image:
    """Decode a picture to red, green and blue; upright, however the camera was held."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def make_transform(size: int, *, augment: bool, mean=MEAN, std=STD) -> v2.Transform:
    """Turn a picture into numbers `(3, size, size)`: a random part of it, or all but its border."""
    varied = [v2.RandomResizedCrop(size, scale=(0.35, 1)), v2.RandomHorizontalFlip()]
    plain = [v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)]
    normalize = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)]
    return v2.Compose([v2.ToImage(), *(varied if augment else plain), *normalize])


def make_loaders(folder: Path, size: int, seed: int) -> dict[str, DataLoader]:
    """Load train, to learn from; val, to choose with; and test, if it is there, to report on."""
    loaders = {}
    for part in ["train", "val"] + ["test"] * (folder / "test").is_dir():
        training = part == "train"
        transform = make_transform(size, augment=training)
        pictures = ImageFolder(folder / part, transform, loader=open_picture)
        order = torch.Generator().manual_seed(seed) if training else None
        loaders[part] = DataLoader(pictures, BATCH_SIZE, shuffle=training, generator=order)
        if pictures.classes != loaders["train"].dataset.classes:
            raise ValueError(f"{folder / part} needs the class folders of train, and no others")
    return loaders


def make_model(num_classes: int, weights: Path | None) -> nn.Module:
    """Build a ResNet-18 with the weights in a file, or those of ImageNet, and a new head `fc`."""
    model = resnet18(weights=None if weights else "DEFAULT")
    if weights:
        read = load_file if weights.suffix == ".safetensors" else torch.load
        model.load_state_dict(read(weights) | model.fc.state_dict(prefix="fc."))
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model.to(DEVICE)


def run_epoch(model: nn.Module, loader: DataLoader, optimizer=None) -> tuple[float, float]:
    """Return the mean loss and the accuracy over all examples; train if given an optimizer."""
    model.train(optimizer is not None)
    total_loss, num_correct, num_examples = 0.0, 0, 0
    for inputs, labels in loader:
        inputs, labels = inputs.to(DEVICE), labels.to(DEVICE)
        with torch.set_grad_enabled(model.training):
            logits = model(inputs)  # (B, num_classes)
            loss = nn.functional.cross_entropy(logits, labels)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        total_loss += loss.item() * len(labels)
        num_correct += (logits.argmax(dim=1) == labels).sum().item()
        num_examples += len(labels)
    return total_loss / num_examples, num_correct / num_examples


def fit(model: nn.Module, train: DataLoader, val: DataLoader) -> list[float]:
    """Train all of `model`; return the accuracies on `val`, and leave the weights of the best."""
    backbone = [value for name, value in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": model.fc.parameters(), "lr": HEAD_LR}, {"params": backbone, "lr": LR}]
    optimizer = optim.SGD(groups, momentum=0.9)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=NUM_EPOCHS)
    accuracies, best_weights = [], {}
    for epoch in range(1, NUM_EPOCHS + 1):
        loss, accuracy = run_epoch(model, train, optimizer)
        val_loss, val_accuracy = run_epoch(model, val)
        scheduler.step()
        if val_accuracy > max(accuracies, default=-1):
            best_weights = copy.deepcopy(model.state_dict())  # a copy: the weights move on
        accuracies.append(val_accuracy)
        results = f"train {loss:.4f} {accuracy:6.1%}   val {val_loss:.4f} {val_accuracy:6.1%}"
        print(f"epoch {epoch:2d}/{NUM_EPOCHS}   {results}", flush=True)
    model.load_state_dict(best_weights)
    return accuracies


def train(folder: Path, weights: Path | None, size: int, seed: int) -> nn.Module:
    """Fine-tune on `folder`, say how good the model is, and write it for `predict`."""
    torch.manual_seed(seed)
    loaders = make_loaders(folder, size, seed)
    class_names = loaders["train"].dataset.classes
    model = make_model(len(class_names), weights)
    accuracies = fit(model, loaders["train"], loaders["val"])
    print(f"validation, best epoch: {max(accuracies):.1%}   chosen on these pictures")
    print(f"validation, last epoch: {accuracies[-1]:.1%}   fixed beforehand")
    if "test" in loaders:
        print(f"test: {run_epoch(model, loaders['test'])[1]:.1%}")
    save_file(model.state_dict(), "model.safetensors")
    settings = {"class_names": class_names, "size": size, "mean": MEAN, "std": STD}
    Path("model.json").write_text(json.dumps(settings))
    return model


@torch.no_grad()
def predict(picture: Path) -> tuple[str, float]:
    """Return the likeliest class of a picture, and its probability by the model in this folder."""
    settings = json.loads(Path("model.json").read_text())
    class_names = settings.pop("class_names")
    model = resnet18(num_classes=len(class_names)).eval()
    model.load_state_dict(load_file("model.safetensors"))
    inputs = make_transform(**settings, augment=False)(open_picture(picture))
    probability, label = model(inputs[None])[0].softmax(dim=0).max(dim=0)
    return class_names[label], probability.item()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="a folder to learn from; or a picture to name")
    parser.add_argument("--predict", action="store_true", help="name the class of a picture")
    parser.add_argument("--weights", type=Path, help="a file to begin with in place of ImageNet's")
    parser.add_argument("--size", type=int, default=224, help="pixels a side")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        if options.predict:
            print("{} {:.1%}".format(*predict(options.path)))
        else:
            train(options.path, options.weights, options.size, options.seed)
    except OSError as error:
        parser.error(str(error))
