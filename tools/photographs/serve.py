"""Serve the archives to a classroom, so that thirty students share one download.

A folder that `make stick` has made is served whole: the site, the course and what installs it.
"""

import asyncio
import socket
import sys
from html import escape
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler

SUMS = "SHA256SUMS"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Transfer Learning</title>
<p>To read the course: <a href="site/index.html">the site</a>. Nothing has to be installed.</p>
<p>To work through it with no internet: save <a href="install.py">install.py</a> and call
<code>python3 install.py --from {address}</code>, on Windows <code>py install.py --from {address}
</code>.</p></html>"""


def serve(folder: Path, names: list[str], port: int) -> int:
    """Serve those files of `folder`, and those of a stick, until interrupted; return the status.

    Any part of a file can be asked for, so that an interrupted download goes on where it was.
    """
    there = [name for name in names if (folder / name).is_file()]
    stick, address = on_stick(folder), f"http://{own_address()}:{port}"
    if not there and not stick:
        print(f"None of {', '.join(names)} is in {folder}: bring them first", file=sys.stderr)
        return 1
    if there:
        print(f"Serving {', '.join(there)}. In the room: make data FROM={address}")
    if stick:
        print(f"Serving the stick in {folder}. In the room, open {address}")
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


def on_stick(folder: Path) -> set[str]:
    """Name the files of a stick: those that its list of hashes names, and that lie within it."""
    if not (folder / SUMS).is_file():
        return set()
    lines = (folder / SUMS).read_text("utf8").splitlines()
    paths = {name: (folder / name).resolve() for line in lines if (name := line[66:])}
    root = folder.resolve()
    found = {name for name, path in paths.items() if path.is_relative_to(root) and path.is_file()}
    return found and found | {SUMS}


def make_application(folder: Path, names: list[str]) -> Application:
    """Return what answers: each of the files, in pieces that a slow network can take."""
    stick = on_stick(folder)
    files = ("/(.+)", Listed, {"path": str(folder), "names": {*names, *stick}})
    return Application([("/", Page), files] if stick else [files])


class Listed(StaticFileHandler):
    """Serves the files that were named, and no other."""

    def initialize(self, path: str, names: set[str]) -> None:  # pyright: ignore
        """Take the folder, and the names in it."""
        super().initialize(path)
        self.names = names

    async def get(self, path: str, include_body: bool = True) -> None:
        """Answer with a file, or with 404."""
        if path not in self.names:
            raise HTTPError(404)
        await super().get(path, include_body)


class Page(RequestHandler):
    """Says what there is on a stick."""

    def get(self) -> None:
        """Answer with a page of two lines."""
        self.write(PAGE.format(address=escape(f"http://{self.request.host}")))


def own_address() -> str:
    """Return this machine's address on the local network, as well as it can be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of no machine; nothing is sent
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()
