"""Bringing the photographs over bad networks, past kills, full disks and damaged files."""

import asyncio
import errno
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pooch
import psutil
import pytest
import stand_ins
from tornado.web import Application, StaticFileHandler

from helpers import assets
from tools.photographs import commands, download, own, sources
from tools.photographs.bring import bring, remove
from tools.photographs.serve import make_application, serve

NAMES = list(assets.PHOTOS)
needs_links = pytest.mark.skipif(
    sys.platform == "win32", reason="needs links, or SIGKILL, that Windows has not"
)


@pytest.fixture
def known(tmp_path):
    """How the three archives are known."""
    return stand_ins.make_archives(tmp_path / "stick", size=300_000)


@pytest.fixture
def stick(known, tmp_path, monkeypatch):
    """A folder with the three archives."""
    stand_ins.known_by(known, monkeypatch.setattr)
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))
    return tmp_path / "stick"


@pytest.fixture
def serving():
    """A function that serves an application until the end of the test, and returns its address."""
    with ExitStack() as stack:
        yield lambda application: stack.enter_context(stand_ins.serving(application))


class Faulty(StaticFileHandler):
    """Serves as it should, but for the faults that are left in the application's list."""

    def compute_etag(self):
        return None

    async def get(self, path, include_body=True):
        faults = self.settings["faults"]
        self.settings["log"].append(self.request.headers.get("Range"))
        fault = faults.pop(0) if faults else None
        with open(os.path.join(self.root, path), "rb") as file:
            content = file.read()
        if fault in ("500", "503", "404"):
            self.send_error(int(fault))
        elif fault == "silent":
            self.request.connection.stream.close()
        elif fault == "dropped":
            start = int((self.request.headers.get("Range") or "bytes=0-")[6:-1])
            self.set_status(206 if start else 200)
            self.set_header("Content-Length", len(content) - start)
            self.write(content[start : (start + len(content)) // 2])
            await self.flush()
            self.request.connection.stream.close()
        elif fault == "wrong":
            middle = len(content) // 2
            self.write(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        elif fault == "no ranges":
            self.write(content)
        elif fault == "a page":
            self.write("<html>Please accept the terms of use of this network.</html>")
        elif fault == "endless":
            self.write(content * 10)
        else:
            if fault == "slow":
                await asyncio.sleep(0.2)
            await super().get(path, include_body)


@pytest.fixture
def faulty(stick, serving):
    """An address of the archives, the list of faults to come, and the ranges asked for."""
    faults, log = [], []
    pattern = [("/(.*)", Faulty, {"path": str(stick)})]
    address = serving(Application(pattern, faults=faults, log=log, log_function=lambda _: None))
    return address, faults, log


def left(folder):
    """The names of what lies in our folder and its archives, but for the lock."""
    paths = [*folder.glob("*"), *folder.glob("archives/*")]
    return {path.relative_to(folder).as_posix() for path in paths} - {own.LOCK}


@pytest.mark.parametrize("name", NAMES)
def test_from_a_server_in_the_room(name, stick, serving):
    address = serving(make_application(stick, own.names_of_archives()))
    assert bring(name, address).startswith("brought")
    assert assets.has_photographs(name) and stand_ins.is_clean(assets.photographs_folder())
    assert bring(name, address) == "is there already"


def test_the_server_serves_nothing_but_the_archives(stick, serving):
    (stick / "secret.txt").write_text("secret")
    (stick.parent / "outside.txt").write_text("secret")
    address = serving(make_application(stick, own.names_of_archives()))
    host, port = urlsplit(address).netloc.split(":")
    for path in ("/secret.txt", "/", "/../outside.txt", "/%2e%2e/outside.txt", "//etc/passwd"):
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("GET", path)
        assert connection.getresponse().status in (403, 404), path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "faults",
    [["500"], ["503", "500", "dropped"], ["silent"], ["dropped"], ["dropped"] * 3, ["wrong"],
     ["a page"], ["slow"], ["dropped", "no ranges"], ["endless"], ["wrong", "dropped", "silent"]],
    ids=" ".join,
)  # fmt: skip
def test_a_bad_network_ends_in_verified_files(name, faults, faulty):
    address, to_come, _ = faulty
    to_come.extend(faults)
    bring(name, address)
    assert not to_come, "not every fault was met"
    assert assets.has_photographs(name) and stand_ins.is_clean(assets.photographs_folder())


def test_a_dropped_download_goes_on_where_it_was(faulty, stick):
    address, faults, log = faulty
    faults.append("dropped")
    bring("backbone", address)
    assert log == [None, "bytes=131072-"]  # of 150,000 that were sent, in pieces of 65,536


def test_a_server_without_ranges_begins_anew(faulty):
    address, faults, log = faulty
    faults.extend(["dropped", "no ranges"])
    bring("backbone", address)
    assert log == [None, "bytes=131072-"]  # what came the second time was whole, so not a third


def test_a_download_goes_on_in_another_process(faulty):
    address, faults, log = faulty
    faults.extend(["dropped"] * 6)
    with pytest.raises(Exception, match=r"Connection|IncompleteRead"):
        bring("backbone", address)
    part = own.partial(assets.photographs_folder() / "archives" / "resnet18-f37072fd.pth")
    done = part.stat().st_size
    assert 0 < done < 300_000
    log.clear()
    bring("backbone", address)
    assert log == [f"bytes={done}-"]


@pytest.mark.parametrize("name", NAMES)
def test_files_that_stay_wrong_are_an_error_and_are_not_kept(name, faulty):
    address, faults, _ = faulty
    faults.extend(["wrong"] * 30)
    with pytest.raises(ValueError, match=r"damaged|does not match"):
        bring(name, address)
    assert not assets.has_photographs(name)
    assert left(assets.photographs_folder()) == {"archives"}


def test_offline_it_says_what_to_do_and_does_not_try_for_long(stick, monkeypatch, capsys):
    waits = []
    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=waits.append))
    assert commands.bring_all("http://127.0.0.1:9") == 1
    error = capsys.readouterr().err
    assert "127.0.0.1:9 can't be reached: look at the network, or take the files" in error
    assert error.count("can't be reached") == 1 and not waits


