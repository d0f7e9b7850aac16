"""What is made of the course besides its site: `python -m tools.course COMMAND`.

    plain OUT              the chapters in plain Markdown, for Colab and GitHub
    slides OUT             a deck of slides a chapter
    student OUT            copies without solutions and outputs, and the key
    check FOLDER TABLE     run what students handed in, and say which exercises pass
    pdf SITE FILE          the built site as one PDF
    stick OUT              the site, the course and its packages, for a room without a network

`make help` lists the same as targets of make.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path


def parse() -> argparse.Namespace:
    """Read the command and its arguments."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tools.course", description=__doc__, formatter_class=form
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("plain", "slides", "student"):
        commands.add_parser(name).add_argument("out", type=Path)
    check = commands.add_parser("check")
    check.add_argument("handed_in", type=Path, metavar="FOLDER", help="a folder or file a student")
    check.add_argument("table", type=Path, help="the CSV to write")
    check.add_argument("--seconds", type=int, default=120, help="for one answer (default: 120)")
    check.add_argument("--memory-mb", type=int, default=6000, help="for a kernel (default: 6000)")
    pdf = commands.add_parser("pdf")
    pdf.add_argument("site", type=Path)
    pdf.add_argument("out", type=Path, metavar="FILE")
    stick = commands.add_parser("stick")
    stick.add_argument("out", type=Path)
    stick.add_argument("--platform", required=True, help="linux, linux-cpu, macos or windows")
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    stick.add_argument("--python", default=own, help=f"its version there (default: {own})")
    stick.add_argument("--site", type=Path, help="where the site is (default: _build/site)")
    stick.add_argument("--photographs", type=Path, help="where their archives are")
    stick.add_argument("--manifest", action="store_true", help="only list the packages")
    return parser.parse_args()


def main() -> int:
    """Run the command."""
    args = vars(parse())
    command = args.pop("command")
    return import_module(f"tools.course.{command}").main(**args)


if __name__ == "__main__":
    sys.exit(main())
