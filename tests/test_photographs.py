"""Bringing the photographs: whole and verified, or not at all; nothing of the user's is touched."""

import errno
import io
import random
import shutil
import stat
import tarfile
import urllib.error
import urllib.request
import zipfile
from http.server import ThreadingHTTPServer

import pytest
import stand_ins

from helpers import assets
from tools import photographs
from tools.photographs import bring, remove

NAMES = list(assets.PHOTOS)


@pytest.fixture
def stick(tmp_path, monkeypatch):
    """A folder with the three archives."""
    known = stand_ins.make_archives(tmp_path / "stick")
    stand_ins.known_by(known, monkeypatch.setattr)
    return tmp_path / "stick"


@pytest.fixture
def folder():
    """Our folder, which is not there yet."""
    return assets.photographs_folder()


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["photographs", *map(str, arguments)])
    return photographs.main()


@pytest.mark.parametrize("way", ["folder", "server", "authors"])
def test_what_was_brought_is_whole_and_goes_without_a_trace(way, stick, folder, monkeypatch):
    with stand_ins.serving(stick) as address:
        for name, known in photographs.SOURCES.items():
            there = known._replace(url=f"{address}/{known.archive}")
            monkeypatch.setitem(photographs.SOURCES, name, there)
        source = {"folder": str(stick), "server": address, "authors": None}
        for name in NAMES:
            assert bring(name, source[way]).startswith("brought to")
    assert all(map(assets.has_photographs, NAMES))
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["archives", *(photos.target for photos in assets.PHOTOS.values())]
    )
    assert stand_ins.listing(folder / "archives") == stand_ins.listing(stick)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert {bring(name, "nowhere") for name in NAMES} == {"is there already"}
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    shutil.rmtree(folder / "hymenoptera_data")
    bring("ants_bees", "nowhere")  # from the archive that was kept
    (folder / "hymenoptera_data" / "train" / ".DS_Store").write_text("made by macOS")
    assert remove() == [] and not folder.exists() and folder.parent.exists()
    assert remove() == []


def test_the_server_serves_archives_and_a_stick_and_nothing_else(stick, tmp_path):
    stand_ins.write(tmp_path / "outside.txt", "secret")
    stand_ins.write(stick / "secret.txt", "secret")
    stand_ins.write(stick / "index.html", "save install.py")
    stand_ins.write(stick / "wheels" / "a b+1.whl", "a wheel")
    (stick / "link.txt").symlink_to(tmp_path / "outside.txt")
    lines = [f"{0:064}  {name}\n" for name in ("index.html", "wheels/a b+1.whl", "gone.txt",
             "link.txt", "../outside.txt", f"{tmp_path}/outside.txt")]  # fmt: skip
    forbidden = ["secret.txt", "gone.txt", "link.txt", "../outside.txt", "%2e%2e/outside.txt",
                 f"{tmp_path}/outside.txt", "wheels", "wheels/"]  # fmt: skip
    with stand_ins.serving(stick) as address:

        def get(path):
            with urllib.request.urlopen(f"{address}/{path}") as answer:
                return answer.read().decode()

        def assert_refused(*paths):
            for path in paths:
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    get(path)

        assert_refused("", "SHA256SUMS", "wheels/a%20b%2B1.whl", *forbidden)
        stand_ins.write(stick / "SHA256SUMS", "")  # a stick that is not finished
        assert_refused("", "SHA256SUMS")
        stand_ins.write(stick / "SHA256SUMS", "".join(lines))
        assert get("") == "save install.py" and get("wheels/a%20b%2B1.whl") == "a wheel"
        assert get("SHA256SUMS") == "".join(lines)
        assert_refused(*forbidden)


