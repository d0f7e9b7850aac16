"""Pictures to batches: right pixels, right splits, and the same batches from the same seed."""

import hashlib
import pickle
import shutil
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import save_picture
from PIL import Image
from torch.nn.functional import avg_pool2d, pad
from torch.utils.data import DataLoader
from torchvision.datasets import CIFAR10
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from helpers import assets, data
from helpers.pictures.dataset import read_sheets
from helpers.pictures.decode import open_picture
from helpers.pictures.splits import draw_per_class


@pytest.fixture
def root(tmp_path):
    """Five training pictures and four for validation, in two classes."""
    for i, name in enumerate(["a/1", "a/2", "a/3", "b/1", "b/2"]):
        save_picture(tmp_path / "photos" / "train" / f"{name}.png", seed=i)
    for i, name in enumerate(["a/1", "a/2", "b/1", "b/2"]):
        save_picture(tmp_path / "photos" / "val" / f"{name}.png", seed=10 + i)
    return tmp_path / "photos"


def test_batches_have_the_promised_form_and_each_split_its_loader(root):
    loaders = data.image_folders(root, size=16, batch_size=2)
    inputs, labels = next(iter(loaders.val))
    assert inputs.shape == (2, 3, 16, 16) and inputs.dtype == torch.float32
    assert labels.dtype == torch.int64 and loaders.class_names == ["a", "b"]
    assert [y for _, y in loaders.val.dataset] == [0, 0, 1, 1]
    assert loaders.test is None
    for name in ("test", "vall", "class_names"):
        with pytest.raises(ValueError, match=f"no {name} split: show split='val' or 'train'"):
            loaders.split(name)
    save_picture(root / "test" / "a" / "1.png", seed=20)
    save_picture(root / "test" / "b" / "1.png", seed=21)
    loaders = data.image_folders(root, size=16)
    assert len(loaders.test.dataset) == 2
    assert torch.equal(loaders.test.dataset[0][0], loaders.test.dataset[0][0])
    assert [loaders.split(name) for name in ("train", "val", "test")] == list(loaders[:3])


def test_memory_is_told_before_it_is_gone(root, monkeypatch):
    """Nine pictures, 4 · side² bytes each, into half of what is free."""
    memory = SimpleNamespace()
    monkeypatch.setattr(data.psutil, "virtual_memory", lambda: memory)
    enough = 9 * 4 * 24**2 * 2
    for free, side in ((enough, 24), (enough / 2, 16), (enough / 2.5, 15)):
        memory.available = free
        with warnings.catch_warnings(record=True) as said:
            loaders = data.image_folders(root, size=12)
        assert {min(picture.shape[1:]) for picture in loaders.train.dataset.pictures} == {side}
        expected = f"9 pictures are kept at {side} pixels instead of 24" if side < 24 else ""
        assert expected in "".join(str(warning.message) for warning in said)
        assert bool(said) == bool(expected)
    memory.available = 6 * 4 * 14**2 * 2
    with pytest.raises(MemoryError, match="about 6 pictures at size=12, not 9: take fewer, or"):
        data.image_folders(root, size=12)


def test_training_is_shuffled_and_augmented_from_its_seed_and_validation_is_neither(root):
    loaders = data.image_folders(root, size=16, batch_size=4)
    assert torch.equal(next(iter(loaders.val))[0], next(iter(loaders.val))[0])
    assert [y.tolist() for _, y in loaders.val] == [[0, 0, 1, 1]]
    assert not torch.equal(loaders.train.dataset[0][0], loaders.train.dataset[0][0])
    plain = data.image_folders(root, size=16, batch_size=4, augment=False)
    assert torch.equal(plain.train.dataset[0][0], plain.train.dataset[0][0])
    assert len({tuple(torch.cat([y for _, y in plain.train]).tolist()) for _ in range(20)}) > 1

    def batches(seed):
        torch.manual_seed(5)
        return torch.cat([x for x, _ in data.image_folders(root, size=16, seed=seed).train])

    assert torch.equal(batches(1), batches(1))
    assert not torch.equal(batches(1), batches(2))


def test_validation_pixels_are_those_of_torchvisions_plain_transforms(root):
    """From the file at full size, as everybody's tutorial does it, to within rounding."""
    steps = [v2.PILToTensor(), v2.Resize(18), v2.CenterCrop(16)]
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(data.MEAN, data.STD)]
    expected = v2.Compose(steps)(Image.open(root / "val" / "b" / "2.png"))
    found, _ = data.image_folders(root, size=16).val.dataset[3]
    torch.testing.assert_close(found, expected)


