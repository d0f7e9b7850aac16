"""The stick: what is gathered, what refuses to install, and that it installs with no network."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
import stand_ins
from packaging.requirements import Requirement

from tools import photographs as bringing
from tools.course import archives, stick, wheels
from tools.photographs import SUMS, is_served

ROOT = Path(__file__).parent.parent
ON_STICK = ROOT / "tools" / "course" / "on_stick"
PYTHON = f"3.{sys.version_info[1]}"


def load_installer():
    spec = importlib.util.spec_from_file_location("install_stick", ON_STICK / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = load_installer()
HERE = next(iter(install.SYSTEMS.get(sys.platform, [[""]])[0]))
needs_sh = pytest.mark.skipif(
    sys.platform == "win32" or install.platform.machine() != install.SYSTEMS[sys.platform][1],
    reason="needs sh, and a machine that PyTorch is built for",
)

# A build backend of its own, so that nothing need be downloaded to build the course.
BACKEND = """
import base64, hashlib, os, zipfile
def build_editable(folder, settings=None, metadata=None):
    name = "course-1-py3-none-any.whl"
    files = {"course.pth": os.getcwd(),
             "course-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: course\\nVersion: 1\\n",
             "course-1.dist-info/WHEEL":
                 "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
             "course-1.dist-info/RECORD": ""}
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""
COURSE = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
                      'backend-path = ["."]\n[project]\nname = "course"\nversion = "1"\n',
    "backend.py": BACKEND,
    "requirements.lock": "small==1.0\n",
    "taught.py": "",
}  # fmt: skip


def make_wheel(path: Path) -> None:
    name, version = path.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def write_sums(folder: Path, more: str = "") -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{wheels.sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in paths]
    (folder / install.SUMS).write_text("".join(lines) + more, "utf8")


@pytest.fixture
def small(tmp_path):
    """A stick with a course of four files and a package of one."""
    folder = tmp_path / "Stick für alle"
    packages = folder / "wheels" / f"{HERE}-{PYTHON}"
    packages.mkdir(parents=True)
    make_wheel(packages / "small-1.0+cpu-py3-none-any.whl")
    digest = wheels.sha256_of(packages / "small-1.0+cpu-py3-none-any.whl")
    (packages / "requirements.txt").write_text(f"small==1.0 --hash=sha256:{digest}\n", "utf8")
    with zipfile.ZipFile(folder / install.COURSE, "w") as archive:
        for name, text in COURSE.items():
            archive.writestr(f"course/{name}", text)
    for name in ("install.py", "install.sh", "install.bat"):
        shutil.copy(ON_STICK / name, folder)
    write_sums(folder)
    return folder


def without_network():
    """Return what runs a command where there is no network, if this system can."""
    command = ["unshare", "--map-root-user", "--net"]
    if (
        shutil.which("unshare")
        and not subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode
    ):
        return command
    return []


def run(folder, *arguments, python=sys.executable, cwd=None, prefix=()):
    env = os.environ | {"PYTHON": str(python), "HOME": str(folder.parent / "home")}
    command = [*prefix, "sh", str(folder / "install.sh"), *map(str, arguments)]
    return subprocess.run(
        command, env=env, cwd=cwd or folder.parent, capture_output=True, text=True
    )


@needs_sh
def test_it_installs_from_an_odd_path_to_an_odd_path_with_no_network(small, tmp_path):
    target = tmp_path / "my course, größer" / "here"
    done = run(small, target, prefix=without_network())
    assert done.returncode == 0, done.stderr
    assert str(target) in done.stdout
    python = target / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", "import small, taught"], check=True, cwd=tmp_path)
    stamp = target / ".venv" / "installed"
    assert stamp.read_text() == "\n"  # as `echo > …` of the Makefile
    for name in ("requirements.lock", "pyproject.toml"):
        assert stamp.stat().st_mtime >= (target / name).stat().st_mtime
    assert not (target / install.UNFINISHED).exists()
    assert [path.name for path in target.parent.iterdir()] == ["here"]  # nothing left beside it


