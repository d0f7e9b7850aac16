"""Folders as people have them: every picture used once, or one message that says what is wrong."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from conftest import save_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder

from helpers import assets, data
from helpers.pictures.decode import open_picture
from helpers.pictures.folders import Listing, list_pictures, list_splits
from helpers.pictures.splits import split_per_class

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def root(tmp_path):
    """Two splits, two classes, 3 and 2 pictures in each; the folder has an uncommon name."""
    root = tmp_path / "pictures of Zoë 🐝"
    for i, split in enumerate(("train", "val")):
        for j, name in enumerate(("ants", "bees")):
            for k in range(3 - i):
                save_picture(root / split / name / f"{k}.png", seed=100 * i + 10 * j + k)
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


def pixels(loader):
    return [picture.numpy().tobytes() for picture in loader.dataset.pictures]


WHOLE = [
    f"{split}/{name}/{k}.png"
    for split, count in (("train", 3), ("val", 2))
    for name in ("ants", "bees")
    for k in range(count)
]
# What may lie in a class besides, and is used: an odd name, a folder inside.
USED = [
    "photo of an ant.png", "UPPER.PNG", "Foto über Ameisen.png", "蚂蚁.png", "🐜🐜.png", "-rf.png",
    "a.b.c.png", "100%.png", "a'b\"c;&$.png", "new\nline.png", "a" * 251 + ".png", "Thumbs.png",
    "deep/er/photo.png", "folder.jpg/photo.png", "deep/" * 20 + "photo.png", "test/photo.png",
]  # fmt: skip
HIDDEN = [
    "train/ants/.DS_Store", "train/ants/Thumbs.db", "train/ants/._0.png", "train/desktop.ini",
    "train/ants/.ipynb_checkpoints/0.png", "train/.ants/0.png", ".git/config.png",
    "train/__MACOSX/ants/._0.png", "__MACOSX/train/ants/0.png", "train/bees/__MACOSX/0.jpg",
    "train/$RECYCLE.BIN/a.png", "System Volume Information/a", "train/lost+found/x.jpg",
    "train/ants/@eaDir/0.png/THUMB_M.jpg", "val/bees/.hidden.jpg", "val/ants/imageNotFound.gif",
]  # fmt: skip
UNUSED = [
    "train/ants/IMG_1.NEF", "train/ants/README.txt", "train/ants/moving.gif",
    "train/ants/no_suffix", "train/ants/photo.jpg.part", "train/ants/deep/labels.csv",
    "train/labels.csv", "val/bees/IMG_1.MOV", "val/loose.jpg",
]  # fmt: skip


def test_every_picture_is_listed_once_in_order_whatever_its_name(root):
    listing = list_splits(root)
    assert names(listing) == WHOLE
    assert listing.labels == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert listing.splits == ["train"] * 6 + ["val"] * 4
    assert listing.class_names == ["ants", "bees"] and listing.unused == []
    added = [save_picture(root / "train" / "ants" / n, seed=i) for i, n in enumerate(USED, 300)]
    assert Counter(names(list_splits(root))) == Counter(
        [*WHOLE, *(f"train/ants/{name}" for name in USED)]
    )
    train = data.image_folders(root, size=30, augment=False).train
    assert {picture.transpose(2, 0, 1).tobytes() for picture in added} < {*pixels(train)}
    assert Counter(train.dataset.labels) == {0: 3 + len(USED), 1: 3}


def test_what_systems_keep_is_passed_over_and_what_else_is_not_used_is_named(root):
    for name in HIDDEN + UNUSED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"nothing for people")
    listing = list_splits(root)
    assert names(listing) == WHOLE
    assert [path.relative_to(root).as_posix() for path in listing.unused] == UNUSED
    with pytest.warns(UserWarning, match=f"not used.*; 9 such: {', '.join(UNUSED)}$"):
        loaders = data.image_folders(root, size=8)
    assert loaders.class_names == ["ants", "bees"]
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
    "val misnamed": (["-val", "validation/"], FileNotFoundError, r"but \['train', 'validation'\]"),
    "a file for a split": (["-val", "val"], FileNotFoundError, "no folder val"),
    "train misnamed": (
        ["-train", "training/"], ValueError, r"\['training', 'val'\], which by .* no classes: give",
    ),
    "capitals": ([*BARE, "Train/", "Val/"], ValueError, r"\['Train', 'Val'\], which by"),
    "a level too high": ([*BARE, "training_set/a/", "test_set/b/"], ValueError, "are no classes"),
    "three of them": (
        [*BARE, "seg_train/a/1.jpg", "seg_test/a/", "seg_pred/"], ValueError, "are no classes",
    ),
    "not pictures alone": ([*BARE, "images/a.jpg", "annotations/a.png"], ValueError, "no classes"),
    "nothing": (BARE, ValueError, "has too few class folders"),
    "one level too high": ([*BARE, "data/train/"], ValueError, r"few .* apart, \['data'\]"),
    "no classes": (["-train", "train/1.jpg"], ValueError, "train has too few class folders"),
    "one class": (["-train/bees", "-val/bees"], ValueError, r"few .* apart, \['ants'\]"),
    "a class of hidden files": (["train/c/.DS_Store"], ValueError, r"no picture .*\['c'\]: remove"),
    "a class of no pictures": (["val/c/1.gif"], ValueError, r"no picture .*\['c'\]: remove"),
    "classes that differ": (
        ["-val/bees", "val/wasps/1.png"], ValueError,
        r"val has the classes.*: \['bees', 'wasps'\] are in one split only",
    ),
    "a class only in test": (
        ["test/ants/1.png", "test/bees/1.png", "test/c/1.png"], ValueError,
        r"test has the classes .*: \['c'\] are in one",
    ),
    "broken in two splits": (
        ["train/ants/x.HEIC", "val/bees/y.jpg"], ValueError,
        r"2 of 12 pictures.*\n.*ants/x.HEIC: .*\n.*bees/y.jpg: ",
    ),
}  # fmt: skip


def test_what_may_be_no_class_is_taken_for_one_with_a_warning(classes):
    for old, new in (("ants", "test"), ("bees", "Validation-set"), ("wasps", "Trains")):
        (classes / old).rename(classes / new)
    with pytest.warns(UserWarning, match="no class, but .*; 2 such: Validation-set, test$"):
        loaders = data.image_folders(classes, size=8)
    assert loaders.class_names == ["Trains", "Validation-set", "test"]


@pytest.mark.parametrize("inside", [("images", "masks"), ("fresh", "rotten")])
def test_classes_that_all_hold_the_same_folders_are_told(tmp_path, inside):
    for i, name in enumerate(["a/", "a/", "b/", "b/"]):
        save_picture(tmp_path / name / inside[i % 2] / "1.png", seed=i)
    with pytest.warns(UserWarning, match=f"the classes themselves.; 2 such: {', '.join(inside)}$"):
        data.image_folders(tmp_path, size=8)


def test_names_of_one_class_in_two_alphabets_of_accents_are_one(root):
    """macOS writes é as two characters, others as one."""
    (root / "train" / "ants").rename(root / "train" / "cafe\u0301")
    (root / "val" / "ants").rename(root / "val" / "caf\u00e9")
    loaders = data.image_folders(root, size=8)
    assert loaders.class_names == ["bees", "caf\u00e9"]
    assert Counter(loaders.val.dataset.labels) == {0: 2, 1: 2}


@pytest.mark.parametrize(("steps", "error", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_folder_is_said(root, steps, error, message):
    change(root, steps)
    with pytest.raises(error, match=message):
        data.image_folders(root, size=8)


def test_a_root_is_found_at_home_or_named_if_it_is_no_folder(root, monkeypatch):
    with pytest.raises(NotADirectoryError, match=r"no folder .*nowhere: give one"):
        data.image_folders(root / "nowhere")
    monkeypatch.chdir(root)
    with pytest.raises(NotADirectoryError, match=r"Zoë 🐝/nowhere: "):  # where it was looked for
        data.image_folders("nowhere")
    (root / "pictures.zip").write_bytes(b"PK")
    with pytest.raises(NotADirectoryError, match=r"pictures.zip: .*unpack"):
        data.image_folders("pictures.zip")
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("USERPROFILE", str(root.parent))
    assert len(data.image_folders(f"~/{root.name}", size=8).train.dataset) == 6


def test_links_are_followed_once(root, tmp_path):
    save_picture(tmp_path / "elsewhere" / "1.png", seed=50)
    (root / "train" / "ants" / "link").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "ants" / "up").symlink_to(root / "train" / "ants")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere")
    (root / "train" / "ants" / "one.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    found = names(list_splits(root))
    assert Counter(found) == Counter([*WHOLE, "train/ants/link/1.png", "train/ants/one.png"])
    (root / "train" / "ants" / "gone.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"1 of 13 .*\n.*gone.png: it can't be read"):
        data.image_folders(root)


def test_the_same_files_as_torchvisions_are_listed(root):
    """Of plain folders, and of the book's own; and in the same order."""
    added = ["deep/1.jpg", "deep/er/2.JPG", "z.bmp", "B.webp", "a.tiff", "10.png"]
    for k, name in enumerate(added):
        save_picture(root / "train" / "ants" / name, seed=200 + k)
    for folder in (root / "train", assets.ants_bees("rendered").path / "train"):
        theirs, ours = ImageFolder(folder), list_pictures(folder)
        assert [*zip(map(str, ours.paths), ours.labels, strict=True)] == theirs.samples
        assert ours.class_names == theirs.classes