def test_a_batch_holds_what_its_pictures_give_one_by_one(root):
    """Normalized at once or apart, cropped by the same random numbers."""
    dataset = data.image_folders(root, size=16).train.dataset
    torch.manual_seed(3)
    (inputs, labels), *rest = DataLoader(dataset, len(dataset))
    torch.manual_seed(3)
    torch.empty((), dtype=torch.int64).random_()  # as a DataLoader draws a seed for its workers
    apart = [dataset[i] for i in range(len(dataset))]
    assert not rest and labels.tolist() == [y for _, y in apart] == [0, 0, 0, 1, 1]
    torch.testing.assert_close(inputs, torch.stack([x for x, _ in apart]), rtol=0, atol=1e-6)


def test_augmented_pictures_are_distributed_as_those_of_the_plain_transforms(tmp_path):
    """Decoded once and reduced, cropped from there: as if cropped from the file each time."""
    source = assets.ants_bees("rendered").path / "train" / "bees" / "bee_0003.jpg"
    for name in ("train/a", "val/a"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(source, tmp_path / name)
        save_picture(tmp_path / f"{name[:-1]}b" / "other.png", seed=len(name))
    steps = [v2.RandomResizedCrop(64, scale=(0.2, 1.0)), v2.RandomHorizontalFlip()]
    steps += [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    plain = v2.Compose([*steps, v2.Normalize(data.MEAN, data.STD)])
    with pytest.warns(UserWarning, match=r"val/a/bee_0003\.jpg = train/a/bee_0003\.jpg"):
        dataset = data.image_folders(tmp_path, size=64, smallest_crop=0.2).train.dataset
    with Image.open(source) as image:
        theirs = torch.stack([plain(image) for _ in range(600)])
    ours = torch.stack([dataset[0][0] for _ in range(600)])
    for power in (1, 2):  # means, and spreads, of 8 × 8 places in three colors
        a, b = (avg_pool2d(x, 8).flatten(1) for x in (ours, theirs))
        a, b = ((x - b.mean(0)) ** power for x in (a, b))
        z = (a.mean(0) - b.mean(0)) / ((a.var(0) + b.var(0)) / 600).sqrt()
        assert z.abs().max() < 4.5 and z.square().mean() < 3, power


def test_a_single_picture_is_never_left_for_batchnorm(root):
    assert [len(y) for _, y in data.image_folders(root, size=16, batch_size=2).train] == [2, 2]
    assert [len(y) for _, y in data.image_folders(root, size=16, batch_size=3).train] == [3, 2]
    assert [len(y) for _, y in data.image_folders(root, size=16, batch_size=3).val] == [3, 1]


def test_draw_per_class_takes_as_many_of_each():
    labels = torch.tensor([0] * 10 + [1] * 6 + [2] * 8)
    drawn, others = draw_per_class(labels, 9, seed=0)
    assert torch.bincount(labels[drawn]).tolist() == [3, 3, 3]
    assert sorted([*drawn.tolist(), *others.tolist()]) == list(range(24))
    assert not torch.equal(drawn, draw_per_class(labels, 9, seed=1)[0])
    for count in (10, 21):
        with pytest.raises(ValueError, match="can't draw"):
            draw_per_class(labels, count, seed=0)


def test_ants_are_called_ants():
    """By the names of the files that the pictures come from."""
    loaders = data.ants_bees(edition="rendered", size=32)
    root = assets.ants_bees("rendered").path
    for split in ("train", "val"):
        found = loaders.split(split).dataset
        for name, prefix in (("ants", "ant_"), ("bees", "bee_")):
            path = sorted((root / split / name).glob(f"{prefix}*.jpg"))[3]
            picture = open_picture(path, short_side=64)
            places = [i for i, other in enumerate(found.pictures) if torch.equal(other, picture)]
            assert [loaders.class_names[found.labels[i]] for i in places] == [name]


def test_cifar10_has_the_promised_form_and_keeps_the_splits_apart():
    loaders = data.cifar10(edition="rendered", num_train=200, batch_size=64)
    assert loaders.class_names == list(assets.CIFAR10_CLASSES)
    seen = []
    for loader, count in zip(loaders[:3], (200, 500, 1000), strict=True):
        pictures, labels = loader.dataset.pictures, torch.tensor(loader.dataset.labels)
        assert pictures.dtype == torch.uint8 and pictures.shape == (count, 3, 32, 32)
        assert (torch.bincount(labels) == count // 10).all()
        seen.append({picture.numpy().tobytes() for picture in pictures})
    train, val, test = seen
    assert len(train) == 200 and not train & val and not train & test and not val & test
    preset = ResNet18_Weights.IMAGENET1K_V1.transforms()  # of the network with the book's shape
    assert list(loaders.mean) == preset.mean and list(loaders.std) == preset.std


def test_cifar10_sheets_are_cut_into_the_right_tiles():
    test = data.cifar10(edition="rendered").test.dataset
    with Image.open(assets.cifar10("rendered").path / "test" / "frog.webp") as sheet:
        tile = np.array(sheet.convert("RGB").crop((32, 64, 64, 96)))  # third row, second column
        tiles_a_row = sheet.width // 32
    first_frog = test.labels.index(assets.CIFAR10_CLASSES.index("frog"))
    found = test.pictures[first_frog + 2 * tiles_a_row + 1]
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), tile)


def test_cifar10_is_shifted_by_four_pixels_at_most_and_mirrored_half_the_time():
    """All 9 × 9 shifts, mirrored or not, are drawn as often, and nothing else is."""
    shift = data.cifar10(edition="rendered", augment=True).train.dataset.per_picture
    picture = torch.randint(1, 256, (3, 32, 32), dtype=torch.uint8)
    padded = pad(picture, (4, 4, 4, 4))
    draws = {}
    for i in range(9):
        for j in range(9):
            moved = padded[:, i : i + 32, j : j + 32]
            draws[moved.numpy().tobytes()] = i, j, 0
            draws[moved.flip(2).numpy().tobytes()] = i, j, 1
    drawn = np.array([draws[shift(picture).numpy().tobytes()] for _ in range(900)])
    for axis in range(2):
        counts = np.bincount(drawn[:, axis], minlength=9)
        assert (abs(counts - 100) < 40).all()  # four standard deviations
    assert abs(drawn[:, 2].sum() - 450) < 60


def test_cifar10_augments_what_it_trains_with_and_nothing_else():
    loaders = data.cifar10(edition="rendered", augment=True, size=64)
    raw = data.cifar10(edition="rendered", normalized=False)
    assert raw.mean == (0, 0, 0) and raw.std == (1, 1, 1)
    train = loaders.train.dataset
    assert train[0][0].shape == (3, 64, 64)
    assert sum(not torch.equal(train[i][0], train[i][0]) for i in range(40)) > 30
    for split in ("val", "test"):
        found, plain = loaders.split(split).dataset, raw.split(split).dataset
        for i in range(0, len(found), 25):
            assert torch.equal(found[i][0], found[i][0]), split
            original = found.pictures[i] / 255
            torch.testing.assert_close(plain[i][0], original, rtol=0, atol=1e-6)
            large = v2.functional.resize(found.pictures[i], [64, 64]) / 255
            restored = v2.functional.normalize(found[i][0], [0] * 3, [1 / s for s in data.STD])
            shown = restored + torch.tensor(data.MEAN)[:, None, None]
            torch.testing.assert_close(shown, large, rtol=0, atol=1e-6)


def test_the_seed_draws_what_is_set_aside_of_cifar10():
    """A tenth of each class, class by class, from one generator; written out here again."""
    pictures, labels = read_sheets(assets.cifar10("rendered").path, "train")
    generator = torch.Generator().manual_seed(3)
    drawn = []
    for label in range(10):
        members = torch.where(labels == label)[0]
        order = torch.randperm(len(members), generator=generator)
        drawn += members[order[: len(members) // 10]].tolist()
    val = data.cifar10(edition="rendered", seed=3).val.dataset
    assert torch.equal(val.pictures, pictures[sorted(drawn)])
    assert val.labels == labels[sorted(drawn)].tolist()


def test_cifar10_itself_is_read_where_it_is(monkeypatch):
    """Its own layout, with twenty pictures a file instead of ten thousand."""
    folder = assets.photographs_folder() / CIFAR10.base_folder
    folder.mkdir(parents=True)
    written = {}

    def write(name, content):
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        written[name] = content
        return [name, hashlib.md5(raw).hexdigest()]

    def batch(seed):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 3072), dtype=np.uint8)
        return {"data": pixels, "labels": [i % 10 for i in range(20)]}

    train = [write(f"data_batch_{i}", batch(i)) for i in range(1, 6)]
    meta = write("batches.meta", {"label_names": list(assets.CIFAR10_CLASSES)})
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [write("test_batch", batch(6))])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta[1]})
    assert assets.cifar10().edition == "photos"
    loaders = data.cifar10()
    assert [len(loader.dataset) for loader in loaders[:3]] == [90, 10, 20]
    pixels = written["test_batch"]["data"].reshape(-1, 3, 32, 32)
    np.testing.assert_array_equal(loaders.test.dataset.pictures.numpy(), pixels)
    assert loaders.test.dataset.labels == written["test_batch"]["labels"]
    (folder / "test_batch").write_bytes(b"changed")
    assert assets.cifar10().edition == "rendered"
