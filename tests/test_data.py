"""Pictures to batches: right pixels, right splits, and clear words where there are none."""

import shutil

import numpy as np
import pytest
import torch
from conftest import save_picture
from PIL import Image
from torch.nn.functional import avg_pool2d, pad
from torch.utils.data import DataLoader
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from helpers import assets, data
from helpers.pictures.cifar10 import read_archive, read_cifar10, read_sheets
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


def test_image_folders_gives_batches_of_the_promised_form(root):
    loaders = data.image_folders(root, size=16, batch_size=2)
    inputs, labels = next(iter(loaders.val))
    assert inputs.shape == (2, 3, 16, 16) and inputs.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert loaders.class_names == ["a", "b"]
    assert loaders.test is None
    assert [y for _, y in loaders.val.dataset] == [0, 0, 1, 1]


def test_a_test_part_is_found_where_there_is_one(root):
    save_picture(root / "test" / "a" / "1.png", seed=20)
    save_picture(root / "test" / "b" / "1.png", seed=21)
    loaders = data.image_folders(root, size=16)
    assert len(loaders.test.dataset) == 2
    assert torch.equal(loaders.test.dataset[0][0], loaders.test.dataset[0][0])
    assert [loaders.part(name) for name in ("train", "val", "test")] == list(loaders[:3])


@pytest.mark.parametrize("split", ["test", "vall", "class_names"])
def test_a_part_that_is_not_there_is_named(root, split):
    with pytest.raises(ValueError, match=f"no {split} part: show split='val' or 'train'"):
        data.image_folders(root, size=16).part(split)


def test_validation_is_neither_shuffled_nor_augmented_and_training_is_both(root):
    loaders = data.image_folders(root, size=16, batch_size=4)
    assert torch.equal(next(iter(loaders.val))[0], next(iter(loaders.val))[0])
    assert not torch.equal(loaders.train.dataset[0][0], loaders.train.dataset[0][0])
    plain = data.image_folders(root, size=16, batch_size=4, augment=False)
    assert torch.equal(plain.train.dataset[0][0], plain.train.dataset[0][0])
    orders = {tuple(torch.cat([y for _, y in plain.train]).tolist()) for _ in range(20)}
    assert len(orders) > 1


def test_the_same_seed_gives_the_same_batches(root):
    def batches(seed):
        torch.manual_seed(5)
        return torch.cat([x for x, _ in data.image_folders(root, size=16, seed=seed).train])

    assert torch.equal(batches(1), batches(1))
    assert not torch.equal(batches(1), batches(2))


def test_validation_pixels_are_those_of_torchvisions_plain_transforms(root):
    """From the file at full size, as everybody's tutorial does it, to within rounding."""
    plain = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize(18),
            v2.CenterCrop(16),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(data.MEAN, data.STD),
        ]
    )
    expected = plain(Image.open(root / "val" / "b" / "2.png"))
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
    source = assets.EMBEDDED / "ants_bees" / "train" / "bees" / "bee_0003.jpg"
    for name in ("train/a", "val/a"):
        (tmp_path / name).mkdir(parents=True)
        shutil.copy(source, tmp_path / name)
        save_picture(tmp_path / f"{name[:-1]}b" / "other.png", seed=len(name))
    plain = v2.Compose(
        [
            v2.RandomResizedCrop(64, scale=(0.35, 1.0)),
            v2.RandomHorizontalFlip(),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(data.MEAN, data.STD),
        ]
    )
    with pytest.warns(UserWarning, match=r"val/a/bee_0003\.jpg = train/a/bee_0003\.jpg"):
        dataset = data.image_folders(tmp_path, size=64).train.dataset
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


def test_open_picture_reduces_and_never_enlarges(tmp_path):
    pixels = save_picture(tmp_path / "picture.png", width=60, height=40)
    assert open_picture(tmp_path / "picture.png", short_side=20).shape == (3, 20, 30)
    whole = open_picture(tmp_path / "picture.png", short_side=400)
    np.testing.assert_array_equal(whole.permute(1, 2, 0).numpy(), pixels)


