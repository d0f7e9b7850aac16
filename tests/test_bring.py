"""Bringing the photographs over bad networks, past kills, full disks and damaged files."""

import asyncio
import http.client
import os
import random
import shutil
import signal
import sys
import threading
import time
from types import SimpleNamespace
from urllib.parse import urlsplit

import commands
import pooch
import psutil
import pytest
import sources
import stand_ins
from bring import bring, names_of_archives, remove
from serve import make_application
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, StaticFileHandler

from helpers import assets

NAMES = list(assets.PHOTOS)


@pytest.fixture
def stick(tmp_path, monkeypatch):
    """A folder with the three archives."""
    known = stand_ins.make_archives(tmp_path / "stick", size=300_000)
    stand_ins.known_by(known, monkeypatch.setattr)
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda seconds: None))
    return tmp_path / "stick"


@pytest.fixture
def serving():
    """A function that serves an application until the end of the test, and returns its address."""
    loops = []

    def serve(application):
        loop, address = asyncio.new_event_loop(), []
        started = threading.Event()

        async def start():
            sockets = bind_sockets(0, "127.0.0.1")
            server = HTTPServer(application)
            server.add_sockets(sockets)
            address.append(f"http://127.0.0.1:{sockets[0].getsockname()[1]}")
            started.set()

        def run():
            asyncio.set_event_loop(loop)
            loop.create_task(start())
            loop.run_forever()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        started.wait(10)
        loops.append((loop, thread))
        return address[0]

    yield serve
    for loop, thread in loops:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


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
    """The names of what lies in the data folder."""
    return {
        path.relative_to(folder).as_posix()
        for path in [*folder.glob("*"), *folder.glob("archives/*")]
    }


def is_clean(folder):
    whole = {photos.target for photos in assets.PHOTOS.values()}
    archives = {f"archives/{name}" for name in names_of_archives()}
    return left(folder) <= whole | archives | {"archives", ".lock"}


@pytest.mark.parametrize("name", NAMES)
def test_from_a_server_in_the_room(name, stick, serving):
    address = serving(make_application(stick, names_of_archives()))
    assert bring(name, address).startswith("brought")
    assert assets.has_photographs(name) and is_clean(assets.data_folder())
    assert bring(name, address) == "is there already"


def test_the_server_serves_nothing_but_the_archives(stick, serving):
    (stick / "secret.txt").write_text("secret")
    (stick.parent / "outside.txt").write_text("secret")
    address = serving(make_application(stick, names_of_archives()))
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
    assert assets.has_photographs(name) and is_clean(assets.data_folder())


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
    part = assets.data_folder() / "archives" / "resnet18-f37072fd.pth.part"
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
    assert left(assets.data_folder()) <= {"archives", ".lock"}


def test_offline_it_says_what_to_do_and_does_not_try_for_long(stick, monkeypatch, capsys):
    waits = []
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
    assert left(assets.data_folder()) == set()


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
def test_a_full_disk_leaves_nothing_half_placed(name, tmp_path, stick):
    known = stand_ins.make_archives(tmp_path / "again", size=300_000)
    folder = assets.data_folder()
    with stand_ins.child(bring_on_a_small_disk, known, name, str(stick), folder) as process:
        process.join()
        assert process.exitcode == 7
    assert not assets.has_photographs(name)
    bring(name, str(stick))
    assert assets.has_photographs(name) and is_clean(folder)


def test_two_at_once_bring_it_once(tmp_path, stick):
    known = stand_ins.make_archives(tmp_path / "again", size=300_000)
    arguments = known, NAMES, str(stick), assets.data_folder()
    with (
        stand_ins.child(stand_ins.bring_in_a_child, *arguments) as one,
        stand_ins.child(stand_ins.bring_in_a_child, *arguments) as other,
    ):
        one.join(300)
        other.join(300)
        assert one.exitcode == other.exitcode == 0
    assert all(map(assets.has_photographs, NAMES)) and is_clean(assets.data_folder())