@needs_sh
def test_interrupted_it_goes_on_and_then_leaves_the_folder_alone(small, tmp_path):
    wheel = next((small / "wheels").rglob("*.whl"))
    good = wheel.read_bytes()
    with zipfile.ZipFile(wheel, "w") as archive:  # the list has its hash: only pip finds the fault
        archive.writestr("nothing", "")
    write_sums(small)
    stopped = run(small)
    target = tmp_path / "transfer-learning"
    assert stopped.returncode == 1 and "Call this again" in stopped.stderr
    assert (target / install.UNFINISHED).exists() and not (target / ".venv" / "installed").exists()
    (target / "mine.txt").write_text("mine")
    wheel.write_bytes(good)
    write_sums(small)
    done = run(small)
    assert done.returncode == 0, done.stderr
    assert "Going on" in done.stdout and (target / "mine.txt").read_text() == "mine"
    before = stand_ins.listing(target)
    refused = run(small)
    assert refused.returncode == 1 and "name another folder" in refused.stderr
    assert stand_ins.listing(target) == before


@needs_sh
def test_what_another_stick_began_is_not_continued(small, tmp_path):
    target = tmp_path / "transfer-learning"
    stand_ins.write(target / install.UNFINISHED, "the hash of another course")
    refused = run(small)
    assert refused.returncode == 1 and "another version" in refused.stderr


@needs_sh
@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_that_is_there_is_refused(small, tmp_path, empty):
    target = tmp_path / "transfer-learning"
    target.mkdir()
    if not empty:
        (target / "thesis.txt").write_text("mine")
    refused = run(small)
    assert refused.returncode == 1 and f"{target} is there already" in refused.stderr
    assert list(stand_ins.listing(target)) == ([] if empty else ["thesis.txt"])


@needs_sh
@pytest.mark.parametrize("name", ["a wheel", install.COURSE, "requirements.txt"])
def test_a_changed_byte_and_a_missing_file_are_found(small, tmp_path, name):
    found = {"a wheel": "*.whl"}.get(name, name)
    (path,) = small.rglob(found)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused = run(small)
    assert refused.returncode == 1 and f"{path.name} is damaged" in refused.stderr
    path.unlink()
    refused = run(small)
    assert refused.returncode == 1 and f"{path.name} is missing" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [small.name]


def python_of_version(folder, version):
    """Write a program that is this Python, but says that it is of another version."""
    program = folder / "another python"
    code = f"import runpy, sys; sys.version_info = {version}; del sys.argv[0]; " \
           "runpy.run_path(sys.argv[0], run_name='__main__')"  # fmt: skip
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    program.chmod(0o755)
    return program


@needs_sh
@pytest.mark.parametrize(
    ("version", "said"),
    [
        ((3, 9, 1), "needs Python 3.11.4 or newer"),
        ((3, 11, 3), "needs Python 3.11.4 or newer"),
        ((3, 99, 0), f"for Python {PYTHON}, this one is 3.99.0. Try: PYTHON=python{PYTHON} sh"),
    ],
)
def test_another_python_is_refused(small, tmp_path, version, said):
    refused = run(small, python=python_of_version(tmp_path, version))
    assert refused.returncode == 1 and said in refused.stderr, refused.stderr
    assert not (tmp_path / "transfer-learning").exists()


@needs_sh
def test_a_python_that_is_not_there_is_said(small):
    refused = run(small, python="python3.99")
    assert refused.returncode == 1 and "There is no python3.99" in refused.stderr


@needs_sh
def test_called_on_the_stick_it_installs_into_the_home_folder(small, tmp_path):
    (tmp_path / "home" / "transfer-learning").mkdir(parents=True)
    refused = run(small, cwd=small)
    assert str(tmp_path / "home" / "transfer-learning") in refused.stderr
    assert not (small / "transfer-learning").exists()


