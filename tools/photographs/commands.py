"""The commands of `make data` and its like: bring the photographs, look after them, serve them."""

import argparse
import sys
from pathlib import Path

import requests

from helpers import assets
from tools.photographs.bring import bring, remove
from tools.photographs.own import names_of_archives
from tools.photographs.serve import serve


def bring_all(source: str | None) -> int:
    """Bring whatever can be brought; print what became of each; return the exit status."""
    results = []
    for name, photos in assets.PHOTOS.items():
        try:
            print(f"{photos.summary}: {bring(name, source)}")
            results.append("brought")
        except FileNotFoundError as error:
            print(f"{photos.summary}: left out, {error}")
            results.append("left out" if source else "failed")  # its authors should have it
        except ConnectionError as error:
            print(f"{photos.summary}: failed, {error}", file=sys.stderr)
            results.append("failed")
            break  # the others have the same network
        except (OSError, ValueError, requests.RequestException) as error:
            print(f"{photos.summary}: failed, {error}", file=sys.stderr)
            results.append("failed")
    if "brought" not in results:
        print("Nothing was brought. The rendered edition goes on working.", file=sys.stderr)
    return 0 if "brought" in results and "failed" not in results else 1


def show_status() -> int:
    """Print which edition is in use, what is there and what is missing."""
    assets.show_editions()
    folder = assets.photographs_folder()
    print(f"\nphotographs, in {folder}:")
    for name, photos in assets.PHOTOS.items():
        exists = (folder / photos.target).exists()
        state = "whole" if assets.has_photographs(name) else "damaged" if exists else "missing"
        print(f"{name:9}  {state:8}  {photos.summary}")
    return 0


def verify_all() -> int:
    """Check every file of both editions anew; print what is wrong; return the exit status."""
    damaged = 0
    for name, photos in assets.PHOTOS.items():
        try:
            assets.resolve(name, "rendered")
            print(f"{name:9}  rendered  whole")
        except ValueError as error:
            print(f"{name:9}  rendered  damaged: {error}")
            damaged += 1
        if (assets.photographs_folder() / photos.target).exists():
            whole = assets.has_photographs(name)
            print(f"{name:9}  photos    {'whole' if whole else 'damaged: bring it anew'}")
            damaged += not whole
    return min(damaged, 1)


def remove_all() -> int:
    """Remove what was brought; print what else is there, and stays; return the exit status."""
    left = remove()
    if left:
        print(f"left in {assets.photographs_folder()}, since not brought: {', '.join(left)}")
    return 0


def main() -> int:
    """Bring the photographs, look after them, or serve them to a room."""
    parser = argparse.ArgumentParser(prog="python -m tools.photographs", description=main.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("bring", help="bring what is missing")
    command.add_argument("--from", dest="source", help="a folder or an address with the archives")
    commands.add_parser("status", help="say what is in use, there and missing")
    commands.add_parser("verify", help="check every file anew")
    commands.add_parser("remove", help="remove what was brought")
    command = commands.add_parser("serve", help="serve the archives on the local network")
    command.add_argument("--from", dest="source", type=Path, help="a folder with the archives")
    command.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    if args.command == "bring":
        return bring_all(args.source)
    if args.command == "status":
        return show_status()
    if args.command == "verify":
        return verify_all()
    if args.command == "remove":
        return remove_all()
    folder = args.source or assets.photographs_folder() / "archives"
    return serve(folder, names_of_archives(), args.port)
