"""Any backbone: the same loops, freezing, features and groups, whatever its head is called."""

import functools
from pathlib import Path

import nbformat
import pytest
import safetensors.torch
import timm
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import assets, data, models
from helpers.features import cached_features, extract_features
from helpers.metrics import predict
from helpers.models import build, changed, head_name, head_of, parameter_groups, snapshot
from helpers.plots import restore
from helpers.training import fit, train_one_epoch

ROOT = Path(__file__).parent.parent
LITE0, LITE2 = "tf_efficientnet_lite0", "tf_efficientnet_lite2"
# The network, its head, the side of its pictures.
NETWORKS = {
    "resnet18": ("fc", 32),
    LITE0: ("classifier", 32),
    LITE2: ("classifier", 32),
    "vit_tiny_patch16_224": ("head", 224),
    "convnext_atto": ("head.fc", 32),
}
EMBEDDED = ("resnet18", LITE0, LITE2)


@pytest.fixture(params=NETWORKS)
def name(request):
    return request.param


@pytest.fixture
def pictures(name):
    """Five pictures in two classes: with batches of three, the last holds two."""
    size = NETWORKS[name][1]
    return TensorDataset(torch.randn(5, 3, size, size) + 1, torch.arange(5) % 2)


def make(name, **options):
    """Build a network; with random weights where the book has none."""
    weights = "pretrained" if name in EMBEDDED else None
    return build(name, 2, **{"weights": weights} | options)


def sgd(model):
    return torch.optim.SGD(models.trainable_parameters(model), lr=0.05, momentum=0.9)


def test_the_head_is_named_and_is_a_linear_layer_for_the_classes(name):
    model = make(name)
    assert head_name(model) == NETWORKS[name][0]
    head = head_of(model)
    assert isinstance(head, nn.Linear) and head.out_features == 2
    assert head is dict(model.named_modules())[NETWORKS[name][0]]


def test_a_frozen_backbone_is_bit_identical_after_training(name, pictures, criterion, cpu):
    model = make(name, freeze=True)
    before, loader = snapshot(model), DataLoader(pictures, 3)
    options = {"num_epochs": 2, "verbose": False}
    fit(model, loader, loader, criterion, sgd(model), cpu, **options)
    head = NETWORKS[name][0]
    assert changed(model, before) == [f"{head}.weight", f"{head}.bias"]


def test_what_drops_layers_at_random_stays_in_evaluation_mode_where_it_is_frozen(cpu):
    """Else, the features of a frozen transformer would be others in each epoch."""
    model = timm.create_model("convnext_atto", num_classes=2, drop_path_rate=0.5)
    model.requires_grad_(False)
    head_of(model).requires_grad_(True)
    models.train_mode(model)
    inputs = torch.randn(4, 3, 32, 32)
    assert torch.equal(model(inputs), model(inputs))


def test_fine_tuning_reaches_every_parameter(name, pictures, criterion, cpu):
    """Some of them, which ConvNeXt scales down, by less than the last digit of a weight."""
    model = make(name)
    train_one_epoch(model, DataLoader(pictures, 5), criterion, sgd(model), cpu)
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_the_head_on_features_gives_the_logits_of_the_whole_network(name, pictures, cpu, tmp_path):
    model, loader = make(name), DataLoader(pictures, 3)
    head, modes = head_of(model), [module.training for module in model.modules()]
    logits, labels = predict(model, loader, cpu)
    for found in (
        extract_features(model, loader, cpu),
        cached_features(model, loader, cpu),
        cached_features(model, loader, cpu),
    ):
        features, found_labels = found.tensors
        torch.testing.assert_close(head(features).detach(), logits, rtol=1e-4, atol=1e-5)
        assert torch.equal(found_labels, labels)
    assert head_of(model) is head and [m.training for m in model.modules()] == modes
    assert len([*(tmp_path / "features").iterdir()]) == 1


def test_parameter_groups_hold_every_trainable_parameter_once(name):
    model = make(name)
    head, backbone = parameter_groups(model, lr=0.1, head_lr=0.2)
    assert (head["lr"], backbone["lr"]) == (0.2, 0.1)
    assert head["params"] == list(head_of(model).parameters())
    grouped = [*head["params"], *backbone["params"]]
    assert len(grouped) == len(set(grouped)) and set(grouped) == set(model.parameters())
    (alone,) = parameter_groups(make(name, freeze=True), lr=0.1, head_lr=0.2)
    assert alone["lr"] == 0.2 and len(alone["params"]) == 2


