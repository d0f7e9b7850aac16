"""Features in shards: the same by any number of processes, and whatever was killed meanwhile."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import save_picture
from torch import nn
from torch.utils.data import DataLoader, Subset

from helpers import assets, data
from helpers.features import extract_features as extract_in_memory
from helpers.models import build
from helpers.training import fit
from tools.extract import extract_features, measure_growth
from tools.extract.shards import read_features, read_manifest

ROOT = Path(__file__).parent.parent
TOOL = ROOT / "tools" / "extract" / "extract_features.py"

LITE0 = ["--backbone", "tf_efficientnet_lite0", "--size", "64", "--batch-size", "3"]
SMALL = ["--backbone", "resnet18", "--size", "32", "--batch-size", "3", "--shard-size", "4"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
pytestmark = pytest.mark.filterwarnings("ignore:Unable to enable fault handler")
by_torchrun = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")


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
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout


def read(out):
    """Read all features and labels."""
    return next(iter(DataLoader(read_features(out), 10_000)))


def shards(out):
    """Return the files of the shards by their numbers."""
    return {int(path.name.split("-")[1]): path for path in sorted(out.glob("shard-*.npy"))}


def times(out):
    """Return when each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("shard-*.npy")}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """A thread here as in each process of torchrun, so that all numbers are the same."""
    monkeypatch.setenv("EDITION", "rendered")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def insects(tmp_path_factory):
    """61 of the ants and bees, in two parts: the last of shards of eight holds five."""
    folder = tmp_path_factory.mktemp("insects")
    for part, name, count in (
        ("train", "ants", 25), ("train", "bees", 22), ("val", "ants", 8), ("val", "bees", 6)
    ):  # fmt: skip
        there = assets.ants_bees("rendered").path / part / name
        (folder / part / name).mkdir(parents=True)
        for path in sorted(there.iterdir())[:count]:
            shutil.copy(path, folder / part / name)
    return folder


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


@by_torchrun
def test_two_processes_write_what_one_writes_and_what_is_extracted_in_memory(
    insects, tmp_path, cpu
):
    one, two = tmp_path / "one", tmp_path / "two"
    extract(insects, one, *LITE0, "--shard-size", 8)
    by_two = [*TORCHRUN, "--standalone", "--nproc-per-node=2", TOOL]
    status, printed = run([*by_two, insects, two, *LITE0, "--shard-size", 8])
    assert status == 0, printed
    assert "process 1 of 2: 4 shards" in printed and "all 8 shards are in" in printed
    assert [np.load(path).shape for path in shards(two).values()] == [(8, 1280)] * 7 + [(5, 1280)]
    contents = [[path.read_bytes() for path in shards(out).values()] for out in (one, two)]
    assert contents[0] == contents[1]
    assert read_manifest(one) == read_manifest(two)

    model = build("tf_efficientnet_lite0", 2)
    loaders = data.image_folders(insects, size=64, augment=False, **data.statistics(model))
    features, labels = read(two)
    first = DataLoader(Subset(loaders.train.dataset, range(8)), 3)  # the batches of the first shard
    assert torch.equal(extract_in_memory(model, first, cpu).tensors[0], features[:8])
    parts = [extract_in_memory(model, part, cpu) for part in (loaders.train, loaders.val)]
    x, y = (torch.cat(both) for both in zip(*(part.tensors for part in parts), strict=True))
    # In other batches, the last bits are others.
    torch.testing.assert_close(features, x, rtol=0, atol=1e-5 * float(x.max()))
    assert torch.equal(labels, y)
    names = read_manifest(two)["names"]
    assert names[0] == "train/ants/" + min(path.name for path in (insects / "train/ants").iterdir())
    assert [name.startswith("val/") for name in names] == [False] * 47 + [True] * 14


