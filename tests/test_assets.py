"""Which edition is in use: photographs where they are whole, else the rendered files, verified."""

import hashlib
import shutil

import pytest

from helpers import assets


@pytest.fixture
def photographs(monkeypatch):
    """Four small files, which stand for the 398."""
    folder = assets.photographs_folder() / "hymenoptera_data"
    for split in ("train", "val"):
        for name in ("ants", "bees"):
            (folder / split / name).mkdir(parents=True)
            (folder / split / name / "1.jpg").write_text(f"{split} {name}")
    mine = assets.PHOTOS["ants_bees"]._replace(sha256=assets.sha256_of(folder))
    monkeypatch.setitem(assets.PHOTOS, "ants_bees", mine)
    return folder


def test_each_asset_is_rendered_unless_its_photographs_are_there(photographs, capsys):
    assert assets.ants_bees().edition == "photos" and assets.ants_bees().path == photographs
    assert assets.ants_bees("rendered").edition == "rendered"
    assert assets.backbone().edition == assets.cifar10().edition == "rendered"
    assert all(assets.resolve(name, "rendered").path.exists() for name in assets.RENDERED)
    embedded = [path for path in assets.EMBEDDED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in embedded) < 60e6
    assets.show_editions()
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["ants_bees", "photos"], ["cifar10", "rendered"], ["backbone", "rendered"],
    ]  # fmt: skip


def test_the_environment_chooses_and_the_argument_overrules_it(photographs, monkeypatch):
    monkeypatch.setenv("EDITION", "rendered")
    assert assets.ants_bees().edition == "rendered"
    assert assets.ants_bees("auto").edition == "photos"
    monkeypatch.setenv("EDITION", "photographs")
    with pytest.raises(ValueError, match="choose one of auto, rendered, photos"):
        assets.ants_bees()


def test_photos_takes_what_is_there_and_refuses_to_run_without_any(photographs):
    assert assets.ants_bees("photos").edition == "photos"
    assert assets.backbone("photos").edition == "rendered"
    shutil.rmtree(photographs)
    with pytest.raises(FileNotFoundError, match="make data"):
        assets.backbone("photos")


def test_changed_photographs_are_not_used_and_what_systems_leave_does_not_count(photographs):
    (photographs / "train" / ".cache").mkdir()
    for name in (".DS_Store", "Thumbs.db", ".cache/x"):
        (photographs / "train" / name).write_text("x")
    assert assets.ants_bees().edition == "photos"
    photo = photographs / "train" / "ants" / "1.jpg"
    photo.write_text("train ants!")
    assert assets.ants_bees().edition == "rendered"
    photo.unlink()
    assert assets.ants_bees().edition == "rendered"


def test_the_hash_of_a_folder_is_that_of_a_list_of_its_files(photographs):
    """As `find -type f | sort | xargs sha256sum | sha256sum` gives it, in the C locale."""
    lines = [
        f"{hashlib.sha256(f'{split} {name}'.encode()).hexdigest()}  {split}/{name}/1.jpg\n"
        for split in ("train", "val")
        for name in ("ants", "bees")
    ]
    assert assets.sha256_of(photographs) == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("damage", ["a byte", "cut off", "gone", "one more", "another name"])
def test_a_changed_rendered_file_is_refused(damage, tmp_path, monkeypatch):
    copy = tmp_path / "cifar10"
    shutil.copytree(assets.cifar10("rendered").path, copy)
    copied = assets.RENDERED["cifar10"]._replace(target=str(copy))
    monkeypatch.setitem(assets.RENDERED, "cifar10", copied)
    assert assets.cifar10().path == copy
    file = copy / "test" / "frog.webp"
    if damage == "a byte":
        content = bytearray(file.read_bytes())
        content[-9] ^= 1
        file.write_bytes(content)
    elif damage == "cut off":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "one more":
        shutil.copy(file, copy / "test" / "toad.webp")
    else:
        file.unlink() if damage == "gone" else file.rename(copy / "test" / "toad.webp")
    with pytest.raises(ValueError, match=r"cifar10 is missing or changed: take it"):
        assets.cifar10()
    shutil.rmtree(copy)
    with pytest.raises(ValueError, match="cifar10 is missing or changed"):
        assets.cifar10()


def test_the_backbone_in_use_decides_its_weights_and_the_size_of_pictures(monkeypatch):
    assert assets.weights("resnet18") == assets.backbone("rendered").path
    assert assets.weights("tf_efficientnet_lite0").name == "efficientnet_lite0_imagenet.safetensors"
    assert assets.weights("convnext_atto") is None
    assert assets.input_size() == 96
    monkeypatch.setattr(assets, "has_photographs", lambda name: name == "backbone")
    assert assets.input_size() == 224
    assert assets.weights("resnet18") == assets.photographs_folder() / "resnet18-f37072fd.pth"
