"""The archives that lie beside the site: the whole course, and the chapters in plain Markdown."""

import subprocess
import zipfile
from itertools import chain
from pathlib import Path

from helpers.runtime import atomic_write
from tools.course.address import PYTHON_PACKAGE, ROOT

COURSE = f"{PYTHON_PACKAGE}.zip"
CHAPTERS = "notebooks.zip"
FOLDERS = {"book", "helpers", "notebooks", "tests", "tools"}
HIDDEN_FOLDERS = {".binder", ".ci", ".devcontainer", ".github"}
DAY = (2026, 1, 1, 0, 0, 0)  # the same files make the same archive


def course_files() -> list[Path]:
    """Return the files that git knows, and nothing that lies beside them, such as hand-ins.

    Without git: the files of the course's own folders, and those of its top level.
    """
    command = ["git", "ls-files", "-z", "--cached"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        listed = b""
    if listed:
        found = [Path(name) for name in listed.decode().split("\0") if name]
    else:
        folders = [ROOT / name for name in FOLDERS | HIDDEN_FOLDERS]
        paths = [*ROOT.iterdir(), *chain(*(folder.rglob("*") for folder in folders))]
        found = [path.relative_to(ROOT) for path in paths if "__pycache__" not in path.parts]
    return sorted(path for path in found if (ROOT / path).is_file())


def add(archive: zipfile.ZipFile, name: str, data: bytes, executable: bool = False) -> None:
    """Add a file to an archive, without the time of day."""
    info = zipfile.ZipInfo(name, DAY)
    info.external_attr = (0o100755 if executable else 0o100644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data)


def pack_course(path: Path) -> None:
    """Write the course as a zip, which pip can install as well."""
    with atomic_write(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        for file in course_files():
            executable = bool((ROOT / file).stat().st_mode & 0o100)
            add(archive, f"{path.stem}/{file.as_posix()}", (ROOT / file).read_bytes(), executable)


def pack_chapters(path: Path, copies: dict[str, str]) -> None:
    """Write the plain copies of the chapters, by their names, as a zip."""
    with atomic_write(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        for name, text in copies.items():
            add(archive, f"{path.stem}/{name}", text.encode())
