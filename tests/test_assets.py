"""Which edition is in use, and how photographs get in: as a whole, verified, or not at all."""

import zipfile

import pytest

from helpers import assets
from tools.photographs import bring


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


def test_photographs_that_were_changed_are_not_used(stick):
    bring("ants_bees", str(stick))
    photo = assets.photographs_folder() / "hymenoptera_data" / "train" / "ants" / "1.jpg"
    photo.write_text("train ants!")
    assert assets.ants_bees().edition == "rendered"
    photo.unlink()
    assert assets.ants_bees().edition == "rendered"


def test_what_systems_leave_in_a_folder_does_not_count(stick):
    bring("ants_bees", str(stick))
    folder = assets.photographs_folder() / "hymenoptera_data" / "train"
    (folder / ".cache").mkdir()
    for name in (".DS_Store", "Thumbs.db", ".cache/x"):
        (folder / name).write_text("x")
    assert assets.ants_bees().edition == "photos"


def test_the_size_of_pictures_suits_the_backbone_in_use(monkeypatch):
    assert assets.input_size() == 96
    monkeypatch.setattr(assets, "has_photographs", lambda name: name == "backbone")
    assert assets.input_size() == 224
