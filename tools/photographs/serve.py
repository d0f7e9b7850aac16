"""Serve the archives to a classroom, so that thirty students share one download."""

import asyncio
import re
import socket
import sys
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.web import Application, StaticFileHandler


def serve(folder: Path, names: list[str], port: int) -> int:
    """Serve those files of `folder`, and no others, until interrupted; return the exit status.

    Any part of a file can be asked for, so that an interrupted download goes on where it was.
    """
    there = [name for name in names if (folder / name).is_file()]
    if not there:
        print(f"None of {', '.join(names)} is in {folder}: bring them first", file=sys.stderr)
        return 1
    print(f"Serving {', '.join(there)}. In the room: make data FROM=http://{own_address()}:{port}")
    print("Stop with Ctrl+C.", flush=True)
    try:
        asyncio.run(run(folder, there, port))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        print(f"Port {port} can't be used ({error}): choose another", file=sys.stderr)
        return 1
    return 0


async def run(folder: Path, names: list[str], port: int) -> None:
    """Serve until the task is canceled."""
    server = HTTPServer(make_application(folder, names))
    server.listen(port)
    await asyncio.Event().wait()


def make_application(folder: Path, names: list[str]) -> Application:
    """Return what answers: each of the files, in pieces that a slow network can take."""
    pattern = "/(" + "|".join(map(re.escape, names)) + ")"
    return Application([(pattern, StaticFileHandler, {"path": str(folder)})])


def own_address() -> str:
    """Return this machine's address on the local network, as well as it can be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of no machine; nothing is sent
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
