"""Fresh kernels with limits, for code that others have written.

A kernel has a folder of its own for its files and as its home, and none of the variables of the
environment that may hold a secret. It and what it has started may use so much memory; each piece of
code may take so long. In the end all of its processes are killed, also those that have left it:
a variable of the environment marks them.

That keeps mistakes apart, not malice. A process may do what its user may: read and change that
user's files, kill that user's processes, start very many of its own, talk to the network (by a
proxy that is not there, if it obeys), and take the mark off. Memory is looked at five times a
second; on Linux, one process can't get more in between, either. For code that you don't trust, run
all of this in the container of `.binder/Dockerfile`, without a network.
"""

import os
import queue
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import zmq
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

ROOT = Path(__file__).parents[2]  # where `helpers` is
KEPT = {
    "PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL",
    "LC_CTYPE", "TZ", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT",
}  # fmt: skip
NOWHERE = "http://127.0.0.1:9"  # where nobody listens
SETTINGS = {
    "EDITION": "rendered",
    "EXPLORERS": "page",
    "TQDM_DISABLE": "1",
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # the same messages each time
    "CUDA_VISIBLE_DEVICES": "",
} | dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
MARK = "COURSE_KERNEL"
LARGEST_MESSAGE = 1_000_000  # bytes; what sends a larger one is not listened to any more
LOOK = 0.2  # seconds between two looks at a kernel
NO_MEMORY = ("MemoryError", "t allocate memory")  # Python's words, and PyTorch's
NO_REPLY = (queue.Empty, AttributeError, LookupError, RecursionError, TypeError, ValueError)
OUT = 77  # exit status of a kernel that ends because one of its threads got no memory
LIMITS = """\
def set_limits():
    import os, sys, threading
    def stay():
        raise SystemExit("an answer can't end the kernel")
    def end(thread):
        if any(words in repr(thread.exc_value) for words in {words}):
            os._exit(77)
    get_ipython().ask_exit, threading.excepthook = stay, end  # quit() would end it later
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf8")
    try:
        import resource
        resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        pass  # not on this system
set_limits()
"""
BROKEN = {"timeout", "memory", "crashed"}
STOP = threading.Event()  # set: all kernels end at once
STARTING = threading.Lock()  # or else, on Windows, two kernels may choose the same port


class Reply(NamedTuple):
    """What became of a piece of code."""

    status: str  #: "ok", "error", or one of BROKEN, which ends the kernel's use
    text: str  #: a value as `repr` shows it, or what went wrong


class Kernel:
    """A running kernel; `fresh_kernel` starts it."""

    def __init__(self, manager: KernelManager, folder: Path, memory_mb: int):
        """Take a kernel that `manager` has started."""
        self.manager, self.client = manager, manager.client()
        self.folder, self.memory_mb = folder, memory_mb
        self.too_much = Reply("memory", f"more than {memory_mb} MB")  # whoever notices it
        assert isinstance(manager.provisioner, LocalProvisioner) and manager.provisioner.process
        self.started = manager.provisioner.process
        self.process = psutil.Process(manager.provisioner.pid)

    def run(self, code: str, seconds: float, value: str = "None") -> Reply:
        """Run code, and then tell a value, in so many seconds at most; what it shows is lost."""
        options = {"store_history": False, "stop_on_error": False}
        try:
            request = self.client.execute(code, user_expressions={"value": value}, **options)
        except zmq.Again:  # nobody listens any more
            return Reply("crashed", "the kernel has died")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if STOP.is_set():
                raise KeyboardInterrupt
            if (status := self.started.poll()) not in (None, OUT):
                return Reply("crashed", "the kernel has died")
            if status or self.memory_used() > self.memory_mb * 2**20:
                return self.too_much
            with suppress(*NO_REPLY):
                message = self.client.get_shell_msg(timeout=LOOK)
                if message["parent_header"]["msg_id"] == request:
                    return self.read(message["content"])
        return Reply("timeout", f"longer than {seconds:.1f} s")

    def read(self, content: dict) -> Reply:
        """Return what a reply says; one that no kernel in its right mind sends raises an error."""
        if content["status"] == "ok":
            content = content["user_expressions"]["value"]
        ok = content["status"] == "ok"
        text = content["data"]["text/plain"] if ok else f"{content['ename']}: {content['evalue']}"
        if any(words in text for words in NO_MEMORY):
            return self.too_much
        return Reply("ok" if ok else "error", text.replace(str(self.folder), ""))

    def memory_used(self) -> int:
        """Return the bytes that the kernel and its children hold."""
        total = 0
        with suppress(psutil.Error):
            for process in [self.process, *self.process.children(recursive=True)]:
                with suppress(psutil.Error):
                    total += process.memory_info().rss
        return total


@contextmanager
def fresh_kernel(memory_mb: int) -> Iterator[Kernel]:
    """Start a kernel for a `with` block; raise a RuntimeError if it doesn't start.

    Its folder has `work`, where it runs; `home`; and `features`, where `cached_features` keeps
    its files. It is removed when the block ends.
    """
    folder, mark = Path(tempfile.mkdtemp(prefix="course-")), secrets.token_hex(16)
    for name in ("work", "home", "features", "tmp"):
        (folder / name).mkdir()
    own_python = KernelSpecManager(kernel_dirs=[])  # and not what an account calls python3
    manager = KernelManager(
        kernel_spec_manager=own_python, connection_file=str(folder / "kernel.json"),
        transport="tcp" if os.name == "nt" else "ipc",  # files: no other program takes their place
    )  # fmt: skip
    manager.context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
    manager.context.setsockopt(zmq.SNDTIMEO, 60_000)  # milliseconds
    try:
        with STARTING:
            manager.start_kernel(
                env=environment(folder) | {MARK: mark}, cwd=str(folder / "work"),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        kernel = Kernel(manager, folder, memory_mb)
        try:
            kernel.client.start_channels(iopub=False, stdin=False, hb=False, control=False)
            begun = kernel.run(LIMITS.format(limit=memory_mb * 2**20, words=NO_MEMORY), 1200)
            if begun.status != "ok":
                raise RuntimeError(f"no kernel has started: {begun.text}")
            yield kernel
        finally:
            kernel.client.stop_channels()
    finally:
        kill_marked(mark)
        manager.shutdown_kernel(now=True)
        shutil.rmtree(folder, ignore_errors=True)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a kernel that lives in `folder`."""
    kept = {name: os.environ[name] for name in KEPT & os.environ.keys()}
    places = {"TRANSFER_LEARNING_CACHE": "features", "TRANSFER_LEARNING_DATA": "home"}
    places |= dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"), "home")
    places |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), "tmp")
    kept["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return kept | SETTINGS | {name: str(folder / place) for name, place in places.items()}


def kill_marked(mark: str) -> None:
    """Kill every process that has the mark in its environment, and what it starts meanwhile."""
    for _ in range(50):
        found = [process for process in psutil.process_iter() if has_mark(process, mark)]
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        if not found:
            return
        time.sleep(0.02)


def has_mark(process: psutil.Process, mark: str) -> bool:
    """Tell whether a process, or one that it stems from, was a kernel's."""
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError, ValueError):  # another one's, or already gone
        return False