def test_copies_in_two_splits_or_two_classes_are_reported(root):
    """The same bytes under another name, and the same pixels in another format."""
    shutil.copy(root / "train" / "ants" / "0.png", root / "train" / "ants" / "copy.png")
    assert len(data.image_folders(root, size=8).train.dataset) == 7  # nobody's business
    shutil.copy(root / "train" / "ants" / "0.png", root / "val" / "ants" / "copy.png")
    Image.open(root / "train" / "bees" / "1.png").save(root / "val" / "bees" / "again.bmp")
    expected = "2 such: val/ants/copy.png = train/ants/0.png, val/bees/again.bmp = train/bees/1.png"
    with pytest.warns(UserWarning, match=f"in two splits, which flatters .*; {expected}$"):
        data.image_folders(root, size=8)
    for k in range(10):
        save_picture(root / "train" / "ants" / f"x{k:02}.png", seed=300 + k)
        save_picture(root / "val" / "ants" / f"y{k:02}.png", seed=300 + k)
    with pytest.warns(UserWarning, match=r"12 such: val/ants/copy.* = train/ants/x08.png, and 2"):
        data.image_folders(root, size=8)
    shutil.rmtree(root / "val" / "ants")
    shutil.copytree(root / "train" / "ants", root / "val" / "ants")
    shutil.copy(root / "train" / "ants" / "0.png", root / "train" / "bees" / "copy.png")
    wrong = r"two classes, of which one is wrong; 1 such: train/bees/copy.png = train/ants/0.png$"
    with pytest.warns(UserWarning, match="two splits"), pytest.warns(UserWarning, match=wrong):
        data.image_folders(root, size=8)


