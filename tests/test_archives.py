"""Archives that want out of their folder, are too large, or are damaged; and damaged data sets."""

import contextlib
import io
import ntpath
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib

import pytest
import stand_ins
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import assets
from tools.photographs.unpack import is_inside, unpack

LIMITS = {"max_files": 5, "max_bytes": 10_000}
UNSAFE = ["../out", "a/../../out", "/etc/out", "..", "\\out", "a\\..\\out", "C:out", "C:/out",
          "a\nb", "a?b", "con|", "a\u202eb"]  # fmt: skip


def write_zip(path, members, kind=0):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo("x")
            info.filename, info.external_attr = name, (kind | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def write_tar(path, members, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content), kind
            archive.addfile(info, io.BytesIO(content))
    return path


WRITERS = [("a.zip", write_zip), ("a.tar.gz", write_tar)]


def files_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(("file", "write"), WRITERS)
def test_files_come_out_as_they_went_in(file, write, tmp_path):
    content = {"a/b/one.txt": b"1" * 5000, "a/zwölf ☕.txt": b"", "three": bytes(range(256))}
    unpack(write(tmp_path / file, content.items()), tmp_path / "out", **LIMITS)
    assert files_below(tmp_path / "out") == content


@pytest.mark.parametrize(("file", "write"), WRITERS)
@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_leads_out_is_refused(name, file, write, tmp_path):
    (tmp_path / "deep" / "folder").mkdir(parents=True)
    archive = write(tmp_path / file, [(name, b"content")])
    with pytest.raises(ValueError, match=r"not safe|damaged|no plain file"):
        unpack(archive, tmp_path / "deep" / "folder", **LIMITS)
    assert files_below(tmp_path / "deep") == {}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_a_tar_with_a_link_or_a_device_is_refused(kind, tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ValueError, match="'link', which is no plain file"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", **LIMITS)


def test_a_zip_with_a_link_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("link", b"/etc/passwd")], kind=stat.S_IFLNK)
    with pytest.raises(ValueError, match="'link', which is no plain file"):
        unpack(archive, tmp_path / "out", **LIMITS)


@pytest.mark.parametrize(("file", "write"), WRITERS)
@pytest.mark.parametrize(
    "members", [[(f"{i}", b"") for i in range(6)], [("zeros", bytes(10_001))],
                [("a", bytes(6000)), ("b", bytes(6000))]], ids=["many", "large", "together"],
)  # fmt: skip
def test_more_than_expected_is_refused(members, file, write, tmp_path):
    with pytest.raises(ValueError, match="more than 5 files or 10000 bytes"):
        unpack(write(tmp_path / file, members), tmp_path / "out", **LIMITS)


@pytest.mark.parametrize(("file", "write"), WRITERS)
def test_the_same_name_twice_is_refused(file, write, tmp_path):
    for names in (("a", "A"), ("a/b", "a//b"), ("a/b", "./A/b"), ("a", "A/b"), ("a/b", "a")):
        archive = write(tmp_path / file, [(name, b"content") for name in names])
        with pytest.raises(ValueError, match=r"comes twice|as a file and as a folder"):
            unpack(archive, tmp_path / "out", **LIMITS)


def test_a_bomb_is_not_even_read(tmp_path):
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**27  # a header that tarfile reads into memory
    with (tmp_path / "a.tar.gz").open("wb") as file:
        file.write(bomb.compress(header.tobuf()))
        for _ in range(128):
            file.write(bomb.compress(bytes(2**20)))
        file.write(bomb.flush())
    with pytest.raises(ValueError, match="more than 10000 bytes"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", **LIMITS)


def test_the_checksum_at_the_end_of_a_tar_is_looked_at(tmp_path):
    archive = write_tar(tmp_path / "a.tar.gz", [("zeros", bytes(9000))])
    content = bytearray(archive.read_bytes())
    content[-8] ^= 1  # the first byte of gzip's checksum
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        unpack(archive, tmp_path / "out", **LIMITS)


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", [("zeros", bytes(9000))])
    content = archive.read_bytes()
    archive.write_bytes(content.replace((9000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(ValueError, match=r"damaged|not as long"):
        unpack(archive, tmp_path / "out", **LIMITS)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(max_size=30))
def test_a_name_that_is_taken_for_safe_stays_inside(name):
    if is_inside(name):
        root = "/some/folder"
        assert posixpath.normpath(posixpath.join(root, name)).startswith(root + "/")
        windows = ntpath.normpath(ntpath.join("C:\\root", name))
        assert windows.startswith("C:\\root\\") and windows.count(":") == 1


@pytest.mark.parametrize(("file", "write"), WRITERS)
@settings(deadline=None, derandomize=True, max_examples=250)
@given(data=st.data())
def test_a_damaged_archive_gives_the_right_files_or_a_value_error(
    file, write, data, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("fuzz")
    members = {"a/one": bytes(range(256)) * 8, "a/two": b"two" * 100}
    archive = write(folder / file, members.items())
    content = bytearray(archive.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    archive.write_bytes(content[: data.draw(st.integers(0, len(content)))] or content)
    with contextlib.suppress(ValueError):
        unpack(archive, folder / "out", **LIMITS)
    assert all(path.is_relative_to(folder) for path in folder.rglob("*"))
    shutil.rmtree(folder)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(name=st.sampled_from(["a.zip", "a.tar.gz"]), content=st.binary(max_size=2000))
def test_random_bytes_are_a_value_error(name, content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError):
        unpack(folder / name, folder / "out", **LIMITS)


@pytest.mark.parametrize(("name", "count"), [("ants_bees", 20), ("cifar10", 40), ("backbone", 10)])
def test_every_corruption_of_the_rendered_edition_is_found(name, count, tmp_path, monkeypatch):
    stand_ins.find_damage_of_the_rendered(name, count, tmp_path, monkeypatch.setitem)


@pytest.mark.parametrize("name", list(assets.PHOTOS))
def test_every_corruption_of_the_photographs_is_found(name, tmp_path, monkeypatch):
    stand_ins.find_damage_of_the_photographs(name, 10, tmp_path, monkeypatch.setattr)
