"""Bringing and removing the photographs, killed before every change that they make on the disk."""

import itertools
import os
import signal
import sys

import pytest
import stand_ins

from helpers import assets
from tools.photographs import UNFINISHED, bring, remove

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}


def run_to_the_kill(known, number, function, *arguments):
    """Let this process kill itself before its n-th change of a file or a folder."""
    stand_ins.known_by(known)
    counter = itertools.count()

    def hook(event, arguments):
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in CHANGES or writes) and next(counter) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    function(*arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("name", ["ants_bees", "backbone"])  # a folder, and a file
def test_killed_before_every_change_the_next_run_brings_or_removes_all(name, tmp_path, monkeypatch):
    known = stand_ins.make_archives(tmp_path / "stick")
    stand_ins.known_by(known, monkeypatch.setattr)
    folder, source = assets.photographs_folder(), str(tmp_path / "stick")
    stand_ins.write(folder / "notes.txt", "mine")
    target, killed = folder / assets.PHOTOS[name].target, [0, 0]
    for i, action in enumerate([(bring, name, source), (remove,)]):
        for number in itertools.count():
            with stand_ins.child(run_to_the_kill, known, number, *action) as process:
                process.join()
                killed[i] += process.exitcode != 0
                ended = process.exitcode == 0
            assert assets.has_photographs(name) or not os.path.lexists(target), "half in its place"
            for path in folder.iterdir():
                assert path.name in ("archives", "notes.txt", target.name) or path.name.startswith(
                    UNFINISHED
                )
            bring(name, source)
            assert assets.has_photographs(name)
            if action[0] is bring:
                assert remove() == ["notes.txt"]
            if ended:
                break
    assert min(killed) > 4
