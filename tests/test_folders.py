"""Folders as people have them: every picture used once, or one message that says what is wrong."""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_picture, without_rights
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder

from helpers import assets, data
from helpers.pictures.decode import open_picture
from helpers.pictures.folders import list_parts, list_pictures
from helpers.pictures.splits import split_per_class

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def root(tmp_path):
    """Two parts, two classes, 3 and 2 pictures in each; the folder has an uncommon name."""
    root = tmp_path / "pictures of Zoë 🐝"
    for i, part in enumerate(("train", "val")):
        for j, name in enumerate(("ants", "bees")):
            for k in range(3 - i):
                save_picture(root / part / name / f"{k}.png", seed=100 * i + 10 * j + k)
    return root


@pytest.fixture
def classes(tmp_path):
    """Three classes with 10, 5 and 2 pictures, not split."""
    for i, (name, count) in enumerate({"ants": 10, "bees": 5, "wasps": 2}.items()):
        for k in range(count):
            save_picture(tmp_path / "own" / name / f"{k}.png", seed=100 * i + k)
    return tmp_path / "own"


def names(listing):
    return [path.relative_to(listing.root).as_posix() for path in listing.paths]


WHOLE = [f"{part}/{name}/{k}.png" for part, n in (("train", 3), ("val", 2))
         for name in ("ants", "bees") for k in range(n)]  # fmt: skip


def test_every_picture_is_listed_once_in_order(root):
    listing = list_parts(root)
    assert names(listing) == WHOLE
    assert listing.labels == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert listing.parts == ["train"] * 6 + ["val"] * 4
    assert listing.class_names == ["ants", "bees"] and listing.unused == []


# What may lie in train/ants besides, and is used: an odd name, a folder inside, any suffix.
USED = [
    "photo of an ant.png", "UPPER.PNG", "Foto über Ameisen.png", "蚂蚁.png", "🐜🐜.png",
    "a.b.c.png", "deep/er/photo.png", "folder.jpg/photo.png", "-rf.png", "100%.png",
    "a'b\"c;&$.png",
    "new\nline.png", "a" * 251 + ".png",
    "deep/" * 20 + "photo.png", "Thumbs.png", "test/photo.png",
]  # fmt: skip


@pytest.mark.parametrize("name", USED, ids=lambda name: name[:20])
def test_a_picture_of_any_name_is_used(root, name):
    pixels = save_picture(root / "train" / "ants" / name, seed=99)
    listing = list_parts(root)
    assert Counter(names(listing)) == Counter([*WHOLE, f"train/ants/{name}"])
    assert listing.labels.count(0) == 6
    loaders = data.image_folders(root, size=8, augment=False)
    assert len(loaders.train.dataset) == 7
    mean = torch.tensor(pixels.mean((0, 1))) / 255
    pictures = torch.stack([p.float().mean((1, 2)) / 255 for p in loaders.train.dataset.pictures])
    assert ((pictures - mean).abs().amax(1) < 0.02).any()


HIDDEN = [
    "train/ants/.DS_Store", "train/ants/Thumbs.db", "train/ants/._0.png", "train/desktop.ini",
    "train/ants/.ipynb_checkpoints/0-checkpoint.png", "train/.ipynb_checkpoints/x.png",
    "train/__MACOSX/ants/._0.png", "__MACOSX/train/ants/._0.png", ".git/config.png",
    "train/ants/@eaDir/0.png/THUMB_M.jpg", "val/bees/.hidden.jpg", "train/.ants/0.png",
    "train/bees/__MACOSX/0.jpg",
]  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_what_a_system_keeps_for_itself_is_passed_over(root, name):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b"nothing for people")
    listing = list_parts(root)
    assert names(listing) == WHOLE and listing.unused == []
    assert data.image_folders(root, size=8).class_names == ["ants", "bees"]


