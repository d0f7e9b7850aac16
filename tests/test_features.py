"""Features: exact, cached on disk, and never those of something else."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, SubsetRandomSampler
from torchvision.transforms import v2

from helpers import data, features
from helpers.features import cached_features, extract_features, fingerprint
from helpers.metrics import predict
from helpers.models import resnet18
from helpers.pictures.dataset import Pictures

CROP = v2.RandomResizedCrop(32, scale=(0.35, 1.0))


def make_pictures(per_picture=None, count=7):
    images = torch.randint(256, (count, 3, 40, 40), generator=torch.Generator().manual_seed(1))
    labels = [i % 2 for i in range(count)]
    return Pictures(
        images.to(torch.uint8), labels, per_picture or v2.CenterCrop(32), data.normalize()
    )


@pytest.fixture
def model():
    torch.manual_seed(0)
    return resnet18(2, weights=None, freeze=True)


@pytest.fixture
def loader():
    """Seven pictures: with batches of four, the last holds three. It shuffles."""
    return DataLoader(make_pictures(), 4, shuffle=True)


def count_inputs(model):
    """Let a model, and copies of it, count how many inputs they are given, in a list."""
    counts = []
    model.register_forward_pre_hook(lambda module, inputs: counts.append(len(inputs[0])))
    return counts


def test_features_are_exact_come_from_disk_and_leave_no_trace(model, loader, cpu):
    model.fc = head = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, 2))
    modes = [module.training for module in model.modules()]
    layout = {name: value.stride() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    extracted = extract_features(model, loader, cpu, num_views=2).tensors
    for _ in range(2):
        counts = count_inputs(model)
        cached = cached_features(model, loader, cpu, num_views=2).tensors
        for one, other in zip(cached, extracted, strict=True):
            assert torch.equal(one, other) and one.dtype == other.dtype
    assert sum(counts) == 4  # of 14: the second time, the first batch alone
    assert torch.equal(drawn, torch.get_rng_state())
    assert {name: value.stride() for name, value in model.state_dict().items()} == layout
    assert model.fc is head and [module.training for module in model.modules()] == modes
    logits, labels = predict(model, DataLoader(loader.dataset, 3), cpu)
    torch.testing.assert_close(head.eval()(cached[0][:7]).detach(), logits, rtol=0, atol=1e-5)
    assert torch.equal(cached[1], labels.repeat(2))


def test_each_view_is_another_crop_and_the_same_one_again(model, cpu, tmp_path):
    """Whoever draws it: PyTorch, Python or NumPy; and what they draw next stays as it was."""

    def crop(picture):
        return CROP(picture).roll(random.randrange(30) + np.random.randint(9), dims=1)

    loader = DataLoader(make_pictures(crop), 4)
    x, y = extract_features(model, loader, cpu, num_views=3).tensors
    assert x.shape == (21, 512) and y.tolist() == loader.dataset.labels * 3
    one, two, three = x.split(7)
    assert not torch.allclose(one, two) and not torch.allclose(two, three)
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(99)
    states = random.getstate(), np.random.get_state()[1].tolist()
    for _ in range(2):
        cached = cached_features(model, loader, cpu, num_views=3).tensors
        assert torch.equal(x, cached[0]) and len([*(tmp_path / "features").iterdir()]) == 1
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states


class Backbone(nn.Module):
    """Small, and with all that a network may hide: a parameter of its own, an attribute.

    Its features are small, too, of some 1e-8.
    """

    def __init__(self):
        super().__init__()
        self.scale, self.power = nn.Parameter(torch.ones(3, 1, 1)), 1
        self.flatten, self.norm = nn.Flatten(), nn.BatchNorm1d(3 * 32 * 32)
        nn.init.constant_(self.norm.weight, 1e-8)
        self.fc = nn.Linear(3 * 32 * 32, 2)

    def forward(self, inputs):
        return self.fc(self.norm(self.flatten((self.scale * inputs) ** self.power)))


def mirror_one(model, pictures):
    """As an edit in a notebook: another body, the same name; it concerns a single picture."""

    def prepare(picture):
        crop = v2.functional.center_crop(picture, [32, 32])
        return crop.flip(-1) if torch.equal(picture, pictures.pictures[5]) else crop

    prepare.__qualname__ = "prepare"
    pictures.per_picture = prepare


OTHER_CROP = v2.Compose([v2.CenterCrop(31), v2.Pad((0, 0, 1, 1))])
OTHER_COLORS = data.normalize(std=(0.2, 0.2, 0.2))
CHANGES = {
    "weight": lambda model, _: model.norm.weight.data[7].add_(1e-3),
    "statistics": lambda model, _: model.norm.running_mean[3].add_(1e-3),
    "attribute": lambda model, _: setattr(model, "power", 2),  # which repr(model) does not show
    "epsilon": lambda model, _: setattr(model.norm, "eps", 0.1),
    "hook": lambda model, _: model.flatten.register_forward_hook(lambda *given: given[-1] + 1),
    "pixel": lambda _, pictures: pictures.pictures[6, 2, 9].bitwise_xor_(torch.tensor(1)),
    "label": lambda _, pictures: pictures.labels.__setitem__(0, 1),
    "crop": lambda _, pictures: setattr(pictures, "per_picture", OTHER_CROP),
    "normalization": lambda _, pictures: setattr(pictures, "per_batch", OTHER_COLORS),
    "function": mirror_one,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_features_of_something_else_are_not_taken(change, cpu):
    def prepare(picture):
        return v2.functional.center_crop(picture, [32, 32])

    prepare.__qualname__ = "prepare"
    torch.manual_seed(0)
    model, pictures = Backbone(), make_pictures(prepare, count=20)
    loader = DataLoader(pictures, 4)
    for way in ("first", "changed", "again"):
        if way == "changed":
            change(model, pictures)
        found = cached_features(model, loader, cpu).tensors
        fresh = extract_features(model, loader, cpu).tensors
        assert torch.equal(found[0], fresh[0]) and torch.equal(found[1], fresh[1]), way
        counts = count_inputs(model)
        cached_features(model, loader, cpu)
        assert sum(counts) == 4  # and then they are cached


def test_what_counts_for_the_key_and_what_does_not(model, loader, cpu, monkeypatch):
    """A change too small to be seen in the first batch may matter for other pictures."""
    backbone = features.backbone_of(model, cpu)
    keys = [fingerprint(backbone, loader, cpu, 1)[0]]
    model.fc = nn.Linear(512, 5)
    assert fingerprint(features.backbone_of(model, cpu), loader, cpu, 1)[0] == keys[0]
    keys.append(fingerprint(backbone, loader, cpu, 2)[0])
    keys.append(fingerprint(backbone, loader, torch.device("meta"), 1)[0])
    for library in (torch, features.torchvision):
        with monkeypatch.context() as patch:
            patch.setattr(library, "__version__", "0.0")
            keys.append(fingerprint(backbone, loader, cpu, 1)[0])
    with torch.no_grad():
        for value in (backbone.layer4[1].conv2.weight[0, 0], backbone.bn1.running_mean):
            value[0] += 1e-6
            keys.append(fingerprint(backbone, loader, cpu, 1)[0])
    assert len(set(keys)) == 7


def test_a_part_of_a_data_set_has_its_own_features(model, loader, cpu):
    whole, _ = cached_features(model, loader, cpu).tensors
    for indices in ([5, 2, 6], [0, 1, 2]):
        part = DataLoader(Subset(loader.dataset, indices), 2)
        x, y = cached_features(model, part, cpu).tensors
        torch.testing.assert_close(x, whole[indices], rtol=0, atol=1e-5)
        assert y.tolist() == [loader.dataset.labels[i] for i in indices]


def test_what_has_no_features_is_refused(model, loader, cpu):
    """A sampler, too: else both sides of a split made by samplers would hold all pictures."""
    part = DataLoader(loader.dataset, 4, sampler=SubsetRandomSampler([0, 1, 2]))
    empty = DataLoader(Pictures([], [], v2.Identity(), v2.Identity()), 4)
    for extract in (extract_features, cached_features):
        with pytest.raises(ValueError, match="SubsetRandomSampler chooses pictures: use a Subset"):
            extract(model, part, cpu)
        with pytest.raises(ValueError, match="no batch: is its data set empty"):
            extract(model, empty, cpu)
        with pytest.raises(ValueError, match="num_views is 0"):
            extract(model, loader, cpu, num_views=0)


@pytest.mark.parametrize("damage", [b"", b"no array", "half", "other"])
def test_a_damaged_file_is_written_anew(damage, model, loader, cpu, tmp_path):
    x, _ = extract_features(model, loader, cpu).tensors
    cached_features(model, loader, cpu)
    (file,) = (tmp_path / "features").iterdir()
    content = file.read_bytes()
    file.unlink()  # not changed in place: it may still be mapped
    if damage == "other":
        np.save(file, np.zeros((3, 512), dtype=np.float32))
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "half" else damage)
    assert torch.equal(cached_features(model, loader, cpu).tensors[0], x)
    assert np.load(file).shape == (7, 512)


def test_an_interrupted_extraction_leaves_nothing(model, loader, cpu, tmp_path):
    counts = count_inputs(model)

    def interrupt(*_):
        if len(counts) == 3:
            raise KeyboardInterrupt

    model.register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        cached_features(model, loader, cpu)
    assert not list((tmp_path / "features").glob("*")) and isinstance(model.fc, nn.Linear)


def test_where_nothing_can_be_cached_features_come_all_the_same(model, loader, cpu, tmp_path):
    (tmp_path / "features").write_text("")  # no folder
    with pytest.warns(UserWarning, match="can't be cached in"):
        found = cached_features(model, loader, cpu)
    assert torch.equal(found.tensors[0], extract_features(model, loader, cpu).tensors[0])
