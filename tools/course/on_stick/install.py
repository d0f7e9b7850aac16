"""Install the course from the folder that this file lies in; no network is needed.

    python3 install.py [FOLDER]                     from a stick
    python3 install.py [FOLDER] --from ADDRESS      from a machine that serves one

It checks this Python and the files, unpacks the course into FOLDER, makes `.venv` in there and
installs the packages as `make book` would. Interrupted, it goes on when it is called again. It
writes into no folder that was there before. It needs nothing but Python.
"""

from __future__ import annotations  # an older Python shall get as far as find_wheels

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import quote

OLDEST = (3, 11, 4)
HERE = Path(__file__).resolve().parent
SUMS = "SHA256SUMS"
COURSE = "transfer-learning-hands-on.zip"
ARCHIVES = ("hymenoptera_data.zip", "cifar-10-python.tar.gz", "resnet18-f37072fd.pth")
UNFINISHED = ".install-unfinished"  # holds the hash of the COURSE that lies there
SYSTEMS = {  # what PyTorch is built for: the folders of wheels
    ("linux", "x86_64"): ["linux", "linux-cpu"],
    ("darwin", "arm64"): ["macos"],
    ("win32", "AMD64"): ["windows"],
}


def find_wheels(sums: dict[str, str]) -> str:
    """Return the folder of the wheels for this system and Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        sys.exit(f"This needs Python {oldest} or newer; {sys.executable} is {version}.")
    there = sorted({name.split("/")[1] for name in sums if name.startswith("wheels/")})
    system = (sys.platform, platform.machine())
    for name in SYSTEMS.get(system, []):
        if f"{name}-3.{sys.version_info[1]}" in there:
            return f"wheels/{name}-3.{sys.version_info[1]}"
    sys.exit(
        f"There are packages for {', '.join(there) or 'no system'}; this is Python {version} for "
        f"{' on '.join(system)}. Another Python can be named: PYTHON=python3.13 sh install.sh, or "
        "on Windows py -3.13 install.py. The site opens all the same."
    )


def read_sums(stick: Path) -> dict[str, str]:
    """Return the SHA-256 of each file on the stick."""
    path = stick / SUMS
    lines = path.read_text("utf8").splitlines() if path.is_file() else []
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    if COURSE not in sums:
        sys.exit(f"{path} is missing or not finished: make the stick anew, or copy all of it.")
    return sums


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or nothing where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def needed(sums: dict[str, str]) -> list[str]:
    """Name the files that an installation on this machine needs."""
    wheels = find_wheels(sums)
    return [COURSE, *(name for name in sums if name.startswith(f"{wheels}/"))]


def verify(stick: Path, sums: dict[str, str], address: str | None) -> None:
    """Compare the files that are needed with their hashes; download them where they are served."""
    print(f"Checking the files in {stick} ...", flush=True)
    for name in needed(sums):
        path = stick / name
        if address and sha256_of(path) != sums[name]:
            path.parent.mkdir(parents=True, exist_ok=True)
            download(f"{address}/{quote(name)}", path)
        if sha256_of(path) != sums[name]:
            what = "damaged" if path.is_file() else "missing"
            sys.exit(f"{name} is {what} on the stick: copy it anew from where the stick was made.")


def download(url: str, path: Path) -> None:
    """Download a file."""
    print(f"Downloading {url} ...", flush=True)
    try:
        with urllib.request.urlopen(url, timeout=60) as response, path.open("wb") as file:
            shutil.copyfileobj(response, file, 2**20)
    except (OSError, ValueError) as error:
        sys.exit(f"{url} did not come ({error}). Call this again, and it goes on with this file.")


def unpack(course: Path, folder: Path) -> None:
    """Unpack the course into a folder that is not there yet, or go on with an unfinished one."""
    digest = sha256_of(course)
    if folder.exists():
        if (folder / UNFINISHED).read_text("utf8") != digest:
            sys.exit(f"{folder} was begun with another version: remove it, or name another folder.")
        print(f"Going on in {folder} ...", flush=True)
        return
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".transfer-learning-") as aside:
        with zipfile.ZipFile(course) as archive:
            archive.extractall(aside)
        (top,) = Path(aside).iterdir()
        (top / UNFINISHED).write_text(digest, "utf8")
        top.rename(folder)


def run(*command: Path | str) -> None:
    """Run a command; stop where it fails."""
    if subprocess.run(list(map(str, command))).returncode:
        sys.exit("That failed: the lines above say why. Call this again, and it goes on.")


def install(wheels: Path, folder: Path, python: Path) -> None:
    """Make the virtual environment, and what tells make that it is there."""
    print("Installing the packages; this takes some minutes ...", flush=True)
    run(sys.executable, "-m", "venv", folder / ".venv")
    pip = [python, "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--quiet",
           "--no-index"]  # fmt: skip
    run(*pip, "--find-links", wheels, "--requirement", wheels / "requirements.txt")
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", folder)
    torch = "cpu" if "-cpu-" in wheels.name else ""
    (folder / ".venv" / "installed").write_text(f"{torch}\n", "utf8")
    (folder / UNFINISHED).unlink()


def main() -> None:
    """Install the course of this stick, without a network."""
    parser = argparse.ArgumentParser(prog="install", description=main.__doc__)
    here = Path.cwd().resolve()
    parent = Path.home() if HERE in (here, *here.parents) else here
    parser.add_argument("folder", nargs="?", type=Path, default=parent / "transfer-learning",
                        help="a folder that is not there yet (%(default)s)")  # fmt: skip
    parser.add_argument("--from", dest="address", help="where a stick is served")
    args = parser.parse_args()
    folder, stick = Path(os.path.abspath(args.folder)), HERE
    if folder.exists() and not (folder / UNFINISHED).is_file():
        sys.exit(f"{folder} is there already, and is left as it is: name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    address = args.address
    if address:
        address = (address if "://" in address else f"http://{address}").rstrip("/")
        stick = folder.with_name(f"{folder.name}.stick")
        stick.mkdir(exist_ok=True)
        download(f"{address}/{SUMS}", stick / SUMS)
    sums = read_sums(stick)
    verify(stick, sums, address)
    unpack(stick / COURSE, folder)
    windows = sys.platform == "win32"
    python = Path(".venv", "Scripts/python.exe" if windows else "bin/python")
    install(stick / find_wheels(sums), folder, folder / python)
    if any(name in sums for name in ARCHIVES):  # without photographs the course works as well
        command = [folder / python, "-m", "tools.photographs", "bring", "--from", address or stick]
        subprocess.run(list(map(str, command)), cwd=folder)
    print(f"\nInstalled in {folder}. In that folder:\n")
    if shutil.which("make"):
        print("  make lab\n\nor")
    print(f"  {python} -m jupyter lab --config book/lab/config.py")
    if address:
        print(f"\n{stick} is no longer needed.")


if __name__ == "__main__":
    main()
