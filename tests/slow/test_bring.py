"""Bringing the photographs: kills at any moment and at every step, a full room, much damage.

The quick tests prove the same with a few chosen kills and a tenth of the damage.
"""

import asyncio
import itertools
import random
import shutil
import signal
import sys
import time

import psutil
import pytest
import stand_ins
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, StaticFileHandler

from helpers import assets
from tools.photographs import own
from tools.photographs.bring import bring, remove
from tools.photographs.serve import make_application

NAMES = list(assets.PHOTOS)
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links and SIGKILL")


@posix
@pytest.mark.parametrize("name", NAMES)
def test_killed_before_every_change_on_the_disk_the_next_run_brings_all(
    name, tmp_path, monkeypatch
):
    stick = tmp_path / "stick"
    known = stand_ins.make_archives(stick, size=300_000)
    stand_ins.known_by(known, monkeypatch.setattr)
    users = stand_ins.Users(tmp_path)
    folder = assets.photographs_folder()
    for number in itertools.count():
        target, before = stand_ins.bring_and_damage(name, str(stick))
        arguments = known, name, str(stick), folder, number
        with stand_ins.child(stand_ins.bring_to_the_kill, *arguments) as process:
            process.join()
            exitcode = process.exitcode
        whole = assets.has_photographs(name)
        assert whole or not target.exists() or stand_ins.listing(target) == before, "half placed"
        assert users.has_all()
        bring(name, str(stick))
        assert assets.has_photographs(name) and users.has_all()
        with stand_ins.child(stand_ins.remove_to_the_kill, known, folder, number) as process:
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
        assert users.has_all()
        remove()
        assert users.has_only_this()
        if exitcode == 0:
            break
    print(f"killed {number} times")
    assert number > 10


@pytest.mark.parametrize("way", ["download", "unpack"])
def test_killed_at_any_moment_the_next_run_brings_all(way, tmp_path, monkeypatch):
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

    handlers = [("/(.*)", Trickling, {"path": str(many)})]
    with stand_ins.serving(Application(handlers, log_function=lambda _: None)) as address:
        source = address if way == "download" else str(many)
        bring_with_kills(known, source, many, tmp_path)


def bring_with_kills(known, source, many, tmp_path):
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
        assert stand_ins.is_clean(folder) or whole  # killed after the last move: something stays
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
        HTTPServer(make_application(folder, own.names_of_archives())).add_sockets(sockets)
        part = port_file.with_suffix(".part")
        part.write_text(str(sockets[0].getsockname()[1]))
        part.rename(port_file)
        await asyncio.Event().wait()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "count"), [("ants_bees", 200), ("cifar10", 400), ("backbone", 100)]
)
def test_every_corruption_of_the_rendered_edition_is_found(name, count, tmp_path, monkeypatch):
    stand_ins.find_damage_of_the_rendered(name, count, tmp_path, monkeypatch.setitem)


@pytest.mark.parametrize("name", NAMES)
def test_every_corruption_of_the_photographs_is_found(name, tmp_path, monkeypatch):
    """100 of what was brought and 100 of what is to be brought."""
    stand_ins.find_damage_of_the_photographs(name, 100, tmp_path, monkeypatch.setattr)