@pytest.mark.parametrize("name", NAMES)
def test_of_what_is_damaged_nothing_is_placed(name, stick, folder):
    archive = stick / photographs.SOURCES[name].archive
    content, numbers, harmless = archive.read_bytes(), random.Random(0), 0
    for _ in range(20):
        damaged = bytearray(content)
        damaged[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
        archive.write_bytes(damaged[: numbers.choice([-1, len(content)])])
        try:
            bring(name, str(stick))
        except (ValueError, OSError) as error:
            assert str(archive) in str(error)
            assert list(stand_ins.listing(folder)) == ["archives"]
        else:  # a byte that says nothing, such as a date in a .zip
            assert assets.has_photographs(name) and remove() == []
            harmless += 1
    assert harmless < (10 if name == "ants_bees" else 1)
    with zipfile.ZipFile(archive, "w") as whole:  # but of something else
        whole.writestr("hymenoptera_data/train/ants/1.jpg", "another ant")
    with pytest.raises(ValueError, match="damaged or another file"):
        bring(name, str(stick))


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "..", "\\out", "C:out", "link"])
def test_nothing_of_a_zip_is_written_outside_its_folder(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        info.external_attr = (stat.S_IFLNK if name == "link" else 0) << 16
        archive.writestr(info, "../..")
    photographs.unpack(tmp_path / "a.zip", tmp_path / "deep")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "deep"]
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("fault", ["../out", "link", "device"])
def test_a_tar_that_leads_out_of_its_folder_is_not_unpacked(fault, tmp_path):
    kinds = {"link": tarfile.SYMTYPE, "device": tarfile.CHRTYPE}
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo(fault)
        info.type, info.linkname = kinds.get(fault, tarfile.REGTYPE), "../../a.tar.gz"
        archive.addfile(info, io.BytesIO())
    with pytest.raises(tarfile.TarError):
        photographs.unpack(tmp_path / "a.tar.gz", tmp_path / "deep")
    assert list(stand_ins.listing(tmp_path)) == ["a.tar.gz", "deep"]