@needs_sh
def test_too_little_space_is_said_before_anything_is_written(small, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SystemExit, match="too little"):
        install.check_space(small, [install.COURSE], tmp_path / "a" / "b")


def test_the_installer_knows_what_it_must():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    assert ".".join(map(str, install.OLDEST)) == project["requires-python"].removeprefix(">=")
    assert tuple(known.archive for known in stick.SOURCES.values()) == install.ARCHIVES
    assert (install.COURSE, install.SUMS) == (stick.COURSE, stick.SUMS) and SUMS == stick.SUMS
    folders = {name for names, *_ in install.SYSTEMS.values() for name in names}
    assert folders == wheels.SYSTEMS.keys()
    for names, machine, _ in install.SYSTEMS.values():
        assert {wheels.SYSTEMS[name].markers["platform_machine"] for name in names} == {machine}
    imported = set(
        re.findall(r"^(?:import|from) (\w+)", (ON_STICK / "install.py").read_text(), re.M)
    )
    assert imported <= sys.stdlib_module_names


# ---- what is gathered ----------------------------------------------------------------------------


def test_for_this_system_the_lock_says_what_pip_would_make_of_it():
    lines = wheels.LOCK.read_text("utf8").replace("\\\n", " ").splitlines()
    asked = [Requirement(line.split("--hash=")[0]) for line in lines if line[0] not in "# "]
    here = {one.name for one in asked if one.marker is None or one.marker.evaluate()}
    platform = {"linux": "linux", "darwin": "macos", "win32": "windows"}[sys.platform]
    found = wheels.locked(platform, PYTHON)
    assert found.keys() == here
    for name, line in found.items():
        assert re.fullmatch(rf"{name}==\S+( --hash=sha256:[0-9a-f]{{64}})+", line), line


def test_each_system_gets_its_own():
    found = {platform: wheels.locked(platform, "3.13").keys() for platform in wheels.SYSTEMS}
    assert {"nvidia-cublas", "triton", "torch"} <= found["linux"]
    assert not any(wheels.ONLY_CUDA.fullmatch(name) for name in found["linux-cpu"])
    assert found["linux"] - found["linux-cpu"] == {
        name for name in found["linux"] if name.startswith(("nvidia-", "cuda-", "triton"))
    }
    assert "appnope" in found["macos"] and "triton" not in found["macos"]
    assert {"colorama", "pywinpty"} <= found["windows"] and "pexpect" not in found["windows"]
    assert "overrides" in wheels.locked("linux", "3.11") and "overrides" not in found["linux"]
    for names in found.values():  # what `pip install -e .` builds with
        assert {"setuptools", "pip"} & names == {"setuptools"}


@pytest.fixture
def gathered(tmp_path, monkeypatch):
    """A function that gathers a stick, with packages that nobody downloads."""
    site, photographs = tmp_path / "site", tmp_path / "archives"
    stand_ins.write(site / "index.html", "the site")
    stand_ins.write(site / "slides" / "01.html", "slides")
    stand_ins.known_by(stand_ins.make_archives(photographs), monkeypatch.setattr)
    monkeypatch.setattr(stick, "SOURCES", bringing.SOURCES)
    make_wheel(tmp_path / "small-1.0-py3-none-any.whl")
    digest = wheels.sha256_of(tmp_path / "small-1.0-py3-none-any.whl")
    lines = {"small": f"small==1.0 --hash=sha256:0 --hash=sha256:{digest}"}
    monkeypatch.setattr(wheels, "locked", lambda *_: lines)
    monkeypatch.setattr(stick, "pack_course", lambda path: path.write_bytes(b"the course"))
    asked = []

    def pip(command, platform, python, *arguments):
        asked.append((command, platform, python))
        shutil.copy(tmp_path / "small-1.0-py3-none-any.whl", arguments[-1])

    monkeypatch.setattr(wheels, "pip", pip)

    def gather(platform="linux", python="3.13", out=tmp_path / "out"):
        assert stick.main(out, platform, python, site, photographs) == 0
        return out

    gather.asked, gather.site, gather.photographs = asked, site, photographs
    return gather