@pytest.mark.parametrize("known", EMBEDDED)
def test_the_embedded_weights_are_loaded_whole(known):
    stored = safetensors.torch.load_file(assets.weights(known))
    model = make(known)
    values = model.state_dict()
    for key, value in values.items():
        if not key.startswith(head_name(model)) and not key.endswith("num_batches_tracked"):
            assert torch.equal(value, stored[key].float()), key
    of_head = {f"{head_name(model)}.weight", f"{head_name(model)}.bias"}
    assert of_head == {key for key in stored if stored[key].shape != values[key].shape}
    if (
        known != "resnet18"
    ):  # its head is the one of ImageNet, which chapter 6 asks for ants and bees
        assert stored["classifier.weight"].shape == (1000, 1280)


def test_pictures_are_normalized_as_the_network_wants_them(name):
    model = make(name)
    half = name in (LITE0, LITE2, "vit_tiny_patch16_224")
    mean, std = (((0.5,) * 3,) * 2) if half else (data.MEAN, data.STD)
    assert data.statistics(model) == {"mean": mean, "std": std}
    plain = data.ants_bees(
        edition="rendered", size=32, augment=False, mean=(0, 0, 0), std=(1, 1, 1)
    )
    own = data.ants_bees(edition="rendered", size=32, augment=False, **data.statistics(model))
    pixels, inputs = (next(iter(loaders.val))[0] for loaders in (plain, own))
    expected = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(inputs, expected, rtol=0, atol=1e-5)
    # and a figure shows them in their own colors again
    shown = restore(inputs[0], own.mean, own.std)
    torch.testing.assert_close(torch.from_numpy(shown).float(), pixels[0].permute(1, 2, 0))


def test_the_ten_classes_are_normalized_as_asked_for_too():
    half = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    own = data.cifar10(edition="rendered", num_train=10, **half)
    raw = data.cifar10(edition="rendered", num_train=10, normalized=False)
    torch.testing.assert_close(next(iter(own.val))[0], next(iter(raw.val))[0] * 2 - 1)
    assert (own.mean, own.std) == (half["mean"], half["std"])


def test_other_networks_have_the_weights_that_timm_downloads(monkeypatch):
    import timm

    asked, create = [], timm.create_model

    def offline(name, *, pretrained):
        asked.append((name, pretrained))
        return create(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", offline)
    build("convnext_atto", 2)
    build("convnext_atto", 2, weights=None)
    build(LITE0, 2)
    assert asked == [("convnext_atto", True), ("convnext_atto", False), (LITE0, False)]


def test_weights_from_a_file_of_ones_own(name, tmp_path):
    trained = build(name, 2, weights=None)
    torch.save(trained.state_dict(), tmp_path / "mine.pth")
    model = build(name, 2, weights=tmp_path / "mine.pth")
    head = NETWORKS[name][0]
    assert set(changed(trained, model.state_dict())) == {f"{head}.weight", f"{head}.bias"}


def test_other_weights_and_other_heads_are_refused():
    with pytest.raises(ValueError, match="is of another network"):
        build("convnext_atto", 2, weights=assets.weights(LITE0))
    with pytest.raises(ValueError, match="has the heads head, head_dist: choose one with one head"):
        build("deit_tiny_distilled_patch16_224", 2, weights=None, freeze=True)
    with pytest.raises(ValueError, match="head of resnetv2_18 is a Conv2d: choose one with a Lin"):
        build("resnetv2_18", 2, weights=None)


def test_a_new_head_is_the_same_whatever_the_network():
    """Timm begins that of EfficientNet with weights 25 times as large, which costs accuracy."""
    for known in EMBEDDED:
        weight = head_of(make(known)).weight.detach()
        assert weight.abs().max() < 1.001 * weight.shape[1] ** -0.5
        assert weight.std() == pytest.approx((weight.shape[1] * 3) ** -0.5, rel=0.1)


def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    damaged = tmp_path / "weights.safetensors"
    content = bytearray(assets.weights(LITE0).read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    changed = assets.RENDERED[LITE0]._replace(target=str(damaged))
    monkeypatch.setitem(assets.RENDERED, LITE0, changed)
    with pytest.raises(ValueError, match=r"missing or changed: take it"):
        build(LITE0, 2)


def test_the_lines_for_larger_backbones_run_with_random_weights(monkeypatch, capsys):
    """They stand in chapter 6 for who has internet."""
    cells = nbformat.read(ROOT / "notebooks" / "06_which_backbone.ipynb", 4).cells
    (code,) = (cell.source for cell in cells if "vit_base_patch32_clip" in cell.source)
    create = functools.partial(timm.create_model, pretrained=False)
    monkeypatch.setattr(timm, "create_model", lambda name, **options: create(name, num_classes=0))
    names = {"timm": timm, "torch": torch, "picture": Image.new("RGB", (90, 70))}
    exec(code.split("```python\n")[1].split("```")[0], names)
    sizes = [line.split("[")[1] for line in capsys.readouterr().out.splitlines()]
    assert sizes == ["1, 384])", "1, 384])", "1, 768])"]
