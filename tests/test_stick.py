"""The stick: what is gathered, what refuses to install, and that it installs with no network."""

import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from stand_ins import serving, write

from helpers.assets import sha256_of
from tools.course import stick, wheels
from tools.course.on_stick import install

ROOT = Path(__file__).parent.parent
ON_STICK = ROOT / "tools" / "course" / "on_stick"
PYTHON = f"3.{sys.version_info[1]}"
HERE = install.SYSTEMS.get((sys.platform, install.platform.machine()), [""])[0]
needs_sh = pytest.mark.skipif(sys.platform == "win32" or not HERE, reason="needs sh and PyTorch")


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def make_wheel(path, name="small", files=()):
    info = f"{name}-1.0.dist-info"
    write_zip(path, {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    } | dict(files))  # fmt: skip


# A course with a build backend of its own, so that nothing need be downloaded to build it.
BACKEND = f"""import os, zipfile
{inspect.getsource(write_zip)}
{inspect.getsource(make_wheel)}
def build_editable(folder, settings=None, metadata=None):
    name = "course-1.0-py3-none-any.whl"
    make_wheel(os.path.join(folder, name), "course", {{"course.pth": os.getcwd()}})
    return name
"""
COURSE = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
                      'backend-path = ["."]\n[project]\nname = "course"\nversion = "1.0"\n',
    "backend.py": BACKEND,
    "requirements.lock": "small==1.0\n",
    "taught.py": "",
    "tools/__init__.py": "",
    "tools/photographs.py": "import sys; print(sys.argv[1:])",
}  # fmt: skip


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def write_sums(folder):
    names = sorted(files_in(folder).keys() - {install.SUMS})
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names]
    write(folder / install.SUMS, "".join(lines))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A stick with a course of six files, a package of one, and an archive of photographs."""
    folder = tmp_path / "Stick für alle"
    wheel = folder / "wheels" / f"{HERE}-{PYTHON}" / "small-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    make_wheel(wheel)
    write(wheel.with_name("requirements.txt"), f"small==1.0 --hash=sha256:{sha256_of(wheel)}\n")
    write_zip(folder / install.COURSE, {f"course/{name}": text for name, text in COURSE.items()})
    write(folder / install.ARCHIVES[0])
    for path in ON_STICK.iterdir():
        shutil.copy(path, folder)
    write_sums(folder)
    monkeypatch.setattr(install, "find_wheels", lambda sums: f"wheels/{HERE}-{PYTHON}")
    return folder


def without_network():
    """Return what runs a command where there is no network, if this system can."""
    command = ["unshare", "--map-root-user", "--net"]
    works = shutil.which("unshare") and not subprocess.run([*command, "true"]).returncode
    return command if works else []


def run(folder, *arguments, python=sys.executable, cwd=None, prefix=()):
    env = os.environ | {"PYTHON": str(python), "HOME": str(folder.parent / "home")}
    command, cwd = [*prefix, "sh", folder / "install.sh", *arguments], cwd or folder.parent
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True)


@needs_sh
def test_it_installs_with_no_network_goes_on_after_a_break_and_does_it_once(small, tmp_path):
    target = tmp_path / "my course, größer" / "here"
    stamp = target / ".venv" / "installed"
    wheel = next(small.rglob("*.whl"))
    good = wheel.read_bytes()
    write_zip(wheel, {"nothing": ""})  # the list has its hash: only pip finds the fault
    write_sums(small)
    stopped = run(small, target, prefix=without_network())
    assert stopped.returncode == 1 and "Call this again" in stopped.stderr
    assert (target / install.UNFINISHED).exists() and not stamp.exists()
    write(target / "mine.txt", "mine")
    wheel.write_bytes(good)
    write_sums(small)

    done = run(small, target, prefix=without_network())
    assert done.returncode == 0, done.stderr
    assert "Going on" in done.stdout and f"Installed in {target}" in done.stdout
    assert f"['bring', '--from', '{small}']" in done.stdout
    python = target / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", "import small, taught"], check=True, cwd=tmp_path)
    assert stamp.read_text() == "\n"  # as `echo > …` of the Makefile
    assert not (target / install.UNFINISHED).exists()
    assert [path.name for path in target.parent.iterdir()] == ["here"]  # nothing left beside it

    before = files_in(target)
    assert before["mine.txt"] == b"mine"
    refused = run(small, target)
    assert refused.returncode == 1 and "name another folder" in refused.stderr
    assert files_in(target) == before


@needs_sh
def test_a_folder_that_is_there_or_was_begun_with_another_course_is_refused(small, tmp_path):
    target = tmp_path / "transfer-learning"
    target.mkdir()
    assert f"{target} is there already" in run(small).stderr
    write(target / "thesis.txt", "mine")
    assert f"{target} is there already" in run(small).stderr
    write(target / install.UNFINISHED, "the hash of another course")
    refused = run(small)
    assert refused.returncode == 1 and "another version" in refused.stderr
    assert files_in(target).keys() == {"thesis.txt", install.UNFINISHED}
    # Called on the stick, it would go into the home folder.
    (tmp_path / "home" / "transfer-learning").mkdir(parents=True)
    assert str(tmp_path / "home" / "transfer-learning") in run(small, cwd=small).stderr
    assert not (small / "transfer-learning").exists()
    assert "There is no python3.99" in run(small, python="python3.99").stderr


def test_a_changed_byte_and_a_missing_file_are_found(small):
    sums = install.read_sums(small)
    for name in install.needed(sums):
        good = (small / name).read_bytes()
        (small / name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(SystemExit, match=f"{re.escape(name)} is damaged"):
            install.verify(small, sums, None)
        (small / name).unlink()
        with pytest.raises(SystemExit, match=f"{re.escape(name)} is missing"):
            install.verify(small, sums, None)
        (small / name).write_bytes(good)
    install.verify(small, sums, None)
    write(small / install.SUMS)
    with pytest.raises(SystemExit, match="not finished"):
        install.read_sums(small)


def test_a_python_that_is_too_old_or_that_has_no_packages_is_refused(monkeypatch):
    sums = {"wheels/linux-cpu-3.13/requirements.txt": "", "wheels/windows-3.12/a.whl": ""}
    for system, machine, version, said in [
        ("linux", "x86_64", (3, 9, 1), "needs Python 3.11.4 or newer"),
        ("linux", "x86_64", (3, 11, 3), "needs Python 3.11.4 or newer"),
        ("linux", "x86_64", (3, 12, 9), "linux-cpu-3.13, windows-3.12; this is Python 3.12.9"),
        ("linux", "aarch64", (3, 13, 0), "for linux on aarch64"),
        ("linux", "x86_64", (3, 13, 0), "wheels/linux-cpu-3.13"),
        ("win32", "AMD64", (3, 12, 0), "wheels/windows-3.12"),
    ]:
        there = SimpleNamespace(platform=system, version_info=version, executable="", exit=sys.exit)
        monkeypatch.setattr(install, "sys", there)
        monkeypatch.setattr(install, "platform", SimpleNamespace(machine=lambda m=machine: m))
        try:
            assert install.find_wheels(sums) == said
        except SystemExit as refused:
            assert said in str(refused), refused


def test_the_installer_knows_what_it_must():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    assert ".".join(map(str, install.OLDEST)) == project["requires-python"].removeprefix(">=")
    assert tuple(known.archive for known in stick.SOURCES.values()) == install.ARCHIVES
    assert (install.COURSE, install.SUMS) == (stick.COURSE, stick.SUMS)
    assert {name for names in install.SYSTEMS.values() for name in names} == wheels.SYSTEMS.keys()
    for (_, machine), names in install.SYSTEMS.items():
        for name in names:
            assert wheels.SYSTEMS[name][1][0].endswith(machine.lower())
    text = (ON_STICK / "install.py").read_text("utf8")
    assert set(re.findall(r"^(?:import|from) (\w+)", text, re.M)) <= sys.stdlib_module_names


def test_what_is_served_is_fetched_and_verified(small, tmp_path):
    there, sums = tmp_path / "there", install.read_sums(small)
    with serving(small) as address:
        page = urllib.request.urlopen(address).read().decode()
        assert "python3 install.py --from" in page and 'href="site/index.html"' in page
        install.verify(there, sums, address)
        assert files_in(there).keys() == set(install.needed(sums))  # and nothing else
        for path in (there / install.COURSE, next(small.rglob("*.whl"))):
            path.write_bytes(b"half of it")
        install.verify(there, sums, address)  # the first was fetched again, the second is not asked
        next(there.rglob("*.whl")).unlink()
        with pytest.raises(SystemExit, match="is damaged"):
            install.verify(there, sums, address)
    with pytest.raises(SystemExit, match="goes on with this file"):
        install.verify(there, sums, address)


# ---- what is gathered ----------------------------------------------------------------------------


def test_uv_says_which_packages_and_the_lock_which_hashes(monkeypatch):
    text = wheels.LOCK.read_text("utf8")
    pins = re.findall(r"^[a-z][^ ;]+==[^ ;]+", text, re.M)
    asked = []

    def uv(command, **_):
        asked.append(command)
        return SimpleNamespace(stdout="\n".join(pins))

    monkeypatch.setattr(wheels.subprocess, "run", uv)
    monkeypatch.setattr(wheels.shutil, "which", lambda name: name)
    found = wheels.locked("windows", "3.12")
    assert {"x86_64-pc-windows-msvc", "3.12", ":all:"} <= set(asked[0])
    assert [line.split()[0] for line in found.values()] == pins
    assert sum(line.count(" --hash=sha256:") for line in found.values()) == text.count("--hash=")
    for name, line in found.items():
        assert re.fullmatch(rf"{name}==\S+( --hash=sha256:[0-9a-f]{{64}})+", line), line
    without_cuda = wheels.locked("linux-cpu", "3.13")
    assert found.keys() - without_cuda.keys() == {
        name for name in found if name.startswith(("nvidia-", "cuda-", "triton"))
    }
    assert {without_cuda[name] for name in wheels.PYTORCH} <= set(pins)
    assert "setuptools" in found and "pip" not in found  # `pip install -e .` builds with it
    monkeypatch.setattr(wheels.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="needs uv"):
        wheels.locked("windows", "3.12")


@pytest.fixture
def gathered(tmp_path, monkeypatch):
    """A function that gathers a stick, with packages that nobody downloads."""
    write(tmp_path / "site" / "index.html", "the site")
    write(tmp_path / "site" / "slides" / "01.html", "slides")
    for name in install.ARCHIVES:
        write(tmp_path / "archives" / name, "right")
    for name in ("small-1.0", "torch-2.0+cpu", "torchvision-2.0+cpu"):
        write(tmp_path / "index" / f"{name}-py3-none-any.whl", name)
    digest = sha256_of(tmp_path / "index" / "small-1.0-py3-none-any.whl")
    lines = {"small": f"small==1.0 --hash=sha256:0 --hash=sha256:{digest}"}
    lines |= {name: f"{name}==2.0" for name in wheels.PYTORCH}
    monkeypatch.setattr(stick, "pack_course", lambda path: path.write_bytes(b"the course"))
    monkeypatch.setattr(stick, "hash_matches", lambda path, _: Path(path).read_text() == "right")

    def locked(platform, python):
        return {name: lines[name] for name in lines if name == "small" or "cpu" in platform}

    def download(folder, platform, python, *what):
        pattern = "torch*.whl" if wheels.WITHOUT_CUDA in what else "small*.whl"
        for wheel in (tmp_path / "index").glob(pattern):
            shutil.copy(wheel, folder)

    monkeypatch.setattr(wheels, "locked", locked)
    monkeypatch.setattr(wheels, "download", download)

    def gather(platform="linux", python="3.13", status=0):
        out, *there = tmp_path / "out", tmp_path / "site", tmp_path / "archives"
        assert stick.main(out, platform, python, *there) == status
        return out

    return gather


def test_a_stick_holds_all_and_lists_it(gathered):
    out = gathered()
    sums = install.read_sums(out)
    assert sums.keys() == files_in(out).keys() - {stick.SUMS}
    wheel = "wheels/linux-3.13/small-1.0-py3-none-any.whl"
    assert {"site/slides/01.html", "install.sh", "install.bat", "README.txt"} <= set(sums)
    assert {wheel, stick.COURSE, *install.ARCHIVES} <= set(sums)
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--quiet", "-c", stick.SUMS], cwd=out, check=True)
    assert b"\r\n" in (out / "install.bat").read_bytes()
    assert b"\r" not in (out / "install.sh").read_bytes()


def test_called_again_it_adds_another_system_and_takes_off_what_is_old(gathered, tmp_path):
    out = gathered()
    first = install.read_sums(out)
    write(out / "wheels" / "linux-3.13" / "old-1.0-py3-none-any.whl")
    write(out / "wheels" / "macos-3.13" / "other-1.0-py3-none-any.whl", "half of it")
    shutil.rmtree(tmp_path / "site" / "slides")
    write(out / "thesis.txt", "the teacher's")
    gathered()
    gathered("linux-cpu", "3.12")
    second = install.read_sums(out)
    assert first.keys() - second.keys() == {"site/slides/01.html"}
    folder = "wheels/linux-cpu-3.12"
    assert second.keys() - first.keys() == {
        f"{folder}/{name}" for name in
        ("requirements.txt", "small-1.0-py3-none-any.whl", "torch-2.0+cpu-py3-none-any.whl",
         "torchvision-2.0+cpu-py3-none-any.whl")
    }  # fmt: skip
    for line in (out / folder / "requirements.txt").read_text("utf8").splitlines():
        name, *hashes = re.split(r"==| --hash=sha256:", line)
        (wheel,) = (out / folder).glob(f"{name}-*.whl")
        assert sha256_of(wheel) in hashes
    assert not list(out.rglob("old-*")) and (out / "thesis.txt").exists()


def test_damaged_and_unfinished_files_are_named(gathered, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise subprocess.CalledProcessError(1, ["pip"])

    out = gathered()
    with monkeypatch.context() as patch:
        patch.setattr(wheels, "download", interrupted)
        gathered("windows", status=1)
    assert "pip stopped" in capsys.readouterr().err
    assert not (out / "wheels" / "windows-3.13" / "requirements.txt").exists()
    with pytest.raises(SystemExit, match="not finished"):
        install.read_sums(out)
    write(out / "wheels" / "linux-3.13" / "small-1.0-py3-none-any.whl", "half of it")
    gathered("windows", status=1)
    assert "call this for linux and Python 3.13 again" in capsys.readouterr().err
    gathered()
    assert install.read_sums(out)
    write(tmp_path / "archives" / install.ARCHIVES[2], "half of it")
    gathered(status=1)
    assert f"{install.ARCHIVES[2]} is damaged" in capsys.readouterr().err


def test_what_is_missing_is_said_and_files_of_others_stay(gathered, tmp_path, capsys):
    shutil.rmtree(tmp_path / "site")
    (tmp_path / "archives" / install.ARCHIVES[0]).unlink()
    out = gathered()
    said = capsys.readouterr().out
    assert "Not here: the site" in said and f"Not here: {install.ARCHIVES[0]}" in said
    assert said.count("Not here") == 2
    shutil.rmtree(out)
    write(out / "site" / "index.html", "my own site")
    gathered(status=1)
    assert "a site that is not of a stick" in capsys.readouterr().err
    assert files_in(out) == {"site/index.html": b"my own site"}
