"""Gather the course on a stick, with all that installs it where there is no network.

    README.txt, SHA256SUMS
    site/                     the built site, with what else was built into it
    transfer-learning-hands-on.zip    the course
    wheels/linux-3.13/        its packages for a system and a Python
    install.sh, .bat, .py     what installs it
    hymenoptera_data.zip …    the archives of the photographs that are there

Called again for another system or Python, it adds the packages of that. Interrupted, it goes on.
"""

import shutil
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pooch.hashes import hash_matches

from helpers import assets
from tools.course import wheels
from tools.course.archives import COURSE, pack_course
from tools.photographs import SOURCES

ROOT = Path(__file__).parents[2]
ON_STICK = Path(__file__).parent / "on_stick"
SUMS, README = "SHA256SUMS", "README.txt"


def main(
    out: Path, platform: str, python: str, site: Path | None = None,
    photographs: Path | None = None, *, manifest: bool = False,
) -> int:  # fmt: skip
    """Gather a stick; return the exit status.

    Args:
        out: its folder
        platform: one of `wheels.SYSTEMS`
        python: such as "3.13"
        site: where the site was built; `_build/site` if not said
        photographs: the folder of their archives; that of `make data` if not said
        manifest: only write which wheels it would hold, to PLATFORM-PYTHON.sha256 in `out`
    """
    try:
        check(platform, python)
        if manifest:
            out.mkdir(parents=True, exist_ok=True)
            listing = wheels.manifest(platform, python)
            (out / f"{platform}-{python}.sha256").write_text(listing, "utf8", newline="\n")
        else:
            photographs = photographs or assets.photographs_folder() / "archives"
            gather(out, platform, python, site or ROOT / "_build" / "site", photographs)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError:
        print("pip stopped: its lines above say why. Call this again to go on.", file=sys.stderr)
        return 1
    return 0


def check(platform: str, python: str) -> None:
    """Raise ValueError for a system or a Python that the course is not for."""
    if platform not in wheels.SYSTEMS:
        raise ValueError(f"PLATFORM is {platform!r}: it can be {', '.join(wheels.SYSTEMS)}")
    if python.split(".")[0] != "3" or not python[2:].isdigit() or int(python[2:]) < 11:
        raise ValueError(f"the Python is {python!r}: expected one such as 3.13, from 3.11 on")


def gather(out: Path, platform: str, python: str, site: Path, photographs: Path) -> None:
    """Write all of a stick; its list of hashes last, so that what is unfinished shows as that."""
    check_folder(out)
    folder = out / "wheels" / f"{platform}-{python}"
    check_space(out, folder, wheels.SYSTEMS[platform].size * 1e9 + size_of(site))
    out.mkdir(parents=True, exist_ok=True)
    (out / SUMS).write_text("")
    copy_installers(out)
    pack_course(out / COURSE)
    missing = [*copy_site(site, out / "site"), *copy_photographs(photographs, out)]
    wheels.bring(folder, platform, python)
    text = string.Template((ON_STICK / README).read_text("utf8"))
    (out / README).write_text(text.substitute(contents=contents(out, missing)), "utf8")
    sums = [f"{checked_hash(path)}  {path.relative_to(out).as_posix()}\n" for path in ours(out)]
    (out / SUMS).write_text("".join(sums), "utf8", newline="\n")
    print("\n".join([f"The stick is in {out}: {size_of(out) / 1e9:.1f} GB.", *missing]))


def check_folder(out: Path) -> None:
    """Raise ValueError where another one's files would be overwritten."""
    names = ["site", "wheels", COURSE, *(path.name for path in ON_STICK.iterdir())]
    there = [name for name in names if (out / name).exists()]
    if there and not (out / SUMS).exists():
        raise ValueError(
            f"{out} has a {there[0]} that is not of a stick: name another folder, OUT="
        )


def check_space(out: Path, folder: Path, size: float) -> None:
    """Say how much space a stick needs; raise OSError where there is less."""
    size = max(size - size_of(folder), 0) + 0.4e9  # the course, the photographs
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    print(f"Needed in {out}: about {size / 1e9:.1f} GB. Free: {free / 1e9:.1f} GB.", flush=True)
    if free < size:
        raise OSError("That is too little: free some, or name a folder on another disk, OUT=")


def size_of(folder: Path) -> int:
    """Return how many bytes the files in a folder have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def copy_installers(out: Path) -> None:
    """Copy what installs the course, and a page for a room; Windows wants other ends of lines."""
    for path in ON_STICK.glob("in*.*"):
        newline = "\r\n" if path.suffix == ".bat" else "\n"
        (out / path.name).write_text(path.read_text("utf8"), "utf8", newline=newline)


def copy_site(site: Path, copy: Path) -> list[str]:
    """Copy the built site, and remove what an earlier one had more; say if there is none."""
    if not (site / "index.html").is_file():
        return [f"Not here: the site. Build it with make site, then call this again ({site})."]
    shutil.copytree(site, copy, dirs_exist_ok=True)
    for path in copy.rglob("*"):
        if path.is_file() and not (site / path.relative_to(copy)).exists():
            path.unlink()
    return []


def copy_photographs(folder: Path, out: Path) -> list[str]:
    """Copy the archives of the photographs that are there; say which are not."""
    missing = []
    for known in SOURCES.values():
        original, copy = folder / known.archive, out / known.archive
        if original.is_file() and not copy.is_file():
            part = shutil.copyfile(original, copy.with_name(f"{copy.name}.part"))
            part.replace(copy)
        if not copy.is_file():
            missing.append(
                f"Not here: {known.archive}. The course works without; make data has it."
            )
        elif not hash_matches(str(copy), known.hash):
            raise ValueError(f"{copy} is damaged, or another file of that name: remove it first")
    return missing


def finished(out: Path) -> list[Path]:
    """List the folders of wheels that are complete."""
    return sorted(path.parent for path in out.glob(f"wheels/*/{wheels.LISTED}"))


def ours(out: Path) -> Iterator[Path]:
    """Yield the files of a stick, but for their list, in the order of their names."""
    names = [COURSE, *(path.name for path in ON_STICK.iterdir())]
    names += [known.archive for known in SOURCES.values()]
    found = [out / name for name in names]
    found += [path for folder in (out / "site", *finished(out)) for path in folder.rglob("*")]
    yield from sorted(path for path in found if path.is_file())


def checked_hash(path: Path) -> str:
    """Return the SHA-256 of a file; raise ValueError for a wheel that has changed since it came."""
    digest = wheels.sha256_of(path)
    if path.suffix == ".whl" and digest not in (path.parent / wheels.LISTED).read_text("utf8"):
        platform, _, python = path.parent.name.rpartition("-")
        raise ValueError(f"{path} is damaged: call this for {platform} and Python {python} again")
    return digest


def contents(out: Path, missing: list[str]) -> str:
    """Say in lines what is on a stick, and what is not."""
    lines = ["site/: open index.html"] if (out / "site").exists() else []
    lines += [f"{COURSE}: the course"]
    for folder in finished(out):
        system, _, python = folder.name.rpartition("-")
        lines.append(f"wheels/{folder.name}: the packages for {system}, Python {python}")
    lines += [known.archive for known in SOURCES.values() if (out / known.archive).exists()]
    return "\n".join(f"  {line}" for line in [*lines, *missing])