def test_a_head_is_trained_on_what_is_read(insects, tmp_path, cpu, criterion):
    extract(insects, tmp_path, *LITE0, "--shard-size", 10)
    features, names = read_features(tmp_path), read_manifest(tmp_path)["names"]
    train, val = (
        Subset(features, [i for i, name in enumerate(names) if name.startswith(part)])
        for part in ("train/", "val/")
    )
    head = nn.Linear(1280, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    loaders = DataLoader(train, 4, shuffle=True), DataLoader(val, 4)
    history = fit(head, *loaders, criterion, optimizer, cpu, num_epochs=8, verbose=False)
    assert max(history.val_accuracy) >= 11 / 14


def test_files_give_the_inputs_of_image_folders(insects):
    loaders = data.image_folders(insects, size=96, augment=False)
    paths = sorted((insects / "val").rglob("*.jpg"))
    files = extract_features.Files(paths, 96, mean=data.MEAN, std=data.STD)
    assert len(files) == len(loaders.val.dataset) == 14
    for i in (0, 7, 13):
        assert torch.equal(files[i][0], loaders.val.dataset[i][0]) and files[i][1] == ""


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
sys.path.insert(0, str(Path(TOOL).parent))
runpy.run_path(TOOL, run_name="__main__")
"""


@by_torchrun
def test_when_one_is_killed_all_end_it_is_said_what_is_missing_and_the_next_run_goes_on(
    tmp_path, expected, pictures
):
    program, out = tmp_path / "killed.py", tmp_path / "out"
    program.write_text(KILLED.replace("TOOL", repr(str(TOOL))))
    command = [*TORCHRUN, "--standalone", "--nproc-per-node=2", program, pictures, out, *SMALL]
    status, printed = run(command)
    assert status != 0
    assert "SIGKILL" in printed
    assert "process 0 of 2 ended by SystemExit. 2 of 4 shards are missing in" in printed
    assert "shard-00002-" in printed and "the same command goes on with them" in printed
    assert sorted(shards(out)) == [0, 1] and not list(out.glob("*.unfinished"))
    with pytest.raises(FileNotFoundError, match="2 of 4 shards are missing"):
        read_features(out)

    before = times(out)
    extract(pictures, out, *SMALL)
    assert before.items() < times(out).items()
    for found, wanted in zip(read(out), expected, strict=True):
        assert torch.equal(found, wanted)


SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
"$@" & one=$!
"$@" & two=$!
wait $one && wait $two
"""


@by_torchrun
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_file_for_slurm_runs_where_two_nodes_are_stood_in_for(tmp_path, expected, pictures):
    script, out, bin_ = TOOL.with_name("extract.sbatch"), tmp_path / "out", tmp_path / "bin"
    assert run(["bash", "-n", script]) == (0, "")
    bin_.mkdir()
    for name, content in {
        "srun": SRUN,
        "scontrol": "#!/bin/bash\necho localhost\necho other\n",
        "torchrun": f'#!/bin/bash\nexec {" ".join(TORCHRUN)} "$@"\n',
    }.items():
        (bin_ / name).write_text(content)
        (bin_ / name).chmod(0o755)
    variables = {"PATH": f"{bin_}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "localhost,other"}
    variables |= {"SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "1", "SLURM_CPUS_PER_TASK": "1"}
    variables |= {"SLURM_JOB_ID": str(os.getpid())}
    status, printed = run(["bash", script, pictures, out, *SMALL], **variables)
    assert status == 0, printed
    assert "process 1 of 2: 2 shards" in printed
    for found, wanted in zip(read(out), expected, strict=True):
        assert torch.equal(found, wanted)


def test_any_number_of_processes_goes_on_with_what_another_began(
    tmp_path, expected, pictures, capsys
):
    out = tmp_path / "out"
    extract(pictures, out, *SMALL, rank=1, world=3)
    assert sorted(shards(out)) == [1]
    with pytest.raises(FileNotFoundError, match="extract features into this folder first"):
        read_features(out)  # process 0, which says what there is to be, has not begun
    before = times(out)
    extract(pictures, out, *SMALL, rank=0, world=2)
    with pytest.raises(FileNotFoundError, match=r"1 of 4 shards are missing in .*shard-00003-"):
        read_features(out)
    assert sorted(shards(out)) == [0, 1, 2]
    assert "all" not in capsys.readouterr().out
    extract(pictures, out, *SMALL)
    assert "4 shards, of which 3 are there" in (printed := capsys.readouterr().out)
    assert "2 pictures in" in printed and "all 4 shards are in" in printed
    assert before.items() < times(out).items()
    for found, wanted in zip(read(out), expected, strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces no file that is being read")
def test_two_runs_at_once_write_the_same(tmp_path, expected, pictures):
    out = tmp_path / "out"
    command = list(map(str, [sys.executable, TOOL, pictures, out, *SMALL]))
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as other:
        assert "4 shards, of which 0 are there" in other.stdout.readline()  # and now it begins
        extract(pictures, out, *SMALL)
        other.communicate()  # what it still prints has somebody to go to
    assert other.returncode == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.json",
        *read_manifest(out)["shards"],
    ]
    for found, wanted in zip(read(out), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "differing"),
    [
        (["--size", "40"], "size was 32, is 40"),
        (["--shard-size", "5"], "shard size was 4, is 5"),
        (["--weights", "other.safetensors"], "weights was"),
        (["--backbone", "tf_efficientnet_lite0"], "backbone was resnet18, is tf_eff.*mean was"),
    ],
)
def test_other_settings_are_refused(options, differing, tmp_path, pictures, monkeypatch):
    out = tmp_path / "out"
    extract(pictures, out, *SMALL)
    monkeypatch.chdir(tmp_path)
    import safetensors.torch

    torch.manual_seed(1)
    weights = build("resnet18", 2, weights=None).state_dict()
    safetensors.torch.save_file(weights, "other.safetensors")
    before, manifest = times(out), read_manifest(out)
    for rank in (0, 1):
        with pytest.raises(ValueError, match=f"is for features .* otherwise: .*{differing}"):
            extract(pictures, out, *SMALL, *options, rank=rank, world=2)
    assert times(out) == before and read_manifest(out) == manifest


def test_a_run_into_whose_folder_another_was_begun_fails(tmp_path, pictures, monkeypatch):
    out, shards_of = tmp_path / "out", extract_features.extract_shards

    def and_another(*args, **options):
        shards_of(*args, **options)
        manifest = read_manifest(out)
        manifest["settings"]["size"] = 40
        (out / "manifest.json").write_text(json.dumps(manifest))

    monkeypatch.setattr(extract_features, "extract_shards", and_another)
    with pytest.raises(ValueError, match="size was 40, is 32"):
        extract(pictures, out, *SMALL)


def test_of_pictures_that_changed_only_the_shards_are_computed_anew(tmp_path, pictures):
    out = tmp_path / "out"
    extract(pictures, out, *SMALL)
    before, features = times(out), read(out)[0]
    save_picture(pictures / "a" / "05.png", width=44, seed=99)
    save_picture(pictures / "b" / "14.png", seed=14)
    with torch.no_grad():
        extract(pictures, out, *SMALL)
    there = [name for name in read_manifest(out)["shards"] if name in before]
    assert [name[:11] for name in there] == ["shard-00000", "shard-00002"]
    assert before.items() < times(out).items()
    found, labels = read(out)
    same = (found[:14] == features).all(dim=1)
    assert len(found) == 15 and same.tolist() == [True] * 5 + [False] + [True] * 8
    assert labels.tolist() == [0] * 8 + [1] * 7


def test_files_that_are_no_pictures_are_named_and_all_else_is_done(
    tmp_path, expected, pictures, capsys
):
    out, content = tmp_path / "out", (pictures / "a" / "01.png").read_bytes()
    (pictures / "a" / "01.png").write_bytes(content[:500])
    (pictures / "b" / "13.png").write_bytes(b"")
    with pytest.raises(ValueError, match="files that are no pictures: 2") as error:
        extract(pictures, out, *SMALL)
    for text in (str(error.value), capsys.readouterr().err):
        assert "01.png: damaged" in text and "13.png: an empty file" in text
    assert sorted(shards(out)) == [1, 2]
    before = times(out)
    (pictures / "a" / "01.png").write_bytes(content)
    save_picture(pictures / "b" / "13.png", seed=13)
    extract(pictures, out, *SMALL)
    assert before.items() < times(out).items()
    for found, wanted in zip(read(out), expected, strict=True):
        assert torch.equal(found, wanted)


def test_a_damaged_shard_is_computed_anew(tmp_path, expected, pictures):
    out = tmp_path / "out"
    extract(pictures, out, *SMALL)
    content = bytearray(shards(out)[2].read_bytes())
    content[500] ^= 1
    shards(out)[2].unlink()  # not changed in place: it may still be mapped
    (out / read_manifest(out)["shards"][2]).write_bytes(content)
    extract(pictures, out, *SMALL)
    assert torch.equal(read(out)[0], expected[0])


def test_with_workers_that_decode_nothing_differs(tmp_path, expected, pictures):
    extract(pictures, tmp_path / "out", *SMALL, "--workers", "1")
    assert torch.equal(read(tmp_path / "out")[0], expected[0])


def test_more_shards_are_read_than_files_may_be_open(tmp_path, pictures):
    resource = pytest.importorskip("resource")
    extract(pictures, tmp_path / "out", *SMALL, "--shard-size", "1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # the lowest number that is free
    os.close(lowest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 4, hard))
        features = read_features(tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(features.datasets) == len(features) == 14


def test_features_of_other_pictures_or_settings_are_not_taken(tmp_path):
    """Where nothing else tells them apart: files of the same size, and the list is gone."""
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    for i in range(6):
        save_picture(pictures / "ab"[i // 4] / f"{i}.bmp", seed=i)
    extract(pictures, out, *SMALL)
    before = read(out)[0]
    (pictures / "a" / "0.bmp").rename(pictures / "a" / "9.bmp")
    extract(pictures, out, *SMALL)
    torch.testing.assert_close(read(out)[0], before[[1, 2, 3, 0, 4, 5]])
    (out / "manifest.json").unlink()
    extract(pictures, out, *SMALL, "--size", "40")
    assert not torch.allclose(read(out)[0], before[[1, 2, 3, 0, 4, 5]], atol=1e-2)


def test_where_nothing_was_extracted_it_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="extract features into this folder first"):
        read_features(tmp_path)


@pytest.mark.parametrize("option", ["--size", "--batch-size", "--shard-size"])
def test_nothing_is_cut_into_nothing(option, tmp_path, pictures, capsys):
    with pytest.raises(SystemExit):
        extract(pictures, tmp_path / "out", option, "0")
    assert "--batch-size and --shard-size 1" in capsys.readouterr().err


def test_times_are_written_in_words():
    seconds = (5.04, 89, 90, 5399, 5400, 129_599, 129_600)
    words = ["5.0 s", "89.0 s", "1.5 min", "90.0 min", "1.5 h", "36.0 h", "1.5 days"]
    assert [measure_growth.in_words(value, measure_growth.TIMES) for value in seconds] == words
    assert measure_growth.in_words(51.2, measure_growth.SIZES) == "51.2 MB"
    assert measure_growth.in_words(5.12e6, measure_growth.SIZES) == "5.1 TB"


def test_the_page_quotes_the_growth_of_features():
    pages = Path(__file__).parents[1] / "book"
    with (pages / "growth_features.csv").open(encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    text = (pages / "speed.md").read_text("utf8")
    (rate,) = {row["pictures a second"] for row in rows if row["on"] == "1 graphics card"}
    assert f"decoding limits, at {rate} pictures a second" in text
    whole = next(row for row in rows if row["pictures"] == "1,000,000")
    assert f"{whole['disk'].split()[0]} kB of features each" in text
    few, many = (row for row in rows if row["on"] == "2 processors" and row["how"] == "measured")
    memory, pictures = (
        int(many[key].replace(",", "")) - int(few[key].replace(",", ""))
        for key in ("peak MB", "pictures")
    )
    assert 1000 * memory / pictures == pytest.approx(1, abs=0.3) and "about 1 kB a picture" in text


def test_growth_is_measured_and_calculated(tmp_path, monkeypatch):
    def measure(pictures, count, processes, out, shard_size):
        paths = list(pictures.rglob("*.jpg"))
        sizes = [path.stat().st_size for path in paths]
        assert len(paths) == count and min(sizes) > 90_000 and max(sizes) < 110_000
        return measure_growth.Row(count, processes, "processor", count / 40 / processes, 900, 1)

    table = tmp_path / "table.csv"
    command = ["measure_growth.py", "--counts", "6", "12", "--more", "1000000", "--cards", "8"]
    monkeypatch.setattr(sys, "argv", [*command, "--card-rate", "100", "--out", str(table)])
    monkeypatch.setattr(measure_growth, "measure", measure)
    monkeypatch.setattr(measure_growth, "DISTINCT", 6)
    monkeypatch.setattr(measure_growth, "decoding_rate", lambda pictures, count: 50.0)
    measure_growth.main()
    with table.open(encoding="utf8") as file:
        columns, *rows = csv.reader(file)
    assert columns == measure_growth.COLUMNS
    assert [row[:2] for row in rows[:3]] == [
        ["6", "1 processor"],
        ["6", "2 processors"],
        ["12", "2 processors"],
    ]
    assert rows[3] == ["1,000,000", "2 processors", "3.5 h", "80", "", "5.1 GB", "calculated"]
    cards = ["1,000,000", "8 graphics cards", "20.8 min", "800", "", "5.1 GB", "calculated"]
    assert rows[4] == cards


def test_one_processor_decodes_at_some_rate(tmp_path):
    measure_growth.make_pictures(tmp_path / "pictures", 4)
    assert measure_growth.decoding_rate(tmp_path / "pictures", 4) > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["PICTURES", "PICTURES/features"], "lies in"),
        (["PICTURES", "FILE"], "is a file: give a folder"),
        (["PICTURES", "OUT", "--size", "1"], "--size is 32 at least"),
        (["PICTURES", "OUT", "--workers", "-1"], "--workers 0"),
        (["nowhere", "OUT"], "extract_features: "),
        (["PICTURES", "OUT", "--backbone", "nosuch"], "extract_features: Unknown model"),
    ],
)
def test_a_mistake_ends_with_one_line_and_leaves_nothing(arguments, told, tmp_path, pictures):
    (tmp_path / "a.txt").touch()
    places = {"PICTURES": pictures, "FILE": tmp_path / "a.txt", "OUT": tmp_path / "out"}
    for name, place in places.items():
        arguments = [argument.replace(name, str(place)) for argument in arguments]
    done = subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True)
    assert done.returncode and told in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() and not (pictures / "features").exists()