def test_a_stick_holds_all_and_lists_it(gathered, monkeypatch):
    monkeypatch.setattr(stick, "pack_course", archives.pack_course)
    out = gathered()
    sums = install.read_sums(out)
    assert set(sums) == {
        path.relative_to(out).as_posix()
        for path in out.rglob("*") if path.is_file() and path.name != stick.SUMS
    }  # fmt: skip
    wheel = "wheels/linux-3.13/small-1.0-py3-none-any.whl"
    assert {"site/slides/01.html", "install.sh", "install.bat", "README.txt"} <= set(sums)
    assert {wheel, stick.COURSE, *install.ARCHIVES} <= set(sums)
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--quiet", "-c", stick.SUMS], cwd=out, check=True)
    assert b"\r\n" in (out / "install.bat").read_bytes()
    assert b"\r" not in (out / "install.sh").read_bytes()
    readme = (out / "README.txt").read_text("utf8")
    assert "wheels/linux-3.13: the packages for linux, Python 3.13" in readme
    assert "Not here" not in readme and "$" not in readme
    with zipfile.ZipFile(out / stick.COURSE) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 1 and f"{tops.pop()}/requirements.lock" in names
    assert not [name for name in names if "/.venv/" in name or "/_build/" in name]


def test_called_again_it_adds_another_system_and_takes_off_what_is_old(gathered):
    out = gathered()
    first = install.read_sums(out)
    make_wheel(out / "wheels" / "linux-3.13" / "old-1.0-py3-none-any.whl")
    shutil.rmtree(gathered.site / "slides")
    (out / "thesis.txt").write_text("the teacher's")
    gathered()
    gathered("windows", "3.12")
    second = install.read_sums(out)
    assert gathered.asked[1:] == [("download", "windows", "3.12")]  # the other one is there
    assert "wheels/windows-3.12/small-1.0-py3-none-any.whl" in second
    gone = {"site/slides/01.html"}
    assert {name for name in first if name not in second} == gone
    assert not list(out.rglob("old-*")) and (out / "thesis.txt").exists()
    assert "thesis.txt" not in second


def test_packages_that_are_not_complete_or_damaged_do_not_come_on_the_stick_unseen(
    gathered, tmp_path, monkeypatch, capsys
):
    def interrupted(*_):
        raise subprocess.CalledProcessError(1, "pip")

    out = gathered()
    stand_ins.write(out / "wheels" / "windows-3.13" / "other-1.0-py3-none-any.whl", "half of it")
    with monkeypatch.context() as patch:
        patch.setattr(wheels, "pip", interrupted)
        assert stick.main(out, "windows", "3.13", gathered.site, gathered.photographs) == 1
    assert "Call this again" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="not finished"):
        install.read_sums(out)
    assert not [name for name in install.read_sums(gathered()) if "windows" in name]
    wheel = out / "wheels" / "linux-3.13" / "small-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-1])
    assert stick.main(out, "macos", "3.13", gathered.site, gathered.photographs) == 1
    assert "call this for linux and Python 3.13 again" in capsys.readouterr().err
    gathered()
    assert install.read_sums(out)


def test_what_is_missing_is_said(gathered, capsys):
    shutil.rmtree(gathered.site)
    (gathered.photographs / "hymenoptera_data.zip").unlink()
    gathered.site.mkdir()
    readme = (gathered() / "README.txt").read_text("utf8")
    said = capsys.readouterr().out
    for text in (readme, said):
        assert "Not here: the site" in text and "Not here: hymenoptera_data.zip" in text
        assert "Not here: cifar" not in text


def test_a_damaged_archive_does_not_come_on_the_stick_unseen(gathered, tmp_path, capsys):
    (gathered.photographs / "resnet18-f37072fd.pth").write_text("half of it")
    assert stick.main(tmp_path / "out", "linux", "3.13", gathered.site, gathered.photographs) == 1
    assert "is damaged" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="not finished"):
        install.read_sums(tmp_path / "out")