def test_open_picture_turns_a_photo_upright(tmp_path):
    image = Image.new("RGB", (60, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # taken with the camera on its side
    image.save(tmp_path / "phone.jpg", exif=exif)
    assert open_picture(tmp_path / "phone.jpg", short_side=40).shape == (3, 60, 40)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_open_picture_makes_rgb_of_any_mode(tmp_path, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    Image.new(mode, (20, 20)).save(tmp_path / f"picture.{suffix}")
    assert open_picture(tmp_path / f"picture.{suffix}", short_side=20).shape == (3, 20, 20)


def test_a_missing_folder_is_named(root):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: give one that holds"):
        data.image_folders(root / "nowhere")


def test_an_empty_class_is_named(root):
    (root / "train" / "c").mkdir()
    with pytest.raises(ValueError, match=r"train has no picture in the classes \['c'\]"):
        data.image_folders(root)


def test_a_folder_without_classes_is_named(tmp_path):
    save_picture(tmp_path / "train" / "loose.png")
    (tmp_path / "val").mkdir()
    with pytest.raises(ValueError, match="train has too few class folders"):
        data.image_folders(tmp_path)


def test_classes_that_differ_between_the_parts_are_named(root):
    save_picture(root / "val" / "c" / "1.png", seed=22)
    with pytest.raises(ValueError, match=r"val has the classes \['a', 'b', 'c'\]"):
        data.image_folders(root)


@pytest.mark.parametrize("content", [b"", b"no picture at all", "half"])
def test_a_file_that_is_no_picture_is_named(root, content):
    bad = root / "train" / "a" / "bad.jpg"
    if content == "half":
        save_picture(bad, width=400, height=400)
        content = bad.read_bytes()[:5000]
    bad.write_bytes(content)
    with pytest.raises(ValueError, match=r"1 of 10 pictures can't be used.*\n.*bad\.jpg: "):
        data.image_folders(root)


def test_draw_per_class_takes_as_many_of_each():
    labels = torch.tensor([0] * 10 + [1] * 6 + [2] * 8)
    drawn, others = draw_per_class(labels, 9, seed=0)
    assert torch.bincount(labels[drawn]).tolist() == [3, 3, 3]
    assert sorted([*drawn.tolist(), *others.tolist()]) == list(range(24))
    assert not torch.equal(drawn, draw_per_class(labels, 9, seed=1)[0])
    for count in (10, 21):
        with pytest.raises(ValueError, match="can't draw"):
            draw_per_class(labels, count, seed=0)


def test_cifar10_has_the_promised_form_and_keeps_the_parts_apart():
    loaders = data.cifar10(edition="rendered", num_train=200, batch_size=64)
    assert loaders.class_names == list(assets.CIFAR10_CLASSES)
    assert [len(part.dataset) for part in loaders[:3]] == [200, 500, 1000]
    for part in loaders[:3]:
        labels = torch.tensor(part.dataset.labels)
        assert (torch.bincount(labels) == len(labels) // 10).all()
        assert part.dataset.pictures.dtype == torch.uint8
        assert part.dataset.pictures.shape[1:] == (3, 32, 32)
    train = {picture.numpy().tobytes() for picture in loaders.train.dataset.pictures}
    val = {picture.numpy().tobytes() for picture in loaders.val.dataset.pictures}
    test = {picture.numpy().tobytes() for picture in loaders.test.dataset.pictures}
    assert len(train) == 200 and not train & val and not train & test and not val & test


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
    loaders = data.cifar10(edition="rendered", augment=True)
    plain = data.cifar10(edition="rendered", augment=False)
    for part in ("val", "test"):
        found, expected = getattr(loaders, part).dataset, getattr(plain, part).dataset
        some = range(0, len(found), 9)
        for i in some:
            assert torch.equal(found[i][0], expected[i][0]), part
        original = torch.stack([found.pictures[i] for i in some]) / 255
        mean, std = (torch.tensor(value)[:, None, None] for value in (data.MEAN, data.STD))
        shown = torch.stack([found[i][0] for i in some])
        torch.testing.assert_close(shown * std + mean, original, rtol=0, atol=1e-6)
    differs = [not torch.equal(loaders.train.dataset[i][0], plain.train.dataset[i][0])
               for i in range(40)]  # fmt: skip
    assert sum(differs) > 30


def test_the_statistics_are_those_that_torchvision_states():
    """With its own weights, for the network of which the backbone has the shape."""
    preset = ResNet18_Weights.IMAGENET1K_V1.transforms()
    assert list(data.MEAN) == preset.mean and list(data.STD) == preset.std
    loaders = data.cifar10(edition="rendered")
    assert loaders.mean == data.MEAN and loaders.std == data.STD


@pytest.mark.parametrize("seed", [0, 3])
def test_the_seed_draws_what_is_set_aside_of_cifar10(seed):
    """A tenth of each class, class by class, from one generator; written out here again."""
    pictures, labels = read_sheets(assets.cifar10("rendered").path, "train")
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for label in range(10):
        members = torch.where(labels == label)[0]
        order = torch.randperm(len(members), generator=generator)
        drawn += members[order[: len(members) // 10]].tolist()
    val = data.cifar10(edition="rendered", seed=seed).val.dataset
    assert torch.equal(val.pictures, pictures[sorted(drawn)])
    assert val.labels == labels[sorted(drawn)].tolist()


def test_ants_are_called_ants():
    """By the names of the files that the pictures come from."""
    loaders = data.ants_bees(edition="rendered", size=32)
    root = assets.ants_bees("rendered").path
    for part in ("train", "val"):
        found = getattr(loaders, part).dataset
        for name, prefix in (("ants", "ant_"), ("bees", "bee_")):
            path = sorted((root / part / name).glob(f"{prefix}*.jpg"))[3]
            picture = open_picture(path, short_side=64)
            places = [i for i, other in enumerate(found.pictures) if torch.equal(other, picture)]
            assert [loaders.class_names[found.labels[i]] for i in places] == [name]


def test_cifar10_sheets_are_cut_into_the_right_tiles():
    loaders = data.cifar10(edition="rendered")
    folder = assets.cifar10("rendered").path
    with Image.open(folder / "test" / "frog.webp") as sheet:
        tile = np.array(sheet.convert("RGB").crop((32, 64, 64, 96)))  # third row, second column
        tiles_a_row = sheet.width // 32
    first_frog = loaders.test.dataset.labels.index(assets.CIFAR10_CLASSES.index("frog"))
    found = loaders.test.dataset.pictures[first_frog + 2 * tiles_a_row + 1]
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), tile)


def test_cifar10_raw_enlarged_and_shifted():
    raw = data.cifar10(edition="rendered", normalized=False)
    assert raw.mean == (0, 0, 0) and raw.std == (1, 1, 1)
    picture, _ = raw.val.dataset[0]
    assert picture.min() >= 0 and picture.max() <= 1
    large = data.cifar10(edition="rendered", size=64, augment=True)
    assert large.train.dataset[0][0].shape == (3, 64, 64)
    assert not torch.equal(large.train.dataset[0][0], large.train.dataset[0][0])
    assert torch.equal(large.val.dataset[0][0], large.val.dataset[0][0])


def test_read_archive_gives_what_torchvision_gives(tmp_path, monkeypatch):
    """CIFAR-10's own layout, with three pictures a file instead of ten thousand."""
    import hashlib
    import pickle

    from torchvision.datasets import CIFAR10

    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)

    def write(name, content):
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        return [name, hashlib.md5(raw).hexdigest()]

    def batch():
        pixels = rng.integers(0, 256, (3, 3072), dtype=np.uint8)
        return {"data": pixels, "labels": [4, 0, 9]}

    first = batch()
    train = [
        write("data_batch_1", first),
        *(write(f"data_batch_{i}", batch()) for i in (2, 3, 4, 5)),
    ]
    meta = write("batches.meta", {"label_names": list(assets.CIFAR10_CLASSES)})
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [write("test_batch", batch())])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta[1]})
    asset = assets.Asset("cifar10", "photos", tmp_path, "CIFAR-10")
    pictures, labels, *test = read_cifar10(asset)
    assert all(map(torch.equal, test, read_archive(tmp_path, "test")))
    assert pictures.shape == (15, 3, 32, 32) and pictures.dtype == torch.uint8
    assert labels[:3].tolist() == [4, 0, 9]
    np.testing.assert_array_equal(pictures[0].flatten().numpy(), first["data"][0])


def test_the_smallest_crop_is_the_share_of_the_area_that_was_asked_for(root):
    """Of a ramp of 40 × 30 pixels, a crop shows as much as its share: the whole, or little."""
    ranges = {}
    for share in (1.0, 0.05):
        torch.manual_seed(0)
        dataset = data.image_folders(root, size=16, smallest_crop=share).train.dataset
        ramp = torch.arange(40).mul(6).to(torch.uint8).expand(3, 30, 40)
        crops = torch.stack([dataset.per_picture(ramp) for _ in range(100)]).float()
        ranges[share] = crops.amax(dim=(1, 2, 3)) - crops.amin(dim=(1, 2, 3))
    assert ranges[1.0].min() > 0.7 * 6 * 39  # all but what the ratio of the sides costs
    assert ranges[0.05].min() < 0.5 * 6 * 39