# ---- the user's own things -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "place"),
    [("folder", "archives"), ("folder", "hymenoptera_data"), ("file", ""), ("file", "archives"),
     ("link", ""), ("link", "archives"), ("link", "hymenoptera_data"), ("dangling link", ""),
     ("dangling link", "hymenoptera_data")],
)  # fmt: skip
def test_what_lies_in_its_place_is_named_and_left(kind, place, stick, folder, tmp_path):
    path, mine = folder / place, tmp_path / "mine"
    for name in ("hymenoptera_data.zip", "train/ants/mine.jpg"):
        stand_ins.write(mine / name, f"my {name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        shutil.copytree(mine, path)
    else:
        path.symlink_to(mine if kind == "link" else "nowhere")
    before = stand_ins.listing(tmp_path)
    with pytest.raises((OSError, ValueError), match=str(path)):
        bring("ants_bees", str(stick))
    after = stand_ins.listing(tmp_path)
    assert before.items() <= after.items()
    assert {name.rpartition("/")[2] for name in after.keys() - before.keys()} <= {"archives"}
    remove()
    assert before.items() <= stand_ins.listing(tmp_path).items()


def test_removing_leaves_and_names_what_was_not_brought(stick, folder, monkeypatch, capsys):
    for name in NAMES:
        bring(name, str(stick))
    mine = ["hymenoptera_data/train/.notes", "cifar-10-batches-py/mine.jpg", "notes.txt",
            "archives/letters.zip", ".hidden/x", "unfinished/x"]  # fmt: skip
    for name in mine:
        stand_ins.write(folder / name, "mine")
    (folder / "linked").symlink_to(stick)
    stand_ins.write(folder / f"{photographs.UNFINISHED}x" / "half.jpg", "of a killed process")
    assert assets.has_photographs("ants_bees")
    assert run(monkeypatch, "remove") == 0
    names = [".hidden", "archives", "cifar-10-batches-py", "hymenoptera_data", "linked",
             "notes.txt", "unfinished"]  # fmt: skip
    assert f"since changed or not brought: {', '.join(names)}\n" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all((folder / name).read_text() == "mine" for name in mine)
    assert assets.has_photographs("ants_bees") and len(stand_ins.listing(stick)) == 3
    for name in mine[:2]:
        (folder / name).unlink()
    (folder / "hymenoptera_data" / "train" / "ants" / "1.jpg").write_text("changed")
    names.remove("cifar-10-batches-py")
    assert remove() == names


# ---- interrupted, twice at once, no space --------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("step", ["shutil.copyfile", "shutil.unpack_archive", "os.replace"])
def test_stopped_at_any_step_it_leaves_nothing_half(step, error, stick, folder, monkeypatch):
    def stop(*_, **__):
        raise error

    monkeypatch.setattr(step, stop)
    with pytest.raises(type(error)):
        bring("ants_bees", str(stick))
    assert list(stand_ins.listing(folder)) == ["archives"]


@pytest.mark.parametrize("name", NAMES)
def test_what_another_process_has_brought_meanwhile_is_left_in_its_place(name, stick, monkeypatch):
    unpack = photographs.unpack

    def slowly(archive, unpacked):
        monkeypatch.setattr(photographs, "unpack", unpack)
        bring(name, str(stick))
        unpack(archive, unpacked)

    monkeypatch.setattr(photographs, "unpack", slowly)
    assert bring(name, str(stick)).startswith("brought")
    assert assets.has_photographs(name) and remove() == []


# ---- commands ------------------------------------------------------------------------------------


def test_what_is_missing_is_left_out_in_a_room_and_fails_at_the_authors(stick, monkeypatch, capsys):
    (stick / "cifar-10-python.tar.gz").rename(stick / "moved")
    with stand_ins.serving(stick) as address:
        for name, known in photographs.SOURCES.items():
            there = known._replace(url=f"{address}/{known.archive}")
            monkeypatch.setitem(photographs.SOURCES, name, there)
        assert run(monkeypatch, "bring") == 1
        assert run(monkeypatch, "bring", "--from", address) == 0
        said = capsys.readouterr().out
        assert "photographs of ants and bees: is there already" in said
        assert said.count("CIFAR-10: left out, 404 ") == 2
    assert run(monkeypatch, "bring", "--from", stick) == 0
    assert f"left out, {stick} has no cifar-10-python.tar.gz" in capsys.readouterr().out
    stand_ins.write(stick / "cifar-10-python.tar.gz", "damaged")
    assert run(monkeypatch, "bring", "--from", stick) == 1
    assert "CIFAR-10: failed, " in capsys.readouterr().err


def test_without_a_network_it_says_what_to_do(monkeypatch, capsys):
    assert run(monkeypatch, "bring", "--from", "http://127.0.0.1:9") == 1
    said = capsys.readouterr().err
    assert "no connection to http://127.0.0.1:9/hymenoptera_data.zip: look at the network" in said
    assert "Nothing was brought" in said


def test_an_address_is_told_from_a_folder():
    found = photographs.find(photographs.SOURCES["backbone"], "http://teacher.local:8000/")
    assert found == "http://teacher.local:8000/resnet18-f37072fd.pth"
    for source in ("192.168.1.20:8000", "nowhere", "C:\\stick", "~/stick"):
        with pytest.raises(FileNotFoundError, match="an address begins with http://"):
            bring("backbone", source)


def test_serving_tells_the_room_where(stick, monkeypatch, capsys):
    served = []

    def interrupted(server):
        served.append(server)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupted)
    (stick / "cifar-10-python.tar.gz").unlink()
    run(monkeypatch, "serve", "--from", stick, "--port", 0)
    port = served[0].server_port
    said = capsys.readouterr().out
    assert "Serving hymenoptera_data.zip, resnet18-f37072fd.pth. In the room: make data" in said
    assert f":{port}\n" in said and "127.0.0.1" not in said
    assert served[0].server_address[0] == "0.0.0.0"  # not only this machine
    with pytest.raises(FileNotFoundError, match="bring the photographs first"):
        run(monkeypatch, "serve")


def test_status_and_verify_tell_whole_from_changed_from_missing(stick, folder, monkeypatch, capsys):
    assert run(monkeypatch, "verify") == 0
    assert capsys.readouterr().out.count("missing") == 3
    for name in NAMES:
        bring(name, str(stick))
    assert run(monkeypatch, "status") == 0
    said = capsys.readouterr().out
    assert said.count("whole") == 3 + len(assets.RENDERED)
    assert "cifar10    photos    CIFAR-10" in said
    (folder / "resnet18-f37072fd.pth").write_text("changed")
    assert run(monkeypatch, "verify") == 1
    assert "backbone   photos    changed" in capsys.readouterr().out
    (folder / "resnet18-f37072fd.pth").unlink()
    assert run(monkeypatch, "verify") == 0
    monkeypatch.setattr(assets, "sha256_of", lambda path: "another")
    assert run(monkeypatch, "verify") == 1
    assert "cifar10    rendered  damaged: " in capsys.readouterr().out