def test_files_of_others_are_not_overwritten(gathered, tmp_path, capsys):
    stand_ins.write(tmp_path / "out" / "site" / "index.html", "my own site")
    assert stick.main(tmp_path / "out", "linux", "3.13", gathered.site, gathered.photographs) == 1
    assert "a site that is not of a stick" in capsys.readouterr().err
    assert list(stand_ins.listing(tmp_path / "out")) == ["site", "site/index.html"]


@pytest.mark.parametrize(
    ("platform", "python", "said"),
    [("beos", "3.13", "PLATFORM is 'beos'"), ("linux", "3.10", "'3.10'"), ("linux", "x", "'x'"),
     ("linux", "3.13.1", "'3.13.1'"), ("linux", "2.7", "'2.7'")],
)  # fmt: skip
def test_another_system_is_refused(tmp_path, capsys, platform, python, said):
    assert stick.main(tmp_path / "out", platform, python) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_too_little_space_is_said(gathered, tmp_path, monkeypatch, capsys):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert stick.main(tmp_path / "out", "linux", "3.13", gathered.site, gathered.photographs) == 1
    said = capsys.readouterr()
    assert "Free: 0.0 GB" in said.out and "too little" in said.err
    assert not (tmp_path / "out").exists()


# ---- serving it ----------------------------------------------------------------------------------


def get(address, path=""):
    with urllib.request.urlopen(f"{address}/{path}") as response:
        return response.read()


def test_a_stick_is_served_and_nothing_beside_it(small, tmp_path):
    stand_ins.write(tmp_path / "outside.txt", "secret")
    stand_ins.write(small / "secret.txt", "secret")
    zeros = "0" * 64
    names = ["../outside.txt", str(tmp_path / "outside.txt"), "gone.txt"]
    if sys.platform != "win32":
        (small / "link.txt").symlink_to(tmp_path / "outside.txt")
        names += ["link.txt"]
    sums = (small / stick.SUMS).read_text("utf8")
    more = "".join(f"{zeros}  {name}\n" for name in names)
    (small / stick.SUMS).write_text(sums + more, "utf8")
    wheel = next((small / "wheels").rglob("*.whl"))
    with stand_ins.serving(small) as address:
        path = wheel.relative_to(small).as_posix().replace("+", "%2B")
        assert get(address, path) == wheel.read_bytes()
        assert get(address, stick.SUMS).decode() == sums + more
        for path in [*names, "secret.txt", "%2e%2e/outside.txt", "wheels", "wheels/"]:
            with pytest.raises(urllib.error.HTTPError) as refused:
                get(address, path)
            assert refused.value.code in (403, 404), path


def test_a_stick_that_is_not_finished_is_not_served(small):
    (small / stick.SUMS).write_text("")
    assert not is_served(small, SUMS)


def test_from_a_server_too_and_from_where_it_stopped(small, tmp_path, monkeypatch):
    with stand_ins.serving(small) as address:
        there = tmp_path / "there"
        (there / "wheels" / f"{HERE}-{PYTHON}").mkdir(parents=True)
        wheel = next((small / "wheels").rglob("*.whl"))
        part = there / wheel.relative_to(small).with_name(f"{wheel.name}.part")
        part.write_bytes(wheel.read_bytes()[:100])
        monkeypatch.setattr(install, "check_python", lambda names: f"{HERE}-{PYTHON}")
        install.fetch(address, there)
        assert not part.exists()
        sums = install.read_sums(there)
        install.verify(there, install.needed(sums), sums)
        assert (there / wheel.relative_to(small)).stat().st_size == wheel.stat().st_size
        assert not list(there.rglob("install.*"))  # only what is needed
    with pytest.raises(SystemExit, match="goes on where it was"):
        install.fetch("http://127.0.0.1:9", there)