@pytest.mark.parametrize(
    "name",
    ["train/ants/README.txt", "train/ants/moving.gif", "train/ants/IMG_1.NEF", "val/bees/IMG_1.MOV",
     "train/ants/deep/labels.csv", "train/labels.csv", "val/loose.jpg", "train/ants/no_suffix",
     "train/ants/photo.jpg.part", "val/bees/photo.xml"],
)  # fmt: skip
def test_what_is_not_used_is_named(root, name):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b"?")
    with pytest.warns(UserWarning, match=rf"not used.*; 1 such: {name}$"):
        loaders = data.image_folders(root, size=8)
    assert len(loaders.train.dataset) == 6 and len(loaders.val.dataset) == 4


def change(root, steps):
    """Remove ("-name"), make a folder ("name/") or a file ("name")."""
    for step in steps:
        path = root / step.removeprefix("-")
        if step.startswith("-"):
            shutil.rmtree(path)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if step.endswith("/") else path.write_bytes(b"?")


BARE = ("-train", "-val")
WRONG = {
    "no val": (["-val"], FileNotFoundError, r"folder train and no folder val, but \['train'\]"),
    "val misnamed": (["-val", "validation/"], FileNotFoundError, r"but \['train', 'validation'\]"),
    "a file for a part": (["-val", "val"], FileNotFoundError, "no folder val"),
    "train misnamed": (["-train", "training/"], ValueError, r"but \['training', 'val'\]"),
    "capitals": ([*BARE, "Train/", "Val/"], ValueError, r"but \['Train', 'Val'\]"),
    "only validation": ([*BARE, "validation/", "test/"], ValueError, r"but \['validation'\]"),
    "only a test": ([*BARE, "test/"], ValueError, r"few .* apart, \['test'\]"),
    "nothing": (BARE, ValueError, "has too few class folders"),
    "loose pictures": ([*BARE, "1.jpg"], ValueError, "has too few class folders"),
    "one level too high": ([*BARE, "data/train/"], ValueError, r"few .* apart, \['data'\]"),
    "no classes": (["-train", "train/1.jpg"], ValueError, "train has too few class folders"),
    "one class": (["-train/bees", "-val/bees"], ValueError, r"few .* apart, \['ants'\]"),
    "test empty": (["test/"], ValueError, "test has too few class folders"),
    "an empty class": (["train/c/"], ValueError, r"train has no picture in the classes \['c'\]: "),
    "empty classes": (["val/a/", "val/c/"], ValueError, r"val has no .*\['a', 'c'\]: remove"),
    "a class of hidden files": (["train/c/.DS_Store"], ValueError, r"no picture .*\['c'\]: remove"),
    "a class of no pictures": (["val/c/1.gif", "val/c/2"], ValueError, "but 1.gif, 2: remove"),
    "classes that differ": (
        ["-val/bees", "val/wasps/1.png"], ValueError,
        r"val has the classes.*; \['bees', 'wasps'\] are in one of them only",
    ),
    "a class only in train": (["train/c/1.png"], ValueError, r"val has .*; \['c'\] are in one"),
    "a class only in val": (["val/c/1.png"], ValueError, r"val has .*; \['c'\] are in one"),
    "a class only in test": (
        ["test/ants/1.png", "test/bees/1.png", "test/c/1.png"], ValueError,
        r"test has the classes .*; \['c'\] are in one",
    ),
    "broken": (["val/bees/x.jpg"], ValueError, r"1 of 11 .*\n.*bees/x.jpg: no picture, it"),
    "broken in two parts": (
        ["train/ants/x.HEIC", "val/bees/y.jpg"], ValueError,
        r"2 of 12 pictures.*\n.*ants/x.HEIC: .*\n.*bees/y.jpg: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["test", "valid", "control", "Trains"])
def test_a_class_may_have_a_name_that_resembles_a_parts(classes, name):
    (classes / "wasps").rename(classes / name)
    assert name in data.image_folders(classes, size=8).class_names


@pytest.mark.parametrize(("steps", "error", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_folder_is_said(root, steps, error, message):
    change(root, steps)
    with pytest.raises(error, match=message):
        data.image_folders(root, size=8)


def test_a_root_that_is_no_folder_is_named(root, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere: give one"):
        data.image_folders(root / "nowhere")
    monkeypatch.chdir(root)
    with pytest.raises(
        FileNotFoundError, match=r"Zoë 🐝/nowhere: "
    ):  # tells where it was looked for
        data.image_folders("nowhere")
    (root / "pictures.zip").write_bytes(b"PK")
    with pytest.raises(NotADirectoryError, match=r"pictures.zip is a file: .*unpack"):
        data.image_folders("pictures.zip")


def test_a_home_folder_is_found(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("USERPROFILE", str(root.parent))
    assert len(data.image_folders(f"~/{root.name}", size=8).train.dataset) == 6


def test_links_are_followed_once(root, tmp_path):
    save_picture(tmp_path / "elsewhere" / "1.png", seed=50)
    (root / "train" / "ants" / "link").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "ants" / "up").symlink_to(root / "train" / "ants")
    (root / "train" / "ants" / "one.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    found = names(list_parts(root))
    assert Counter(found) == Counter([*WHOLE, "train/ants/link/1.png", "train/ants/one.png"])
    (root / "train" / "ants" / "gone.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"1 of 13 .*\n.*gone.png: a link to a file that isn't"):
        data.image_folders(root)


def test_a_folder_that_may_not_be_listed_is_named():
    """In a folder that anybody may enter; root would list it all the same."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name in ("a", "b"):
            save_picture(Path(folder) / name / "1.png")
        closed = Path(folder) / "a" / "closed"
        closed.mkdir()
        closed.chmod(0)
        with (
            without_rights(),
            pytest.raises(PermissionError, match=r"a.closed can't be listed: Permission"),
        ):
            list_parts(Path(folder))
        closed.chmod(0o755)


def test_the_same_files_as_torchvisions_are_listed(root):
    """Of plain folders, and of the book's own; and in the same order."""
    for k, name in enumerate(
        ["deep/1.jpg", "deep/er/2.JPG", "z.bmp", "B.webp", "a.tiff", "10.png"]
    ):
        save_picture(root / "train" / "ants" / name, seed=200 + k)
    for folder in (root / "train", assets.EMBEDDED / "ants_bees" / "train"):
        theirs, ours = ImageFolder(folder), list_pictures(folder)
        assert [(str(p), label) for p, label in zip(ours.paths, ours.labels, strict=True)] == (
            theirs.samples
        )
        assert ours.class_names == theirs.classes


def test_copies_in_two_parts_are_reported(root):
    """The same bytes under another name, and the same pixels in another format."""
    shutil.copy(root / "train" / "ants" / "0.png", root / "val" / "ants" / "copy.png")
    Image.open(root / "train" / "bees" / "1.png").save(root / "val" / "bees" / "again.bmp")
    expected = "2 such: val/ants/copy.png = train/ants/0.png, val/bees/again.bmp = train/bees/1.png"
    with pytest.warns(
        UserWarning, match=f"is in two parts, which flatters the accuracy; {expected}$"
    ):
        data.image_folders(root)


def test_copies_in_two_classes_are_reported(root):
    shutil.copy(root / "train" / "ants" / "0.png", root / "train" / "bees" / "copy.png")
    with pytest.warns(
        UserWarning, match=r"two classes, of which one is wrong; 1 such: train/bees/copy"
    ):
        data.image_folders(root)


def test_many_copies_are_counted_and_the_first_ten_named(root):
    for k in range(12):
        save_picture(root / "train" / "ants" / f"x{k:02}.png", seed=300 + k)
        save_picture(root / "val" / "ants" / f"y{k:02}.png", seed=300 + k)
    with pytest.warns(
        UserWarning, match=r"12 such: val/ants/y00.* = train/ants/x09.png, and 2 more"
    ):
        data.image_folders(root)


def test_copies_in_one_part_and_class_are_nobodys_business(root):
    shutil.copy(root / "train" / "ants" / "0.png", root / "train" / "ants" / "copy.png")
    assert len(data.image_folders(root, size=8).train.dataset) == 7


def pixels(loader):
    return [picture.numpy().tobytes() for picture in loader.dataset.pictures]


def test_classes_alone_are_split(classes):
    loaders = data.image_folders(classes, size=8)
    assert loaders.class_names == ["ants", "bees", "wasps"] and loaders.test is None
    assert Counter(loaders.val.dataset.labels) == {0: 2, 1: 1, 2: 1}
    assert Counter(loaders.train.dataset.labels) == {0: 8, 1: 4, 2: 1}
    assert len({*pixels(loaders.train), *pixels(loaders.val)}) == 17
    half = data.image_folders(classes, size=8, val_share=0.5)
    assert Counter(half.val.dataset.labels) == {0: 5, 1: 2, 2: 1}


def test_the_split_depends_on_the_seed_and_on_nothing_else(classes, tmp_path, monkeypatch):
    def split(folder, seed):
        return pixels(data.image_folders(folder, size=8, seed=seed).val)

    for i in range(6):
        save_picture(classes / "bees" / f"deep{i}" / "1.png", seed=500 + i)
    first = split(classes, 0)
    torch.manual_seed(9)
    assert split(classes, 0) == first
    splits = [split(classes, seed) for seed in range(8)]
    assert len({tuple(part) for part in splits}) > 4
    assert len({part[-1] for part in splits}) == 2  # of the two wasps, either
    walk, listed = os.walk, Path.iterdir  # as another file system would list it

    def backwards(*args, **options):
        for place, folders, files in walk(*args, **options):
            folders.reverse()
            yield place, folders, files[::-1]

    monkeypatch.setattr(os, "walk", backwards)
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(listed(path))))
    assert split(classes, 0) == first


@pytest.mark.parametrize("seed", [0, 3])
def test_the_seed_draws_what_is_set_aside(classes, seed):
    """The first of each class in an order from one generator; written out here again."""
    paths = sorted(classes.glob("*/*.png"))
    generator = torch.Generator().manual_seed(seed)
    expected = set()
    for name, count in (("ants", 2), ("bees", 1), ("wasps", 1)):
        members = [path for path in paths if path.parent.name == name]
        order = torch.randperm(len(members), generator=generator).tolist()
        expected |= {members[i] for i in order[:count]}
    val = data.image_folders(classes, size=8, seed=seed).val
    assert {*pixels(val)} == {
        open_picture(path, short_side=16).numpy().tobytes() for path in expected
    }


def test_copies_stay_on_one_side(classes):
    for k in range(10):
        shutil.copy(classes / "ants" / f"{k}.png", classes / "ants" / f"copy of {k}.png")
    for seed in range(10):
        loaders = data.image_folders(classes, size=8, seed=seed)
        assert not {*pixels(loaders.train)} & {*pixels(loaders.val)}
        assert Counter(loaders.val.dataset.labels) == {0: 4, 1: 1, 2: 1}


def test_copies_in_two_classes_are_for_training(classes):
    shutil.copy(classes / "ants" / "0.png", classes / "bees" / "copy.png")
    for seed in range(10):
        with pytest.warns(UserWarning, match="two classes"):
            loaders = data.image_folders(classes, size=8, seed=seed, val_share=0.9)
        assert not {*pixels(loaders.train)} & {*pixels(loaders.val)}


def test_where_only_copies_are_left_the_fewest_are_set_aside():
    parts = split_per_class([0] * 5, ["x", "x", "x", "y", "y"], ["a"], share=0.2, seed=0)
    assert parts == ["train"] * 3 + ["val"] * 2


@pytest.mark.parametrize("share", [0, 1, -0.2, 20])
def test_a_share_that_is_none_is_refused(classes, share):
    with pytest.raises(ValueError, match=f"val_share is {share}: give a share between 0 and 1"):
        data.image_folders(classes, size=8, val_share=share)


def test_too_few_pictures_to_split_are_named(classes):
    (classes / "wasps" / "1.png").unlink()
    for k in range(1, 5):
        shutil.copy(classes / "bees" / "0.png", classes / "bees" / f"{k}.png")
    with pytest.raises(ValueError, match=r"too few pictures .* in the classes \['bees', 'wasps'\]"):
        data.image_folders(classes, size=8)


FUZZED = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


@settings(max_examples=200, **FUZZED)
@given(
    data=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_any_split_is_stratified_and_keeps_copies_together(data, share, seed):
    labels, keys = [label for label, _ in data], [str(key) for _, key in data]
    class_names = "abcd"[: max(labels) + 1]
    rows = list(zip(labels, keys, strict=True))
    classes_of = {key: {label for label, other in rows if other == key} for key in keys}
    try:
        parts = split_per_class(labels, keys, class_names, share, seed)
    except ValueError:
        groups = [{key for label, key in rows if label == i} for i in range(len(class_names))]
        assert any(
            len(group) < 2 or all(len(classes_of[key]) > 1 for key in group) for group in groups
        )
        return
    sides = {key: {part for part, other in zip(parts, keys, strict=True) if other == key}
             for key in keys}  # fmt: skip
    assert all(len(side) == 1 for side in sides.values())
    for i in range(len(class_names)):
        own = [part for part, label in zip(parts, labels, strict=True) if label == i]
        wanted = min(max(1, round(share * len(own))), len(own) - 1)
        sizes = Counter(key for label, key in rows if label == i)
        assert 1 <= own.count("val") <= max(wanted, min(
            size for key, size in sizes.items() if len(classes_of[key]) == 1))  # fmt: skip
        assert own.count("train") >= 1
        if max(sizes.values()) == 1 and all(len(classes_of[key]) == 1 for key in sizes):
            assert own.count("val") == wanted
    assert parts == split_per_class(labels, keys, class_names, share, seed)


@settings(max_examples=40, **FUZZED)
@given(
    counts=st.lists(st.integers(2, 7), min_size=2, max_size=4),
    batch_size=st.integers(2, 9),  # to 1 pixel, PyTorch 2.14 can't reduce
    size=st.integers(2, 9),  # to 1 pixel, PyTorch 2.14 can't reduce
    split=st.booleans(),
    sides=st.lists(st.integers(1, 30), min_size=2, max_size=2),
)
def test_every_picture_comes_once_an_epoch_with_its_label(counts, batch_size, size, split, sides):
    """Each picture is of one color, that tells its class and number."""
    with tempfile.TemporaryDirectory() as folder:
        for label, count in enumerate(counts):
            for part in ("train", "val") if split else (".",):
                for k in range(count):
                    path = Path(folder) / part / f"class {label}" / f"{k}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    color = (10 * label, 10 * k, 200 if part == "val" else 0)
                    Image.new("RGB", sides, color).save(path)
        loaders = data.image_folders(
            folder, size=size, batch_size=batch_size, augment=False, val_share=0.4
        )
    seen = {}
    for part in ("train", "val"):
        loader, epochs = getattr(loaders, part), []
        for _ in range(2):
            inputs, labels = (torch.cat(both) for both in zip(*loader, strict=True))
            assert inputs.shape[1:] == (3, size, size)
            colors = inputs.mean((2, 3)).numpy() * np.array(data.STD) + np.array(data.MEAN)
            colors = np.rint(colors * 25.5).astype(int)
            assert labels.tolist() == colors[:, 0].tolist()
            if split:
                assert (colors[:, 2] == (20 if part == "val" else 0)).all()
            epochs.append([tuple(color) for color in colors[:, :2].tolist()])
            dropped = part == "train" and batch_size > 1 and len(loader.dataset) % batch_size == 1
            assert len(set(epochs[-1])) == len(epochs[-1]) == len(loader.dataset) - dropped
        seen[part] = set(epochs[0]) | set(epochs[1])
        assert part == "train" or epochs[0] == epochs[1]
    every = {(label, k) for label, count in enumerate(counts) for k in range(count)}
    if split:
        assert seen["val"] == every
        assert len(loaders.train.dataset) == len(every)
        return
    assert not seen["train"] & seen["val"] and seen["val"] <= every and seen["train"] <= every
    assert Counter(label for label, _ in seen["val"]) == {
        label: min(max(1, round(0.4 * count)), count - 1) for label, count in enumerate(counts)
    }
    assert len(loaders.train.dataset) + len(loaders.val.dataset) == len(every)