def test_what_the_server_has_not_is_left_out(stick, serving, capsys):
    (stick / "cifar-10-python.tar.gz").unlink()
    address = serving(make_application(stick, ["hymenoptera_data.zip", "resnet18-f37072fd.pth"]))
    assert commands.bring_all(address) == 0
    assert "CIFAR-10: left out, no http" in capsys.readouterr().out


def test_what_its_authors_have_no_longer_is_a_failure(stick, serving, monkeypatch, capsys):
    address = serving(make_application(stick, ["hymenoptera_data.zip", "resnet18-f37072fd.pth"]))
    for name, known in sources.SOURCES.items():
        there = known._replace(url=f"{address}/{known.archive}")
        monkeypatch.setitem(sources.SOURCES, name, there)
    assert commands.bring_all(None) == 1
    assert "CIFAR-10: left out, no http" in capsys.readouterr().out


def test_too_little_space_is_said_before_anything_is_written(stick, monkeypatch):
    usage = SimpleNamespace(free=1e6)
    monkeypatch.setattr("bring.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match=r"120 MB are needed in .*, but 1 MB are free"):
        bring("ants_bees", str(stick))
    assert not assets.photographs_folder().exists()


def bring_on_a_small_disk(known, name, source, folder):
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    stand_ins.known_by(known)
    try:
        bring(name, source, folder)
    except OSError:
        sys.exit(7)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_nothing_half_placed(name, known, stick):
    folder = assets.photographs_folder()
    with stand_ins.child(bring_on_a_small_disk, known, name, str(stick), folder) as process:
        process.join()
        assert process.exitcode == 7
    assert not assets.has_photographs(name)
    bring(name, str(stick))
    assert assets.has_photographs(name) and stand_ins.is_clean(folder)


def test_two_at_once_bring_it_once(known, stick):
    arguments = known, NAMES, str(stick), assets.photographs_folder()
    with (
        stand_ins.child(stand_ins.bring_in_a_child, *arguments) as one,
        stand_ins.child(stand_ins.bring_in_a_child, *arguments) as other,
    ):
        one.join(300)
        other.join(300)
        assert one.exitcode == other.exitcode == 0
    assert all(map(assets.has_photographs, NAMES)) and stand_ins.is_clean(
        assets.photographs_folder()
    )


@pytest.mark.parametrize("name", ["cifar10", "backbone"])
def test_an_archive_of_another_hash_is_not_even_unpacked(name, stick, monkeypatch):
    monkeypatch.setattr("bring.unpack", lambda *_, **__: pytest.fail("it was unpacked"))
    archive = stick / sources.SOURCES[name].archive
    archive.write_bytes(archive.read_bytes() + b"!")
    with pytest.raises(ValueError, match=f"{archive.name} is damaged or another file"):
        bring(name, str(stick))
    assert left(assets.photographs_folder()) == {"archives"}


# ---- the user's own things -----------------------------------------------------------------------


@pytest.fixture
def users(tmp_path):
    """The data folder with a user's things in it, also in our folder; and what they are."""
    return stand_ins.Users(tmp_path)


@needs_links
@pytest.mark.parametrize("way", ["folder", "server"])
def test_bringing_and_removing_leave_the_users_things_alone(way, users, stick, serving):
    source = str(stick)
    if way == "server":
        source = serving(make_application(stick, own.names_of_archives()))
    for name in NAMES:
        bring(name, source)
        assert assets.has_photographs(name) and users.has_all()
    left_alone = remove()
    assert users.has_only_this()
    assert "unfinished-novel" in left_alone and "hymenoptera_data" not in left_alone


@needs_links
@pytest.mark.parametrize("fault", ["wrong", "404", "a full disk", "damaged"])
def test_bringing_in_vain_leaves_the_users_things_alone(
    fault, users, stick, faulty, tmp_path, monkeypatch
):
    address, faults, _ = faulty
    source = str(stick) if fault in ("a full disk", "damaged") else address
    faults.extend([fault] * 100 if source == address else [])
    if fault == "a full disk":
        monkeypatch.setattr(shutil, "copyfileobj", full)
        monkeypatch.setattr(shutil, "copyfile", full)
    for name in NAMES:
        if fault == "damaged":
            (stick / sources.SOURCES[name].archive).write_bytes(b"damaged")
        with pytest.raises((OSError, ValueError)):
            bring(name, source)
        assert users.has_all() and not assets.has_photographs(name)
    remove()
    assert users.has_only_this()


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@needs_links
@pytest.mark.parametrize("leads_to", ["another", "nowhere", "a whole one"])
@pytest.mark.parametrize("name", NAMES)
def test_of_a_link_in_place_of_a_target_only_the_link_goes(name, leads_to, stick, tmp_path):
    folder, target = assets.photographs_folder(), assets.PHOTOS[name].target
    folder.mkdir(parents=True)
    mine = tmp_path / "mine"
    mine.mkdir()
    if leads_to == "a whole one":
        bring(name, str(stick), mine)
    elif leads_to == "another" and name == "backbone":
        (mine / target).write_text("my weights")
    elif leads_to == "another":
        stand_ins.write(mine / target / "train" / "ants" / "0.jpg", "my ant")
    before = stand_ins.listing(mine)
    (folder / target).symlink_to(mine / target)
    remove()
    assert (folder / target).is_symlink(), "removed, though never brought"
    bring(name, str(stick))
    assert assets.has_photographs(name)
    assert (folder / target).is_symlink() == (leads_to == "a whole one")
    remove()
    assert stand_ins.listing(mine) == before


@needs_links
@pytest.mark.parametrize("place", ["", "archives"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_a_link_or_a_file_where_our_folder_is_to_be_is_refused(place, kind, stick, tmp_path):
    path = assets.photographs_folder() / place
    path.parent.mkdir(parents=True)
    mine = tmp_path / "mine"
    if kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(mine)
    if kind == "link":
        for archive in own.names_of_archives():
            stand_ins.write(mine / archive, f"my {archive}")
    users = stand_ins.listing(tmp_path)
    with pytest.raises(FileExistsError, match=r"is a link or a file, .*: move it away"):
        bring("ants_bees", str(stick))
    assert users.items() <= stand_ins.listing(tmp_path).items()
    remove()
    assert users == stand_ins.listing(tmp_path)


@needs_links
def test_links_in_place_of_an_archive_are_not_followed(stick, serving, tmp_path):
    archives, mine = assets.photographs_folder() / "archives", tmp_path / "mine"
    archives.mkdir(parents=True)
    for path in (archives / "resnet18-f37072fd.pth",
                 own.partial(archives / "resnet18-f37072fd.pth")):  # fmt: skip
        stand_ins.write(mine / path.name, "mine")
        path.symlink_to(mine / path.name)
    before = stand_ins.listing(mine)
    remove()
    assert len(left(assets.photographs_folder())) == 3, "archives and two links"
    bring("backbone", serving(make_application(stick, own.names_of_archives())))
    assert stand_ins.listing(mine) == before


@pytest.mark.parametrize("name", ["ants_bees", "cifar10"])
def test_a_users_files_in_what_was_brought_outlive_it(name, stick):
    """Also when it is brought anew, because they make it another data set."""
    bring(name, str(stick))
    target = assets.photographs_folder() / assets.PHOTOS[name].target
    changed = next(path for path in target.rglob("[!.]*") if path.is_file())
    stand_ins.write(changed.with_name("mine.jpg"), "an ant of mine")
    assert assets.has_photographs(name) == (name == "cifar10")  # which counts its own files only
    changed.write_text("changed")
    said = bring(name, str(stick))
    assert assets.has_photographs(name)
    (kept,) = target.parent.glob("*.replaced")
    assert f"what else lay there is now in {kept}" in said
    files = [path.read_text() for path in kept.rglob("*") if path.is_file()]
    assert files == ["an ant of mine"]
    stand_ins.write(target / "mine.jpg", "another ant of mine")
    assert remove() == sorted([kept.name, target.name])
    assert list(stand_ins.listing(target)) == ["mine.jpg"]


@needs_links
def test_a_users_links_in_what_was_brought_are_not_followed(stick, tmp_path):
    bring("ants_bees", str(stick))
    target, mine = assets.photographs_folder() / "hymenoptera_data", tmp_path / "mine"
    for path in target.rglob("*.jpg"):
        stand_ins.write(mine / path.relative_to(target), "mine, with a name as in the archive")
    shutil.rmtree(target / "train")
    (target / "train").symlink_to(mine / "train")
    before = stand_ins.listing(mine)
    remove()
    assert stand_ins.listing(mine) == before and (target / "train").is_symlink()
    bring("ants_bees", str(stick))
    assert assets.has_photographs("ants_bees") and stand_ins.listing(mine) == before


# ---- kills ---------------------------------------------------------------------------------------

POINTS = {  # the step before which the process dies
    "while it downloads": "download",
    "when it has downloaded": r"move .*download-of-make-data",
    "when the download is verified": r"move .*unfinished/tmp\w+",
    "before the archive is in place": r"move .*unfinished/[\w.-]+\.(zip|gz|pth)",
    "while it unpacks": r"write .*unfinished/.*(/1\.jpg|data_batch_2)",
    "when it has unpacked": r"read .*unfinished/.*(/0\.jpg|data_batch_1)",
    "when that is verified": r"write .*\.brought-by-make-data",
    "before the damaged one is moved aside": r"move .*photographs/[\w-]+",
    "before its place": r"move .*photographs/[^/]*unfinished/[\w.-]+",
    "while it removes the damaged one": r"remove .*replaced/.*(/1\.jpg|data_batch_2)",
    "when it is in its place": r"remove .*[\w-]+\.\w{16}\.replaced",
    "when it is done": "end",
}


KILLS = [
    *(("ants_bees", point) for point in POINTS),
    *(("cifar10", point) for point in ("while it unpacks", "when it has unpacked",
                                       "before its place", "while it removes the damaged one")),
    *(("backbone", point) for point in ("while it downloads", "before its place")),
]  # fmt: skip


@needs_links
@pytest.mark.parametrize(("name", "point"), KILLS)
def test_killed_at_every_step_the_next_run_brings_all(name, point, users, known, stick, serving):
    address = serving(make_application(stick, own.names_of_archives()))
    target, before = stand_ins.bring_and_damage(name, address)
    arguments = known, name, address, assets.photographs_folder(), POINTS[point]
    with stand_ins.child(stand_ins.bring_to_the_kill, *arguments) as process:
        process.join()
        assert process.exitcode == -signal.SIGKILL
    whole = assets.has_photographs(name)
    assert whole or not target.exists() or stand_ins.listing(target) == before, "half placed"
    assert users.has_all()
    bring(name, address)
    assert assets.has_photographs(name) and users.has_all()
    remove()
    assert users.has_only_this()


# ---- commands ------------------------------------------------------------------------------------


def serve_in_a_child(folder, port):
    serve(folder, own.names_of_archives(), port)


def test_serving_reaches_the_room_and_serves_all_there_is(stick):
    (stick / "cifar-10-python.tar.gz").unlink()
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    with stand_ins.child(serve_in_a_child, stick, port) as process:
        for _ in range(600):
            listening = psutil.Process(process.pid).net_connections("tcp")
            if listening:
                break
            assert process.is_alive()
            time.sleep(0.05)
        everywhere = {one.laddr.ip for one in listening if one.status == psutil.CONN_LISTEN}
        assert everywhere & {"0.0.0.0", "::"}, f"only the machine itself reaches {everywhere}"
        assert bring("ants_bees", f"127.0.0.1:{port}").startswith("brought")
        assert bring("backbone", f"http://127.0.0.1:{port}/").startswith("brought")
        with pytest.raises(FileNotFoundError):
            bring("cifar10", f"http://127.0.0.1:{port}")


def test_serving_says_what_to_type_in_the_room_until_it_is_interrupted(stick, monkeypatch, capsys):
    def interrupted(coroutine):
        coroutine.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio, "run", interrupted)
    assert serve(stick, own.names_of_archives(), 8123) == 0
    assert re.search(r"Serving hymenoptera_data.zip, .*make data FROM=http://\S+:8123\n",
                     capsys.readouterr().out)  # fmt: skip


def test_there_is_nothing_to_serve(tmp_path, capsys):
    assert serve(tmp_path, own.names_of_archives(), 8000) == 1
    assert "bring them first" in capsys.readouterr().err


def test_a_port_in_use_is_said(stick, capsys):
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        assert serve(stick, own.names_of_archives(), other.getsockname()[1]) == 1
    assert "can't be used" in capsys.readouterr().err


ADDRESSES = ["192.168.1.20:8000", "teacher.local:8000/", "[::1]:8000", "teacher-1:80/archives",
             "https://site.org", "http://room"]  # fmt: skip


@pytest.mark.parametrize("source", ADDRESSES)
def test_an_address_is_known_as_one(source):
    assert download.is_address(source)
    assert download.with_scheme(source).startswith(("http://", "https://"))
    assert not download.with_scheme(source).endswith("/")


FOLDERS = ["stick", "/media/stick", "C:\\stick", "C:/stick", "a:b", "./1:2", "192.168.1.20"]


@pytest.mark.parametrize("source", FOLDERS)
def test_a_folder_is_known_as_one(source):
    assert not download.is_address(source)


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_folder_with_the_name_of_an_address_wins(stick, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stick.rename("room:8000")
    assert bring("backbone", "room:8000").startswith("brought")


def test_a_folder_that_is_not_there_may_have_been_meant_as_an_address():
    with pytest.raises(FileNotFoundError, match="an address begins with http://"):
        bring("backbone", "192.168.1.20")


def test_the_command_works_from_anywhere(tmp_path):
    tool = Path(commands.__file__).parent
    said = subprocess.run([sys.executable, tool, "status"], cwd=tmp_path, check=True,
                          capture_output=True, text=True).stdout  # fmt: skip
    assert said.count("missing") == 3 and str(assets.photographs_folder()) in said


def test_help_names_the_five_commands(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["photographs", "--help"])
    with pytest.raises(SystemExit):
        commands.main()
    assert "{bring,status,verify,remove,serve}" in capsys.readouterr().out


def test_verify_status_and_remove(stick, capsys):
    for name in NAMES:
        bring(name, str(stick))
    (assets.photographs_folder() / "my notes.txt").write_text("keep me")
    assert commands.verify_all() == 0
    assert capsys.readouterr().out.count("whole") == 6
    (assets.photographs_folder() / "resnet18-f37072fd.pth").write_text("changed")
    assert commands.verify_all() == 1
    assert "backbone   photos    damaged: bring it anew" in capsys.readouterr().out
    assert commands.show_status() == 0
    out = capsys.readouterr().out
    assert "backbone   damaged" in out and "ants_bees  whole" in out and "cifar10    photos" in out
    assert commands.remove_all() == 0
    assert "since not brought: my notes.txt" in capsys.readouterr().out
    assert list(stand_ins.listing(assets.photographs_folder())) == ["my notes.txt"]
    assert commands.remove_all() == 0  # once more does nothing
    commands.show_status()
    assert capsys.readouterr().out.count("missing") == 3


def test_what_was_brought_is_removed_without_a_trace(stick):
    for name in NAMES:
        bring(name, str(stick))
    assert remove() == []
    assert stand_ins.listing(assets.photographs_folder().parent) == {}
    assert remove() == [] and not assets.photographs_folder().exists()
