"""Install the course from the folder that this file lies in; no network is needed.

    python3 install.py [FOLDER]                     from a stick
    python3 install.py [FOLDER] --from ADDRESS      from a machine that serves one

It checks this Python and the files, unpacks the course into FOLDER, makes `.venv` in there and
installs the packages as `make` would. Interrupted, it goes on when it is called again. It writes
into no folder that was there before. It needs nothing but Python.
"""

from __future__ import annotations  # an older Python shall get as far as check_python

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
SYSTEMS = {  # what PyTorch is built for: the folders of wheels, the machine, the command for Python
    "linux": (["linux", "linux-cpu"], "x86_64", "python3"),
    "darwin": (["macos"], "arm64", "python3"),
    "win32": (["windows"], "AMD64", "py"),
}


def check_python(there: set[str]) -> str:
    """Return the folder of the wheels for this system and Python, one of those that are there."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        sys.exit(f"This needs Python {oldest} or newer; {sys.executable} is {version}.")
    folders, machine, command = SYSTEMS.get(sys.platform, ([], "", "python3"))
    if platform.machine() != machine:
        sys.exit(
            f"PyTorch is built for Linux on x86_64, for macOS on arm64 and for Windows on AMD64; "
            f"this is {sys.platform} on {platform.machine()}. The site opens all the same."
        )
    minor = f"3.{sys.version_info[1]}"
    for folder in folders:
        if f"{folder}-{minor}" in there:
            return f"{folder}-{minor}"
    fitting = sorted(name.split("-")[-1] for name in there if name.rpartition("-")[0] in folders)
    if not fitting:
        sys.exit(
            f"There are packages for {', '.join(sorted(there)) or 'no system'}, none for this."
        )
    ways = " or ".join(
        f"py -{wanted} install.py" if command == "py" else f"PYTHON=python{wanted} sh install.sh"
        for wanted in fitting
    )
    sys.exit(
        f"The packages are for Python {', '.join(fitting)}, this one is {version}. Try: {ways}"
    )


def read_sums(stick: Path) -> dict[str, str]:
    """Return the SHA-256 of each file on the stick."""
    try:
        lines = (stick / SUMS).read_text("utf8").splitlines()
    except FileNotFoundError:
        lines = []
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    if COURSE not in sums:
        sys.exit(
            f"{stick / SUMS} is missing or not finished: make the stick anew, or copy all of it."
        )
    return sums


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or nothing where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def needed(sums: dict[str, str]) -> list[str]:
    """Name the files that an installation on this machine needs."""
    parts = [name.split("/") for name in sums]
    wheels = check_python({names[1] for names in parts if names[0] == "wheels"})
    return [COURSE, *(name for name in sums if name.startswith(f"wheels/{wheels}/"))]


def verify(stick: Path, names: list[str], sums: dict[str, str]) -> None:
    """Compare these files with their hashes."""
    print(f"Checking {len(names)} files in {stick} ...", flush=True)
    for name in names:
        if sha256_of(stick / name) != sums[name]:
            what = "damaged" if (stick / name).is_file() else "missing"
            sys.exit(f"{name} is {what} on the stick: copy it anew from where the stick was made.")


def fetch(address: str, stick: Path) -> None:
    """Download what this machine needs from a stick that is served; go on where it was."""
    stick.mkdir(parents=True, exist_ok=True)
    download(f"{address}/{SUMS}", stick / SUMS)
    sums = read_sums(stick)
    for name in needed(sums):
        if sha256_of(stick / name) != sums[name]:
            print(f"Downloading {name} ...", flush=True)
            (stick / name).parent.mkdir(parents=True, exist_ok=True)
            download(f"{address}/{quote(name)}", stick / name, resume=True)


def download(url: str, path: Path, resume: bool = False) -> None:
    """Download a file, if need be from where an earlier call stopped; then move it into place."""
    part = path.with_name(f"{path.name}.part")
    done = part.stat().st_size if resume and part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
        with response, part.open("ab" if response.status == 206 else "wb") as file:
            shutil.copyfileobj(response, file, 2**20)
    except (OSError, ValueError) as error:
        if getattr(error, "code", None) != 416:  # which says that there is no more of it
            sys.exit(f"{url} did not come ({error}). Call this again: it goes on where it was.")
    os.replace(part, path)


def check_space(stick: Path, names: list[str], folder: Path) -> None:
    """Say how much space the installation needs; stop where there is less."""
    size = 0
    for name in names:
        if name.endswith((".whl", ".zip")):
            with zipfile.ZipFile(stick / name) as archive:
                size += sum(member.file_size for member in archive.infolist())
    there = next(path for path in (folder, *folder.parents) if path.exists())
    size, free = int(1.1 * size), shutil.disk_usage(there).free
    print(f"Needed in {folder}: {size / 1e9:.1f} GB. Free: {free / 1e9:.1f} GB.", flush=True)
    if free < size:
        sys.exit("That is too little: free some, or name a folder on another disk.")


def unpack(course: Path, folder: Path) -> None:
    """Unpack the course into a folder that is not there yet, or go on with an unfinished one."""
    digest = sha256_of(course)
    if (folder / UNFINISHED).is_file():
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


def install(wheels: Path, folder: Path) -> None:
    """Make the virtual environment, and what tells make that it is there."""
    print("Installing the packages; this takes some minutes ...", flush=True)
    venv = folder / ".venv"
    run(sys.executable, "-m", "venv", venv)
    pip = [python_of(folder), "-m", "pip", "--isolated", "--disable-pip-version-check", "install"]
    pip += ["--quiet", "--no-index"]
    run(*pip, "--find-links", wheels, "--requirement", wheels / "requirements.txt")
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", folder)
    torch = "cpu" if "-cpu-" in wheels.name else ""
    (venv / "installed").write_text(f"{torch}\n", "utf8")
    (folder / UNFINISHED).unlink()


def python_of(folder: Path) -> Path:
    """Return the Python of the virtual environment in a folder."""
    windows = sys.platform == "win32"
    return folder / ".venv" / ("Scripts/python.exe" if windows else "bin/python")


def bring_photographs(source: str, folder: Path, sums: dict[str, str]) -> None:
    """Bring the photographs, if the stick has them: without them the course works as well."""
    if any(name in sums for name in ARCHIVES):
        command = [str(python_of(folder)), "-m", "tools.photographs", "bring", "--from", source]
        subprocess.run(command, cwd=folder)


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
    if args.address:
        address = args.address if "://" in args.address else f"http://{args.address}"
        stick = folder.with_name(f"{folder.name}.stick")
        fetch(address.rstrip("/"), stick)
    sums = read_sums(stick)
    names = needed(sums)
    verify(stick, names, sums)
    check_space(stick, names, folder)
    unpack(stick / COURSE, folder)
    install((stick / names[-1]).parent, folder)
    bring_photographs(args.address or str(stick), folder, sums)
    print(f"\nInstalled in {folder}. In that folder:\n")
    if shutil.which("make"):
        print("  make lab\n\nor")
    print(f"  {python_of(Path())} -m jupyter lab --config book/lab/config.py")
    if args.address:
        print(f"\n{stick} is no longer needed.")


if __name__ == "__main__":
    main()
