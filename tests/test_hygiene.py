"""What is easily forgotten: the locks, the workflows, the hooks, what notebooks hold."""

import ast
import copy
import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import tqdm.notebook
import yaml
from nbformat import v4
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers import runtime
from tools.measure import check_notebooks

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
PROJECT = SETTINGS["project"]
MAKEFILE = (ROOT / "Makefile").read_text("utf8")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def required(name):
    """Return what a list for people asks for, by name."""
    lines = (ROOT / f"requirements{name}.txt").read_text("utf8").splitlines()
    found = [Requirement(line.split("#")[0]) for line in lines if re.match(r"\w", line)]
    return {canonicalize_name(one.name): one for one in found}


def locked(name):
    """Return (pinned requirement, number of hashes) for each entry of a lock."""
    text = (ROOT / f"requirements{name}.lock").read_text("utf8").replace("\\\n", " ")
    entries = [line.split("--hash=") for line in text.splitlines() if not line.startswith("#")]
    return [(Requirement(pin), len(hashes)) for pin, *hashes in entries]


@pytest.mark.parametrize("name", ["", "-dev"])
def test_a_lock_meets_its_requirements_with_hashes_and_names_no_place(name):
    pins = {pin.name: pin for pin, _ in locked(name)}
    for wanted, requirement in required(name).items():
        (version,) = pins[wanted].specifier
        assert requirement.specifier.contains(version.version), f"{wanted}: make lock"
    for pin, num_hashes in locked(name):
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert pin.url is None and num_hashes > 0, pin
    text = (ROOT / f"requirements{name}.lock").read_text("utf8")
    assert not re.search(r"://|file:|^-|index-url|find-links", text, re.MULTILINE)


def test_what_tests_is_added_to_what_reads_and_changes_nothing_of_it():
    base = {pin.name: pin.specifier for pin, _ in locked("")}
    added = {pin.name: pin.specifier for pin, _ in locked("-dev")}
    assert [name for name in base.keys() & added if base[name] != added[name]] == []
    assert not {"torch", "torchvision", "timm"} & added.keys()  # so that TORCH=cpu stays that
    assert not {"pytest", "playwright", "scipy", "ruff"} & base.keys()


