"""Which edition is in use, and how photographs get in: as a whole, verified, or not at all."""

import tarfile
import zipfile

import pytest

from helpers import assets
from tools.photographs import commands, own, sources
from tools.photographs.bring import bring


@pytest.fixture
def stick(tmp_path, monkeypatch):
    """A folder with an archive of four small files, which stand for the 398."""
    folder = tmp_path / "stick"
    files = {f"{split}/{name}/1.jpg": f"{split} {name}"
             for split in ("train", "val") for name in ("ants", "bees")}  # fmt: skip
    folder.mkdir()
    with zipfile.ZipFile(folder / "hymenoptera_data.zip", "w") as archive:
        for path, content in files.items():
            archive.writestr(f"hymenoptera_data/{path}", content)
    with zipfile.ZipFile(folder / "hymenoptera_data.zip") as archive:
        archive.extractall(tmp_path / "expected")
    digest = assets.sha256_of(tmp_path / "expected" / "hymenoptera_data")
    monkeypatch.setattr(assets, "HYMENOPTERA_SHA256", digest)
    return folder


def data_files():
    """What is in the data folder but archives, and the lock that keeps two processes apart."""
    names = sorted(path.name for path in assets.photographs_folder().iterdir())
    return [name for name in names if name not in ("archives", own.LOCK)]


def test_without_photographs_the_rendered_edition_is_in_use():
    for name in assets.RENDERED:
        asset = assets.resolve(name)
        assert asset.edition == "rendered" and asset.path.exists()


def test_bring_makes_photographs_the_edition_in_use_asset_by_asset(stick):
    bring("ants_bees", str(stick))
    asset = assets.ants_bees()
    assert asset.edition == "photos"
    assert (asset.path / "val" / "bees" / "1.jpg").read_text() == "val bees"
    assert assets.backbone().edition == "rendered"
    assert assets.ants_bees("rendered").edition == "rendered"
    assert data_files() == ["hymenoptera_data"]


def test_the_environment_chooses_and_the_argument_overrules_it(stick, monkeypatch):
    bring("ants_bees", str(stick))
    monkeypatch.setenv("EDITION", "rendered")
    assert assets.ants_bees().edition == "rendered"
    assert assets.ants_bees("auto").edition == "photos"
    monkeypatch.setenv("EDITION", "photographs")
    with pytest.raises(ValueError, match="choose one of auto, rendered, photos"):
        assets.ants_bees()


def test_photos_refuses_to_run_without_any_and_takes_what_is_there(stick):
    with pytest.raises(FileNotFoundError, match="make data"):
        assets.backbone("photos")
    bring("ants_bees", str(stick))
    assert assets.ants_bees("photos").edition == "photos"
    assert assets.backbone("photos").edition == "rendered"


def test_bringing_twice_does_nothing(stick):
    assert bring("ants_bees", str(stick)).startswith("brought")
    target = assets.photographs_folder() / "hymenoptera_data"
    before = target.stat().st_mtime_ns
    assert bring("ants_bees", str(stick)) == "is there already"
    assert target.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["another file", "truncated", "changed"])
def test_a_damaged_archive_leaves_nothing_behind(stick, damage):
    archive = stick / "hymenoptera_data.zip"
    if damage == "changed":
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr("hymenoptera_data/train/ants/2.jpg", "one more")
    else:
        archive.write_bytes(b"no zip" if damage == "another file" else archive.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged"):
        bring("ants_bees", str(stick))
    assert data_files() == []
    assert assets.ants_bees().edition == "rendered"


def test_photographs_that_were_changed_are_not_used_and_are_replaced(stick):
    bring("ants_bees", str(stick))
    photo = assets.photographs_folder() / "hymenoptera_data" / "train" / "ants" / "1.jpg"
    photo.write_text("train ants!")
    assert assets.ants_bees().edition == "rendered"
    bring("ants_bees", str(stick))
    assert photo.read_text() == "train ants"
    photo.unlink()
    assert assets.ants_bees().edition == "rendered"


def test_what_systems_leave_in_a_folder_does_not_count(stick):
    bring("ants_bees", str(stick))
    folder = assets.photographs_folder() / "hymenoptera_data" / "train"
    (folder / ".cache").mkdir()
    for name in (".DS_Store", "Thumbs.db", ".cache/x"):
        (folder / name).write_text("x")
    assert assets.ants_bees().edition == "photos"


def test_an_archive_that_climbs_out_of_its_folder_is_refused(stick, tmp_path, monkeypatch):
    unknown = sources.SOURCES["cifar10"]._replace(hash=None)
    monkeypatch.setitem(sources.SOURCES, "cifar10", unknown)
    with tarfile.open(stick / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(stick / "hymenoptera_data.zip", arcname="../../escaped")
    with pytest.raises(ValueError, match="not safe"):
        bring("cifar10", str(stick))
    assert not list(tmp_path.rglob("escaped"))


def test_weights_are_known_by_the_hash_in_their_name(stick):
    (stick / "resnet18-f37072fd.pth").write_text("not those weights")
    with pytest.raises(ValueError, match="damaged or another file"):
        bring("backbone", str(stick))
    assert data_files() == []


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["assets", *arguments])
    return commands.main()


def test_the_command_brings_what_is_there_and_says_what_is_not(stick, monkeypatch, capsys):
    assert run(monkeypatch, "bring", "--from", str(stick)) == 0
    out = capsys.readouterr().out
    assert "photographs of ants and bees: brought to" in out
    assert "CIFAR-10: left out, cifar-10-python.tar.gz is not in" in out
    assert run(monkeypatch, "status") == 0
    assert "ants_bees  photos" in capsys.readouterr().out


def test_the_command_fails_when_nothing_came_or_something_was_damaged(
    stick, monkeypatch, capsys, tmp_path
):
    assert run(monkeypatch, "bring", "--from", str(tmp_path / "nowhere")) == 1
    assert "Nothing was brought" in capsys.readouterr().err
    (stick / "resnet18-f37072fd.pth").write_text("not those weights")
    assert run(monkeypatch, "bring", "--from", str(stick)) == 1
    assert "ResNet-18 pretrained on ImageNet: failed" in capsys.readouterr().err


def test_the_size_of_pictures_suits_the_backbone_in_use(monkeypatch):
    assert assets.input_size() == 96
    monkeypatch.setattr(assets, "has_photographs", lambda name: name == "backbone")
    assert assets.input_size() == 224