def test_classes_alone_are_split_by_the_seed_and_nothing_else(classes, monkeypatch):
    """The first of each class in an order from one generator; written out here again."""
    paths = sorted(classes.glob("*/*.png"))
    generator = torch.Generator().manual_seed(3)
    expected = set()
    for name, count in (("ants", 2), ("bees", 1), ("wasps", 1)):
        members = [path for path in paths if path.parent.name == name]
        order = torch.randperm(len(members), generator=generator).tolist()
        expected |= {members[i] for i in order[:count]}
    loaders = data.image_folders(classes, size=8, seed=3)
    assert {*pixels(loaders.val)} == {
        open_picture(path, short_side=16).numpy().tobytes() for path in expected
    }
    assert loaders.class_names == ["ants", "bees", "wasps"] and loaders.test is None
    assert Counter(loaders.train.dataset.labels) == {0: 8, 1: 4, 2: 1}
    assert len({*pixels(loaders.train), *pixels(loaders.val)}) == 17
    assert Counter(loaders.val.dataset.labels) == {0: 2, 1: 1, 2: 1}
    more = data.image_folders(classes, size=8, val_share=0.3)
    assert Counter(more.val.dataset.labels) == {0: 3, 1: 2, 2: 1}  # of 5, 1.5 is rounded to 2
    listed = Path.iterdir  # as another file system would list it
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(listed(path))))
    torch.manual_seed(9)
    assert pixels(data.image_folders(classes, size=8, seed=3).val) == pixels(loaders.val)
    assert pixels(data.image_folders(classes, size=8, seed=4).val) != pixels(loaders.val)
    for share in (0, 1, -0.2, 20):
        with pytest.raises(ValueError, match=f"val_share is {share}: give a share between 0 and 1"):
            data.image_folders(classes, size=8, val_share=share)