def imported(path):
    """Yield the packages that a module or a notebook imports, but for the standard library's."""
    text = path.read_text("utf8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
        text = re.sub(r"^\s*[%!].*$", "", text, flags=re.MULTILINE)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        else:
            names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        yield from {name.split(".")[0] for name in names} - sys.stdlib_module_names


def test_what_is_imported_is_declared():
    own = {"helpers", "tools", "book", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    for_makers = ("tests", "tools/measure", "tools/bench", "tools/provenance")
    distributions = metadata.packages_distributions()
    wanted = {"": set(), "-dev": set(), "helpers": set()}
    for folder in ("helpers", "tools", "book", "tests", "notebooks"):
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.ipynb")]:
            maker = path.relative_to(ROOT).as_posix().startswith(for_makers)
            wanted["-dev" if maker else "helpers" if folder == "helpers" else ""] |= {
                canonicalize_name(distributions[name][0])
                for name in imported(path)
                if name not in own | {"fastai"}  # which has an environment of its own: make bench
            }
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert wanted["helpers"] == declared <= required("").keys()
    assert wanted[""] <= required("").keys()
    assert wanted["-dev"] <= required("").keys() | required("-dev").keys()


def test_what_holds_versions_agrees():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    for work in (citation, citation["preferred-citation"]):
        assert work["title"] == config["title"]
        assert [author["name"] for author in work["authors"]] == [config["author"]]
        assert str(work["version"]) == PROJECT["version"]
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf8"), re.MULTILINE)
    assert versions[0] == PROJECT["version"]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"--python-version {oldest} " in MAKEFILE
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in MAKEFILE
    for name in ("README.md", "Makefile", "requirements.txt", "book/running.md"):
        assert f"Python {oldest} or newer" in (ROOT / name).read_text("utf8"), name
    space = config["parse"]["myst_substitutions"]["disk_space"]
    assert f"{space} of disk space" in (ROOT / "README.md").read_text("utf8")


def make(*arguments):
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@needs_make
def test_without_cuda_the_lock_keeps_all_but_pytorch_and_what_only_pytorch_needs():
    make("--always-make", "_build/without-torch.lock")
    text = (ROOT / "_build" / "without-torch.lock").read_text("utf8")
    lines = (ROOT / "requirements.lock").read_text("utf8").splitlines()
    kept = [line for line in text.splitlines() if "==" in line]
    left_out = [line for line in lines if "==" in line and line not in kept]
    markers = {Requirement(line.rstrip("\\ ")).name: line for line in left_out}
    assert {"torch", "torchvision", "triton", "nvidia-cublas"} <= markers.keys()
    for name in markers.keys() - {"torch", "torchvision", "timm"}:
        assert "sys_platform == 'linux'" in markers[name], name
    assert text.count("--hash=") == sum(n for pin, n in locked("") if pin.name not in markers)
    # What is installed says who needs whom. Nothing that stays may need what goes.
    for line in kept:
        try:
            needs = metadata.requires(Requirement(line.rstrip("\\ ")).name) or []
        except metadata.PackageNotFoundError:  # for another system
            continue
        needed = {Requirement(need).name for need in needs if "extra ==" not in need}
        assert not needed & markers.keys(), line


@needs_make
def test_make_installs_what_reads_and_for_tests_what_tests():
    nowhere = ("--dry-run", "VENV=_build/nowhere")
    for torch in ("", "cpu"):
        printed = make(*nowhere, f"TORCH={torch}", "book")
        assert ("--torch-backend cpu" in printed) == bool(torch)
        assert ("-r requirements.lock" in printed) == (not torch)
        assert "://" not in printed and "requirements-dev" not in printed
        assert "-r requirements-dev.lock" in make(*nowhere, f"TORCH={torch}", "test")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make("--dry-run", "TORCH=gpu", "install")
    assert "TORCH is gpu" in refused.value.stderr


def test_notebooks_are_checked_without_bars_and_with_a_limit_for_endless_loops_only():
    names = ["Makefile", "README.md", "book/running.md"]
    for name in [*names, ".github/workflows/tests.yml", ".github/workflows/monthly.yml"]:
        text = (ROOT / name).read_text("utf8").replace("\\\n", " ")
        command = next(line for line in text.splitlines() if "--nbval-lax" in line)
        assert "EDITION=rendered TQDM_DISABLE=1 " in command and "timeout" not in command, name
    settings = SETTINGS["tool"]["pytest"]["ini_options"]
    assert int(re.search(r"--nbval-cell-timeout=(\d+)", settings["addopts"]).group(1)) >= 6000
    assert "tests/slow" in settings["norecursedirs"] and settings["testpaths"] == ["tests"]


def test_a_bar_in_a_notebook_can_be_left_out(monkeypatch, capsys):
    """As where notebooks are tested: tqdm's own bars for notebooks overlook the variable."""
    bar = tqdm.notebook.tqdm
    monkeypatch.setattr(runtime, "tqdm", lambda *given, **all: bar(*given, **all | {"delay": 0}))
    for disabled, shown in (("", True), ("1", False)):
        monkeypatch.setenv("TQDM_DISABLE", disabled)
        assert list(runtime.progress(range(3), "epochs")) == [0, 1, 2]
        assert ("epochs" in capsys.readouterr().out) == shown


WRITERS = {  # the jobs that may do more than read
    "deploy": {"pages": "write", "id-token": "write"},
    "plain": {"contents": "write"},
    "release": {"contents": "write"},
}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_only_and_ends_and_makes_what_can_be_made(path):
    workflow = yaml.safe_load(path.read_text("utf8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    commands = (ROOT / ".ci" / "run").read_text("utf8")
    for name, job in workflow["jobs"].items():
        steps = job.get("steps", [])
        assert "uses" in job or job["timeout-minutes"] <= 120, name
        assert job.get("permissions", {}) == WRITERS.get(name, {}), name
        with_token = [step for step in steps if "github.token" in str(step)]
        assert with_token == (steps[-1:] if "contents" in WRITERS.get(name, {}) else []), name
        commands += "\n" + "\n".join(step.get("run", "") for step in steps)
    targets = " ".join(re.findall(r"^([\w -]+):", MAKEFILE, re.MULTILINE)).split()
    assert set(re.findall(r"^\s*make ([\w-]+)", commands, re.MULTILINE)) <= set(targets)


def stream(text, name="stdout"):
    return [v4.new_output("stream", name=name, text=text)]


def shown(data):
    return [v4.new_output("display_data", data=data)]


ERROR = [v4.new_output("error", ename="KeyError")]
FAULTS = [  # what is put where, and what is said of it
    (("cells", 1, "execution_count"), 2, "top to bottom"),
    (("cells", 2, "execution_count"), None, "top to bottom"),
    (("cells", 1, "outputs"), ERROR, "cell 2 ends in an error: KeyError"),
    (("cells", 1, "outputs"), stream("a warning", "stderr"), "stderr"),
    (("cells", 1, "outputs"), stream("saved to /home/me/x"), "cell 2 has a path"),
    (("cells", 1, "source"), "folder = 'C:\\\\Users\\\\me'", "path .* in its source"),
    (("cells", 2, "outputs"), shown({"image/png": "A" * 2_000_001}), "larger than 2 MB"),
    (("cells", 2, "outputs"), shown({"text/plain": "<Axes: xlabel='epoch'>"}), "shows <Axes"),
    (("cells", 2, "outputs"), shown({check_notebooks.WIDGET: {}}), "widget, .*run_notebooks"),
]


def test_stored_notebooks_are_fit_to_be_shown_and_each_fault_is_found(tmp_path, capsys):
    link = stream("see https://site.org/home/\n")
    figure = shown({"image/png": "iVBOR", "text/plain": "<Figure size 10x10 with 1 Axes>"})
    kernel = {"name": "python3", "display_name": "P"}
    good = v4.new_notebook(
        metadata={"kernelspec": kernel, "language_info": {"name": "python"}},
        cells=[v4.new_markdown_cell("Prose"),
               v4.new_code_cell("print(text)", execution_count=1, outputs=link),
               v4.new_code_cell("plot(history)", execution_count=2, outputs=figure)],
    )  # fmt: skip
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(good), "utf8")
    assert check_notebooks.main([*map(str, NOTEBOOKS), str(path)]) == 0
    assert capsys.readouterr().out == ""
    for where, what, said in FAULTS:
        notebook = place = copy.deepcopy(good)
        for key in where[:-1]:
            place = place[key]
        place[where[-1]] = what
        path.write_text(json.dumps(notebook), "utf8")
        assert check_notebooks.main([str(path)]) == 1
        (line,) = capsys.readouterr().out.splitlines()
        assert re.search(said, line), line


def test_no_file_that_is_read_can_run_code():
    assert {"S301", "S302"} <= set(SETTINGS["tool"]["ruff"]["lint"]["select"])  # pickle, marshal
    for folder in ("helpers", "tools"):
        for path in (ROOT / folder).rglob("*.py"):
            options = r"weights_only *=(?! *True\b)|allow_pickle *=(?! *False\b)"
            assert not re.search(options, path.read_text("utf8")), path
