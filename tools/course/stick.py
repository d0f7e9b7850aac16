"""Gather the course on a stick, with all that installs it where there is no network.

    README.txt, SHA256SUMS
    site/                     the built site, with what else was built into it
    transfer-learning-hands-on.zip    the course
    wheels/linux-3.13/        its packages for a system and a Python
    install.sh, .bat, .py     what installs it
    hymenoptera_data.zip …    the archives of the photographs that are there

Called again for another system or Python, it adds the packages of that. Interrupted, it goes on.
The packages are those of requirements.lock: what reads, runs and builds the book.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pooch.hashes import hash_matches

from helpers import assets
from helpers.assets import sha256_of
from helpers.runtime import atomic_write
from tools.course import wheels
from tools.course.address import ROOT
from tools.course.archives import COURSE, pack_course
from tools.photographs import SOURCES

ON_STICK = Path(__file__).parent / "on_stick"
SUMS = "SHA256SUMS"


def main(
    out: Path,
    platform: str,
    python: str,
    site: Path | None = None,
    photographs: Path | None = None,
    manifest: bool = False,
) -> int:
    """Gather a stick in the folder `out`; return the exit status.

    With `manifest`, only write which packages it would hold, to PLATFORM-PYTHON.txt. `photographs`
    is the folder of their archives; that of `make data` if not said.
    """
    try:
        if platform not in wheels.SYSTEMS:
            raise ValueError(f"PLATFORM is {platform!r}: it can be {', '.join(wheels.SYSTEMS)}")
        if python not in {f"3.{minor}" for minor in range(11, 100)}:
            raise ValueError(f"the Python is {python!r}: expected one such as 3.13, from 3.11 on")
        if manifest:
            out.mkdir(parents=True, exist_ok=True)
            lines = wheels.locked(platform, python).values()
            (out / f"{platform}-{python}.txt").write_text("\n".join([*lines, ""]), "utf8")
        else:
            site = site or ROOT / "_build" / "site"
            photographs = photographs or assets.photographs_folder() / "archives"
            gather(out, platform, python, site, photographs)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"{error.cmd[0]} stopped: its lines above say why. Call this again to go on.",
              file=sys.stderr)  # fmt: skip
        return 1
    return 0


def gather(out: Path, platform: str, python: str, site: Path, photographs: Path) -> None:
    """Write all of a stick; its list of hashes last, so that what is unfinished shows as that."""
    names = ["site", "wheels", COURSE, *(path.name for path in ON_STICK.iterdir())]
    there = [name for name in names if (out / name).exists()]
    if there and not (out / SUMS).exists():
        raise ValueError(f"{out} has a {there[0]} that is not of a stick: choose another, OUT=")
    out.mkdir(parents=True, exist_ok=True)
    (out / SUMS).write_text("")
    for path in ON_STICK.iterdir():
        shutil.copyfile(path, out / path.name)
    pack_course(out / COURSE)
    missing = [*copy_site(site, out / "site"), *copy_photographs(photographs, out)]
    wheels.bring(out / "wheels" / f"{platform}-{python}", platform, python)
    sums = [f"{checked_hash(path)}  {path.relative_to(out).as_posix()}\n" for path in ours(out)]
    (out / SUMS).write_text("".join(sums), "utf8", newline="\n")
    print("\n".join([f"The stick is in {out}.", *missing]))


def copy_site(site: Path, copy: Path) -> list[str]:
    """Copy the built site in place of an earlier one; say if there is none."""
    if not (site / "index.html").is_file():
        return [f"Not here: the site. Build it with make site, then call this again ({site})."]
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(site, copy)
    return []


def copy_photographs(folder: Path, out: Path) -> list[str]:
    """Copy the archives of the photographs that are there; say which are not."""
    missing = []
    for known in SOURCES.values():
        original, copy = folder / known.archive, out / known.archive
        if original.is_file():
            if not hash_matches(str(original), known.hash):
                raise ValueError(f"{original} is damaged, or another file of that name")
            with atomic_write(copy) as aside:
                shutil.copyfile(original, aside)
        elif not copy.is_file():
            missing.append(f"Not here: {known.archive}, without which the course works, too.")
    return missing


def ours(out: Path) -> Iterator[Path]:
    """Yield the files of a stick, but for their list, in the order of their names."""
    names = [COURSE, *(path.name for path in ON_STICK.iterdir())]
    names += [known.archive for known in SOURCES.values()]
    found = [out / name for name in names]
    found += [*(out / "site").rglob("*")]
    for listed in out.glob(f"wheels/*/{wheels.LISTED}"):  # the folders that are complete
        found += listed.parent.iterdir()
    yield from sorted(path for path in found if path.is_file())


def checked_hash(path: Path) -> str:
    """Return the SHA-256 of a file; raise ValueError for a wheel that has changed since it came."""
    digest = sha256_of(path)
    if path.suffix == ".whl" and digest not in (path.parent / wheels.LISTED).read_text("utf8"):
        platform, _, python = path.parent.name.rpartition("-")
        raise ValueError(f"{path} is damaged: call this for {platform} and Python {python} again")
    return digest
