"""The packages of the lock for another system or Python: which they are, and their wheels."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from helpers.assets import sha256_of

LOCK = Path(__file__).parents[2] / "requirements.lock"
LISTED = "requirements.txt"  # beside the wheels
# PyTorch without CUDA lies where only PyTorch itself is, under other hashes than those of the lock.
WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu"
ONLY_CUDA = re.compile(r"triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+")


class System(NamedTuple):
    """A system that PyTorch is built for."""

    tags: list[str]  #: what pip calls it: the wheels that it can use
    markers: dict[str, str]  #: what a lock calls it
    size: float  #: GB of its wheels, about


LINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
LINUX += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
ON_LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
            "platform_machine": "x86_64"}  # fmt: skip
ON_MACOS = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix",
            "platform_machine": "arm64"}  # fmt: skip
ON_WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt",
              "platform_machine": "AMD64"}  # fmt: skip
SYSTEMS = {
    "linux": System(LINUX, ON_LINUX, 3.4),
    "linux-cpu": System(LINUX, ON_LINUX, 0.7),
    "macos": System(["macosx_14_0_arm64"], ON_MACOS, 0.5),
    "windows": System(["win_amd64"], ON_WINDOWS, 0.5),
}


def locked(platform: str, python: str, lock: Path = LOCK) -> dict[str, str]:
    """Return what the lock asks of a system and a Python, by name: `name==version --hash=…`.

    pip judges the conditions in a lock by the system that it runs on: pypa/pip, issue 6117.
    """
    environment = {
        "python_version": python, "python_full_version": f"{python}.9",
        "implementation_name": "cpython", "platform_python_implementation": "CPython",
    } | SYSTEMS[platform].markers  # fmt: skip
    found = {}
    for line in lock.read_text("utf8").replace("\\\n", " ").splitlines():
        pin, *hashes = line.split("--hash=")
        if pin and not pin.startswith("#"):
            asked = Requirement(pin)
            if not asked.marker or asked.marker.evaluate(environment):
                words = [f"{asked.name}{asked.specifier}", *(f"--hash={one}" for one in hashes)]
                found[asked.name] = " ".join(word.strip() for word in words)
    if platform == "linux-cpu":
        found = {name: line for name, line in found.items() if not ONLY_CUDA.fullmatch(name)}
    return found


def pip(command: str, platform: str, python: str, *arguments: str | Path) -> None:
    """Run pip for a system and a Python; raise CalledProcessError where it fails."""
    target = ["--only-binary", ":all:", "--no-deps", "--implementation", "cp"]
    target += ["--python-version", python]
    target += [word for tag in SYSTEMS[platform].tags for word in ("--platform", tag)]
    program = [sys.executable, "-m", "pip", "--disable-pip-version-check", command]
    subprocess.run([*program, *target, *map(str, arguments)], check=True)


def bring(folder: Path, platform: str, python: str) -> None:
    """Download the wheels for a system and a Python, but for those that are there.

    `requirements.txt` beside them says to pip which they are, and what their hashes may be. It is
    written last: without it they are not complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LISTED).unlink(missing_ok=True)
    lines, torch = locked(platform, python), {}
    if platform == "linux-cpu":
        torch = {name: lines.pop(name).split()[0] for name in ("torch", "torchvision")}
    there = {pin_of(path): f"--hash=sha256:{sha256_of(path)}" for path in folder.glob("*.whl")}
    missing = [line for line in lines.values() if there.get(line.split()[0]) not in line.split()]
    download(folder, platform, python, missing, "--require-hashes")
    if torch:
        download(folder, platform, python, list(torch.values()), "--index-url", WITHOUT_CUDA)
        hashes = {pin_of(path): sha256_of(path) for path in folder.glob("torch*.whl")}
        lines |= {name: f"{pin} --hash=sha256:{hashes[pin]}" for name, pin in torch.items()}
    wanted = {line.split()[0] for line in lines.values()}
    for path in folder.glob("*.whl"):
        if pin_of(path) not in wanted:  # but an earlier lock wanted it
            path.unlink()
    (folder / LISTED).write_text("\n".join(lines.values()) + "\n", "utf8", newline="\n")


def download(folder: Path, platform: str, python: str, lines: list[str], *options: str) -> None:
    """Download some wheels at a time: pip keeps none of what it fetched if it is interrupted."""
    for i in range(0, len(lines), 10):
        print(f"Packages {i + 1} to {min(i + 10, len(lines))} of {len(lines)} ...", flush=True)
        with tempfile.TemporaryDirectory() as aside:
            some = Path(aside, LISTED)
            some.write_text("\n".join(lines[i : i + 10]), "utf8")
            pip("download", platform, python, "--quiet", *options, "-r", some, "-d", folder)


def pin_of(wheel: Path) -> str:
    """Return what a lock calls a wheel: name==version."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return f"{name}=={version.public}"


def manifest(platform: str, python: str) -> str:
    """List the wheels that `bring` would download, as in SHA256SUMS; ask for their names only."""
    if platform == "linux-cpu":
        raise ValueError("linux-cpu has no list: PyTorch without CUDA is not in the lock")
    lines, found = locked(platform, python), {}
    with tempfile.TemporaryDirectory() as aside:
        pins, report = Path(aside, "pins.txt"), Path(aside, "report.json")
        pins.write_text("\n".join(line.split()[0] for line in lines.values()), "utf8")
        pip("install", platform, python, "--dry-run", "--quiet", "--ignore-installed",
            "--target", aside, "--report", report, "-r", pins)  # fmt: skip
        for one in json.loads(report.read_text("utf8"))["install"]:
            name, info = canonicalize_name(one["metadata"]["name"]), one["download_info"]
            wheel = unquote(PurePosixPath(info["url"]).name)
            found[wheel] = digest = info["archive_info"]["hashes"]["sha256"]
            if f"sha256:{digest}" not in lines[name]:
                raise ValueError(f"{wheel} has the SHA-256 {digest}, which the lock does not list")
    folder = f"wheels/{platform}-{python}"
    return "".join(f"{found[wheel]}  {folder}/{wheel}\n" for wheel in sorted(found))
