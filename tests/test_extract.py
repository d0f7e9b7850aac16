"""Features in shards: the same by any number of processes, and whatever was killed meanwhile."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_picture
from torch.utils.data import DataLoader

from helpers import assets, data
from helpers.features import extract_features as extract_in_memory
from helpers.models import build
from tools.extract import extract_features, measure_growth
from tools.extract.extract_features import read_features, read_manifest

ROOT = Path(__file__).parent.parent
SMALL = ["--backbone", "resnet18", "--size", "32", "--batch-size", "3", "--shard-size", "4"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
MODULE = "tools.extract.extract_features"
pytestmark = pytest.mark.filterwarnings("ignore:Unable to enable fault handler")


def extract(pictures, out, *options, rank=0, world=1):
    """Run one process of several, here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANK", str(rank))
        patch.setenv("WORLD_SIZE", str(world))
        extract_features.main([str(pictures), str(out), *map(str, options)])


def run(command, **variables):
    """Run a command and wait for it; return its exit status and all that it printed."""
    variables = {"OMP_NUM_THREADS": "1", "EDITION": "rendered", **variables}
    done = subprocess.run(
        list(map(str, command)), env=os.environ | variables, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def read(out):
    """Read all features and labels."""
    return next(iter(DataLoader(read_features(out), 10_000)))


def times(out):
    """Return when each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*.npy")}


def assert_same(out, expected):
    for found, wanted in zip(read(out), expected, strict=True):
        assert torch.equal(found, wanted)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """A thread here as in each process of torchrun, so that all numbers are the same."""
    monkeypatch.setenv("EDITION", "rendered")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def pictures(tmp_path):
    """Fourteen pictures of two classes: the last of shards of four holds two."""
    for i in range(14):
        save_picture(tmp_path / "pictures" / "ab"[i // 8] / f"{i:02}.png", seed=i)
    return tmp_path / "pictures"


@pytest.fixture
def expected(pictures, tmp_path):
    """The features of `pictures`, by one process."""
    extract(pictures, tmp_path / "expected", *SMALL)
    return read(tmp_path / "expected")


def test_files_and_features_are_those_of_image_folders(tmp_path, cpu):
    pictures, out, counts = tmp_path / "insects", tmp_path / "out", {"train": 6, "val": 3}
    for split, count in counts.items():
        for name in ("ants", "bees"):
            there = assets.ants_bees("rendered").path / split / name
            (pictures / split / name).mkdir(parents=True)
            for path in sorted(there.iterdir())[:count]:
                shutil.copy(path, pictures / split / name)
    options = ["--backbone", "tf_efficientnet_lite0", "--size", "64", "--batch-size", "3"]
    extract(pictures, out, *options, "--shard-size", 8)
    assert [np.load(out / name).shape for name in read_manifest(out)["shards"]] == [
        (8, 1280), (8, 1280), (2, 1280)
    ]  # fmt: skip
    model = build("tf_efficientnet_lite0", 2)
    statistics = data.statistics(model)
    loaders = data.image_folders(pictures, size=64, augment=False, **statistics)
    found = [extract_in_memory(model, part, cpu).tensors for part in (loaders.train, loaders.val)]
    x, y = (torch.cat(both) for both in zip(*found, strict=True))
    features, labels = read(out)
    # In other batches, the last bits are others.
    torch.testing.assert_close(features, x, rtol=0, atol=1e-5 * float(x.max()))
    assert torch.equal(labels, y)
    names = read_manifest(out)["names"]
    assert [name.startswith("val/") for name in names] == [False] * 12 + [True] * 6
    files = extract_features.Files([pictures / name for name in names[12:]], 64, **statistics)
    for i in (0, 3, 5):
        assert torch.equal(files[i], loaders.val.dataset[i][0])


KILLED = """
import os, runpy, signal, sys, time
from pathlib import Path
from helpers.pictures import decode

opened = decode.open_picture

def open_picture(path, short_side):
    if path.name == "12.png":  # process 1 has begun its second shard
        while len(list(Path(sys.argv[2]).glob("shard-*.npy"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "08.png":  # and process 0, too
        time.sleep(300)
    return opened(path, short_side)

decode.open_picture = open_picture
runpy.run_module("tools.extract.extract_features", run_name="__main__")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_when_one_is_killed_all_end_and_the_next_run_goes_on(tmp_path, expected, pictures):
    program, out = tmp_path / "killed.py", tmp_path / "out"
    program.write_text(KILLED)
    command = [*TORCHRUN, "--standalone", "--nproc-per-node=2", program, pictures, out, *SMALL]
    status, printed = run(command, PYTHONPATH=str(ROOT))
    assert status != 0 and "SIGKILL" in printed
    assert sorted(name[:11] for name in times(out)) == ["shard-00000", "shard-00001"]
    with pytest.raises(FileNotFoundError, match=r"2 of 4 shards are missing .* the same command"):
        read_features(out)
    before = times(out)
    extract(pictures, out, *SMALL)
    assert before.items() < times(out).items()
    assert_same(out, expected)


def test_any_number_of_processes_goes_on_with_what_another_began(
    tmp_path, expected, pictures, capsys
):
    out = tmp_path / "out"
    extract(pictures, out, *SMALL, rank=1, world=3)
    assert [name[:11] for name in times(out)] == ["shard-00001"]
    with pytest.raises(FileNotFoundError, match="extract features into this folder first"):
        read_features(out)  # process 0, which says what there is to be, has not begun
    before = times(out)
    extract(pictures, out, *SMALL, rank=0, world=2)
    with pytest.raises(FileNotFoundError, match=r"1 of 4 shards are missing in .*shard-00003-"):
        read_features(out)
    extract(pictures, out, *SMALL, "--workers", "1")
    assert "4 shards, of which 3 are there" in (printed := capsys.readouterr().out)
    assert "2 pictures, " in printed
    assert before.items() < times(out).items()
    assert_same(out, expected)


def test_other_settings_are_refused_and_changed_pictures_are_computed_anew(tmp_path, pictures):
    out = tmp_path / "out"
    extract(pictures, out, *SMALL)
    before, manifest, features = times(out), read_manifest(out), read(out)[0]
    for options in (["--size", "40"], ["--shard-size", "5"]):
        with pytest.raises(ValueError, match="is for features with other settings"):
            extract(pictures, out, *SMALL, *options)
    with pytest.raises(SystemExit):
        extract(pictures, pictures / "features", *SMALL)
    assert times(out) == before and read_manifest(out) == manifest

    save_picture(pictures / "a" / "05.png", width=44, seed=99)
    save_picture(pictures / "b" / "14.png", seed=14)
    extract(pictures, out, *SMALL)
    there = [name for name in read_manifest(out)["shards"] if name in before]
    assert [name[:11] for name in there] == ["shard-00000", "shard-00002"]
    assert before.items() < times(out).items()
    found, labels = read(out)
    same = (found[:14] == features).all(dim=1)
    assert len(found) == 15 and same.tolist() == [True] * 5 + [False] + [True] * 8
    assert labels.tolist() == [0] * 8 + [1] * 7


def test_files_that_are_no_pictures_are_named_and_all_else_is_done(tmp_path, expected, pictures):
    out, content = tmp_path / "out", (pictures / "a" / "01.png").read_bytes()
    (pictures / "a" / "01.png").write_bytes(content[:500])
    (pictures / "b" / "13.png").write_bytes(b"")
    with pytest.raises(ValueError, match="files that are no pictures, in 2 shards") as error:
        extract(pictures, out, *SMALL)
    assert "01.png: damaged" in str(error.value) and "13.png: an empty file" in str(error.value)
    before = times(out)
    assert sorted(name[:11] for name in before) == ["shard-00001", "shard-00002"]
    (pictures / "a" / "01.png").write_bytes(content)
    save_picture(pictures / "b" / "13.png", seed=13)
    extract(pictures, out, *SMALL)
    assert before.items() < times(out).items()
    assert_same(out, expected)


def test_the_table_of_growth_is_written_as_measured(tmp_path):
    words = [measure_growth.in_words(s, measure_growth.TIMES) for s in (5.04, 89, 90, 5400)]
    words = [word.replace("\N{NO-BREAK SPACE}", " ") for word in words]
    assert words == ["5.0 s", "89.0 s", "1.5 min", "1.5 h"]
    row = measure_growth.row(10**6, "2 processors", 8196.7, 5120.0, None)
    row = [cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row]
    assert row == ["1,000,000", "2 processors", "2.3 h", "122", "", "5.1 GB", "calculated"]
    measure_growth.make_pictures(tmp_path, 4)
    sizes = [path.stat().st_size for path in tmp_path.rglob("*.jpg")]
    assert len(sizes) == 4 and min(sizes) > 90_000 and max(sizes) < 110_000