def test_copies_stay_on_one_side_and_those_in_two_classes_are_for_training(classes):
    for k in range(10):
        shutil.copy(classes / "ants" / f"{k}.png", classes / "ants" / f"copy of {k}.png")
    for seed in range(10):
        loaders = data.image_folders(classes, size=8, seed=seed)
        assert not {*pixels(loaders.train)} & {*pixels(loaders.val)}
        assert Counter(loaders.val.dataset.labels) == {0: 4, 1: 1, 2: 1}
    shutil.copy(classes / "ants" / "0.png", classes / "bees" / "copy.png")
    shared = open_picture(classes / "ants" / "0.png", short_side=16).numpy().tobytes()
    for seed in range(10):
        with pytest.warns(UserWarning, match="two classes"):
            loaders = data.image_folders(classes, size=8, seed=seed, val_share=0.9)
        assert pixels(loaders.train).count(shared) == 3 and shared not in pixels(loaders.val)


def test_too_few_pictures_to_split_are_named(classes):
    (classes / "wasps" / "1.png").unlink()
    for k in range(1, 5):
        shutil.copy(classes / "bees" / "0.png", classes / "bees" / f"{k}.png")
    with pytest.raises(ValueError, match=r"too few pictures .* in the classes \['bees', 'wasps'\]"):
        data.image_folders(classes, size=8)


def drawn(labels, keys, share, seed):
    """Split pictures with these labels; those with the same key are copies."""
    class_names = [*"abcd"[: max(labels) + 1]]
    listing = Listing(Path(), [Path()] * len(labels), labels, [], class_names, [])
    copies = [[i for i, other in enumerate(keys) if other == key] for key in dict.fromkeys(keys)]
    return split_per_class(listing, copies, share, seed)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_any_split_is_stratified_and_keeps_copies_together(rows, share, seed):
    labels, keys = [label for label, _ in rows], [key for _, key in rows]
    classes_of = {key: {label for label, other in rows if other == key} for key in keys}
    of_class = [{key for label, key in rows if label == i} for i in range(max(labels) + 1)]
    own = [{key for key in found if len(classes_of[key]) == 1} for found in of_class]
    try:
        splits = drawn(labels, keys, share, seed)
    except ValueError:
        assert any(len(found) < 2 for found in of_class) or not all(own)
        return
    assert len(set(zip(keys, splits, strict=True))) == len(classes_of)
    for label, found in enumerate(of_class):
        wanted = min(max(1, round(share * len(found))), len(found) - 1)
        drawn_keys = {key for row, key in enumerate(keys) if splits[row] == "val"}
        assert len(drawn_keys & found) == min(wanted, len(own[label]))
    assert splits == drawn(labels, keys, share, seed)
