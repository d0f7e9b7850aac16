"""Fine-tune ResNet-18 on FOLDER/train/<class>/*.jpg, choose on its val, report on its test."""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, models
from torchvision.transforms import v2

BATCH_SIZE, NUM_EPOCHS, LR, HEAD_LR = 16, 12, 0.008, 0.02  # LR: of the pretrained backbone
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: red, green, blue


def open_picture(path: str) -> Image.Image:
    image = ImageOps.exif_transpose(Image.open(path))  # upright, as the camera noted
    if image.mode.startswith("I;16"):  # 16 bits become 8
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    image = image.convert("RGBA")  # what is transparent becomes white
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def make_loader(folder: Path, size: int, seed: int, *, training: bool = False) -> DataLoader:
    varied = [v2.RandomResizedCrop(size, scale=(0.35, 1)), v2.RandomHorizontalFlip()]
    plain = [v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)]
    normalize = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    changes = [*(varied if training else plain), *normalize]
    transform = v2.Compose([v2.ToImage(), *changes])
    pictures = datasets.ImageFolder(folder, transform, loader=open_picture)
    rng = torch.Generator().manual_seed(seed) if training else None
    return DataLoader(pictures, BATCH_SIZE, training, generator=rng)


def run_epoch(model: nn.Module, loader: DataLoader, optimizer=None) -> float:
    """Return the accuracy over all pictures; train if given an optimizer."""
    device, correct = next(model.parameters()).device, []
    model.train(optimizer is not None)
    for inputs, labels in loader:
        with torch.set_grad_enabled(model.training):
            logits = model(inputs.to(device))  # (B, num_classes)
        if optimizer is not None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, labels.to(device)).backward()
            optimizer.step()
        correct += (logits.argmax(dim=1).cpu() == labels).tolist()
    return sum(correct) / len(correct)


def train(folder: Path, weights: str | None, size: int, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    class_names = datasets.ImageFolder(folder / "train").classes
    loader = make_loader(folder / "train", size, seed, training=True)
    model = models.resnet18(weights=None if weights else "DEFAULT")  # "DEFAULT" are ImageNet's
    if weights:
        model.load_state_dict(load_file(weights) | model.fc.state_dict(prefix="fc."))
    model.fc = nn.Linear(model.fc.in_features, len(class_names))
    model.to(torch.accelerator.current_accelerator(check_available=True) or "cpu")
    backbone = [value for name, value in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": model.fc.parameters(), "lr": HEAD_LR}, {"params": backbone, "lr": LR}]
    optimizer = optim.SGD(groups, momentum=0.9)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=NUM_EPOCHS)
    best_accuracy, best_weights = -1.0, {}
    for epoch in range(1, NUM_EPOCHS + 1):
        train_accuracy = 100 * run_epoch(model, loader, optimizer)
        accuracy = 100 * run_epoch(model, make_loader(folder / "val", size, seed))
        scheduler.step()
        print(f"epoch {epoch:2}: training {train_accuracy:.1f} %, validation {accuracy:.1f} %")
        if accuracy > best_accuracy:  # keep a copy: the weights move on
            best_accuracy, best_weights = accuracy, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    if (folder / "test").is_dir():
        print(f"test: {100 * run_epoch(model, make_loader(folder / 'test', size, seed)):.1f} %")
    card = {"class_names": class_names, "size": size, "mean": MEAN, "std": STD}
    Path("model.json").write_text(json.dumps(card))
    save_file(model.state_dict(), "model.safetensors")
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", help="a .safetensors file in place of ImageNet's weights")
    parser.add_argument("--size", type=int, default=224, help="pixels a side")
    train(**vars(parser.parse_args()))
