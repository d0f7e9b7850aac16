"""Features: exact, kept on disk, and never those of something else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader
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


def test_the_head_on_cached_features_gives_the_logits_of_the_whole_network(
    model, loader, cpu, tmp_path
):
    x, y = cached_features(model, loader, cpu, folder=tmp_path).tensors
    logits, labels = predict(model, DataLoader(loader.dataset, 3), cpu)
    torch.testing.assert_close(model.fc(x).detach(), logits, rtol=0, atol=1e-5)
    assert torch.equal(y, labels)


def test_the_second_time_nothing_is_computed_and_nothing_differs(model, loader, cpu, tmp_path):
    first = cached_features(model, loader, cpu, folder=tmp_path).tensors

    def forward(inputs):
        raise AssertionError("the network was run")

    model.forward = forward
    second = cached_features(model, loader, cpu, folder=tmp_path).tensors
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_cached_and_extracted_features_are_the_same_and_leave_no_trace(
    model, loader, cpu, tmp_path
):
    head, modes = model.fc, [module.training for module in model.modules()]
    random = torch.get_rng_state()
    cached = cached_features(model, loader, cpu, num_views=2, folder=tmp_path)
    extracted = extract_features(model, loader, cpu, num_views=2)
    for one, other in zip(cached.tensors, extracted.tensors, strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
    assert torch.equal(random, torch.get_rng_state())
    assert model.fc is head and [module.training for module in model.modules()] == modes


def test_each_view_is_another_crop_and_the_same_one_again(model, cpu):
    loader = DataLoader(make_pictures(CROP), 4)
    x, y = extract_features(model, loader, cpu, num_views=3).tensors
    assert x.shape == (21, 512) and y.tolist() == loader.dataset.labels * 3
    one, two, three = x.split(7)
    assert not torch.allclose(one, two) and not torch.allclose(two, three)
    torch.manual_seed(99)
    assert torch.equal(x, extract_features(model, loader, cpu, num_views=3).tensors[0])


def change_weight(model, pictures):
    model.layer4[1].conv2.weight.data[0, 0, 0, 0] += 1e-3


def change_statistics(model, pictures):
    model.bn1.running_mean[3] += 1e-3


def change_stride(model, pictures):
    model.layer2[0].conv1.stride = (1, 1)


def change_pixel(model, pictures):
    pictures.pictures[6, 2, 5, 5] ^= 1


def change_label(model, pictures):
    pictures.labels[0] = 1


def change_crop(model, pictures):
    pictures.per_picture = v2.CenterCrop(33)


def change_statistics_of_normalization(model, pictures):
    pictures.per_batch = data.normalize(std=(0.2, 0.2, 0.2))


CHANGES = (change_weight, change_statistics, change_stride, change_pixel, change_label,
           change_crop, change_statistics_of_normalization)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_features_of_something_else_are_not_taken(change, model, cpu):
    pictures = make_pictures()
    before = fingerprint(model, pictures, 1, cpu)
    assert before == fingerprint(model, pictures, 1, cpu)
    change(model, pictures)
    assert fingerprint(model, pictures, 1, cpu) != before


def test_views_device_and_code_count_and_the_head_does_not(model, cpu, tmp_path, monkeypatch):
    pictures = make_pictures()
    before = fingerprint(model, pictures, 1, cpu)
    model.fc = nn.Linear(512, 5)
    assert fingerprint(model, pictures, 1, cpu) == before
    others = [fingerprint(model, pictures, 2, cpu)]
    others.append(fingerprint(model, pictures, 1, torch.device("meta")))
    for module in (features, features.dataset):
        copy = tmp_path / Path(module.__file__).name
        copy.write_bytes(Path(module.__file__).read_bytes() + b"\n")
        with monkeypatch.context() as patch:
            patch.setattr(module, "__file__", str(copy))
            others.append(fingerprint(model, pictures, 1, cpu))
    assert len({before, *others}) == 5


@pytest.mark.parametrize("damage", [b"", b"no array", "half", "other"])
def test_a_damaged_file_is_written_anew(damage, model, loader, cpu, tmp_path):
    x, _ = extract_features(model, loader, cpu).tensors
    cached_features(model, loader, cpu, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.unlink()  # not changed in place: it may still be mapped
    if damage == "other":
        np.save(file, np.zeros((3, 512), dtype=np.float32))
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "half" else damage)
    assert torch.equal(cached_features(model, loader, cpu, folder=tmp_path).tensors[0], x)
    assert np.load(file).shape == (7, 512)


def test_an_interrupted_extraction_leaves_nothing(model, loader, cpu, tmp_path):
    forward, calls = model.forward, []

    def interrupted(inputs):
        calls.append(len(inputs))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return forward(inputs)

    model.forward = interrupted
    with pytest.raises(KeyboardInterrupt):
        cached_features(model, loader, cpu, folder=tmp_path)
    assert not list(tmp_path.iterdir()) and isinstance(model.fc, nn.Linear)


@pytest.mark.parametrize("extract", [extract_features, cached_features])
def test_without_a_picture_it_is_said_what_is_wrong(extract, model, cpu):
    with pytest.raises(ValueError, match="no batch: is its data set empty"):
        extract(model, DataLoader(Pictures([], [], v2.Identity(), v2.Identity()), 4), cpu)


def test_where_nothing_can_be_kept_it_is_said_and_features_come_all_the_same(
    model, loader, cpu, tmp_path
):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="can't be kept in"):
        found = cached_features(model, loader, cpu, folder=tmp_path / "file" / "cache")
    assert torch.equal(found.tensors[0], extract_features(model, loader, cpu).tensors[0])


PROGRAM = """
import sys, torch
from torch.utils.data import DataLoader
from test_features import make_pictures
from helpers.features import cached_features
from helpers.models import resnet18
torch.manual_seed(0)
model = resnet18(2, weights=None, freeze=True)
print("ready", flush=True)
sys.stdin.readline()
loader = DataLoader(make_pictures(), 1)
x, _ = cached_features(model, loader, torch.device("cpu"), folder=sys.argv[1]).tensors
print(float(x.double().sum()))
"""


def test_two_processes_may_write_at_once(model, cpu, tmp_path):
    command = [sys.executable, "-c", PROGRAM, tmp_path / "cache"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    tests = Path(__file__).parent
    both = [subprocess.Popen(command, cwd=tests, **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    sums = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0] and len(set(sums)) == 1
    (file,) = (tmp_path / "cache").iterdir()
    expected = extract_features(model, DataLoader(make_pictures(), 1), cpu).tensors[0]
    np.testing.assert_allclose(np.load(file), expected.numpy(), atol=1e-5)
