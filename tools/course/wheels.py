"""The packages of the lock for another system or Python: which they are, and their wheels."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from helpers.assets import sha256_of
from helpers.runtime import atomic_write
from tools.course.address import ROOT

LOCK = ROOT / "requirements.lock"
LISTED = "requirements.txt"  # beside the wheels
# PyTorch without CUDA lies where only PyTorch itself is, under other hashes than those of the lock.
WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu"
PYTORCH = ("torch", "torchvision")
ONLY_CUDA = re.compile(r"triton|cuda-[a-z-]+|nvidia-[a-z0-9-]+")
LINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
LINUX += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
SYSTEMS = {  # what PyTorch is built for: as uv calls it, and which wheels pip may take
    "linux": ("x86_64-manylinux_2_28", LINUX),
    "linux-cpu": ("x86_64-manylinux_2_28", LINUX),
    "macos": ("aarch64-apple-darwin", ["macosx_14_0_arm64"]),
    "windows": ("x86_64-pc-windows-msvc", ["win_amd64"]),
}


def locked(platform: str, python: str) -> dict[str, str]:
    """Return what the lock asks of a system and a Python, by name: `name==version --hash=…`.

    uv says which packages these are. pip judges the conditions in a lock by the system that it runs
    on: pypa/pip, issue 6117. Raises CalledProcessError where a package has no wheel for them.
    For linux-cpu the lock has no hashes of PyTorch: `bring` adds them.
    """
    command = ["uv", "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate",
               "--only-binary", ":all:", "--python-platform", SYSTEMS[platform][0],
               "--python-version", python, str(LOCK)]  # fmt: skip
    if not shutil.which("uv"):
        raise ValueError("This needs uv: python -m pip install uv")
    env = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}  # the oldest macOS that PyTorch is for
    pins = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    entries = {}
    for line in LOCK.read_text("utf8").replace("\\\n", " ").splitlines():
        if not line.startswith("#"):
            pin, *words = line.split()
            entries[pin] = " ".join([pin, *(word for word in words if word.startswith("--hash="))])
    found = {pin.split("==")[0]: entries[pin] for pin in pins.split()}
    if platform == "linux-cpu":
        found = {name: line for name, line in found.items() if not ONLY_CUDA.fullmatch(name)}
        found |= {name: found[name].split()[0] for name in PYTORCH}
    return found


def download(folder: Path, platform: str, python: str, *what: str) -> None:
    """Download wheels, but for those that are there and right; pip keeps what it has begun."""
    _, tags = SYSTEMS[platform]
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps",
               "--only-binary", ":all:", "--implementation", "cp", "--python-version", python,
               *(f"--platform={tag}" for tag in tags), "--dest", str(folder)]  # fmt: skip
    subprocess.run([*command, *what], check=True)


def bring(folder: Path, platform: str, python: str) -> None:
    """Download the wheels for a system and a Python; remove those of an earlier lock.

    `requirements.txt` beside them says to pip which they are, and what their hashes may be. It is
    moved there last: without it they are not complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LISTED).unlink(missing_ok=True)
    lines = locked(platform, python)
    pytorch = [lines.pop(name) for name in PYTORCH if platform == "linux-cpu"]
    with atomic_write(folder / LISTED) as listed:
        listed.write_text("\n".join(lines.values()) + "\n", "utf8", newline="\n")
        download(folder, platform, python, "--require-hashes", "-r", str(listed))
        if pytorch:
            download(folder, platform, python, "--index-url", WITHOUT_CUDA, *pytorch)
            with listed.open("a", encoding="utf8", newline="\n") as file:
                for pin in pytorch:
                    (wheel,) = folder.glob(f"{pin.replace('==', '-')}+*.whl")
                    file.write(f"{pin} --hash=sha256:{sha256_of(wheel)}\n")
        for wheel in folder.glob("*.whl"):
            if sha256_of(wheel) not in listed.read_text("utf8"):
                wheel.unlink()