@pytest.mark.parametrize("way", ["download", "unpack"])
def test_killed_at_any_moment_the_next_run_brings_all(way, tmp_path, stick, serving, monkeypatch):
    """45 kills each: of downloads that trickle in, and of unpacking many files."""
    many = tmp_path / "many"
    known = stand_ins.make_archives(many, size=200_000, num_pictures=200)
    stand_ins.known_by(known, monkeypatch.setattr)

    class Trickling(StaticFileHandler):
        def get_content(cls, abspath, start=None, end=None):
            for piece in StaticFileHandler.get_content(abspath, start, end):
                for i in range(0, len(piece), 5000):
                    time.sleep(0.001)
                    yield piece[i : i + 5000]

        get_content = classmethod(get_content)

    source = str(many)
    if way == "download":
        source = serving(Application([("/(.*)", Trickling, {"path": source})],
                                     log_function=lambda _: None))  # fmt: skip
    moments, ended, interrupted = random.Random(0), 0, 0
    for attempt in range(47):
        folder = tmp_path / f"data {attempt}"
        with stand_ins.child(stand_ins.bring_in_a_child, known, NAMES, source, folder) as process:
            if attempt < 2:  # undisturbed: the first warms up, the second tells how long it takes
                start = time.monotonic()
                process.join()
                longest = time.monotonic() - start
                assert process.exitcode == 0
            process.join(moments.uniform(0, 0.8 * longest))
            ended += process.exitcode is not None
        whole = all(assets.has_photographs(name, folder) for name in NAMES)
        interrupted += folder.exists() and not whole
        for name in NAMES:
            photos = folder / assets.PHOTOS[name].target
            assert assets.has_photographs(name, folder) or not photos.exists(), "half placed"
            bring(name, str(many), folder)
            assert assets.has_photographs(name, folder)
        assert is_clean(folder) or whole  # killed after the last move: an empty folder stays
        shutil.rmtree(folder)
    print(f"{47 - ended} killed, {interrupted} of them in the middle")


def test_thirty_at_once_from_the_server_and_its_memory_stays_small(tmp_path, monkeypatch):
    room = tmp_path / "room"
    known = stand_ins.make_archives(room, size=4_000_000)
    stand_ins.known_by(known, monkeypatch.setattr)
    with stand_ins.child(serve_in_a_child, room, tmp_path / "port") as server:
        while not (tmp_path / "port").exists():
            assert server.is_alive()
            time.sleep(0.05)
        address = f"http://127.0.0.1:{(tmp_path / 'port').read_text()}"
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        students = []
        for i in range(30):
            arguments = known, NAMES, address, tmp_path / "students" / str(i)
            student = stand_ins.PROCESSES.Process(target=stand_ins.bring_in_a_child, args=arguments)
            student.start()
            students.append(student)
        most = before
        while any(student.is_alive() for student in students):
            most = max(most, process.memory_info().rss)
            time.sleep(0.02)
        assert [student.exitcode for student in students] == [0] * 30
    for i in range(30):
        assert all(assets.has_photographs(name, tmp_path / "students" / str(i)) for name in NAMES)
    print(f"360 MB served, {(most - before) / 1e6:.0f} MB more memory")
    assert most - before < 60e6


def serve_in_a_child(folder, port_file):
    async def run():
        sockets = bind_sockets(0, "127.0.0.1")
        HTTPServer(make_application(folder, names_of_archives())).add_sockets(sockets)
        part = port_file.with_suffix(".part")
        part.write_text(str(sockets[0].getsockname()[1]))
        part.rename(port_file)
        await asyncio.Event().wait()

    asyncio.run(run())


def test_verify_status_and_remove(stick, capsys):
    for name in NAMES:
        bring(name, str(stick))
    own = assets.data_folder() / "my notes.txt"
    own.write_text("keep me")
    assert commands.verify_all() == 0
    assert capsys.readouterr().out.count("whole") == 6
    (assets.data_folder() / "resnet18-f37072fd.pth").write_text("changed")
    assert commands.verify_all() == 1
    assert "backbone   photos    damaged: bring it anew" in capsys.readouterr().out
    assert commands.show_status() == 0
    out = capsys.readouterr().out
    assert "backbone   damaged" in out and "ants_bees  whole" in out and "cifar10    photos" in out
    remove()
    assert left(assets.data_folder()) <= {"my notes.txt", ".lock"}
    remove()  # once more does nothing
    commands.show_status()
    assert capsys.readouterr().out.count("missing") == 3
