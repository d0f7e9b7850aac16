"""What is easily forgotten: the lock, the workflows, the hooks, what notebooks and weights hold."""

import ast
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers import assets
from tools import photographs
from tools.measure import check_notebooks

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CODE = sorted(path for folder in ("helpers", "tools") for path in (ROOT / folder).rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
OLDEST = PROJECT["requires-python"].removeprefix(">=")
MAKEFILE = (ROOT / "Makefile").read_text("utf8")
TARGETS = re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE)
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def requirements():
    lines = (ROOT / "requirements.txt").read_text("utf8").splitlines()
    lines = [line.split("#")[0].strip() for line in lines]
    return {
        canonicalize_name(Requirement(line).name): Requirement(line)
        for line in lines
        if line and not line.startswith("-")
    }


def lock():
    """Return (pinned requirement, number of hashes) for each entry of the lock."""
    text = (ROOT / "requirements.lock").read_text("utf8").replace("\\\n", " ")
    entries = [line.split("--hash=") for line in text.splitlines() if not line.startswith("#")]
    return [(Requirement(pin), len(hashes)) for pin, *hashes in entries]


def test_the_lock_meets_the_requirements():
    for name, requirement in requirements().items():
        pins = [pin for pin, _ in lock() if canonicalize_name(pin.name) == name]
        assert pins, f"{name} is not in requirements.lock: make lock"
        for pin in pins:
            (version,) = pin.specifier
            assert requirement.specifier.contains(version.version), f"{name}: make lock"


def test_the_lock_pins_everything_with_hashes_and_names_no_place():
    for pin, num_hashes in lock():
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert pin.url is None and num_hashes > 0, pin
    text = (ROOT / "requirements.lock").read_text("utf8")
    assert not re.search(r"://|file:|^-|index-url|find-links", text, re.MULTILINE)
    assert not check_notebooks.PATH.search(text)


def test_what_the_package_depends_on_is_among_the_requirements():
    wanted = {str(requirement) for requirement in requirements().values()}
    assert {str(Requirement(line)) for line in PROJECT["dependencies"]} <= wanted


def test_the_package_depends_on_what_helpers_imports():
    imported = set()
    for path in (ROOT / "helpers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    imported -= sys.stdlib_module_names | {"helpers"}
    named = {canonicalize_name({"PIL": "pillow"}.get(name, name)) for name in imported}
    assert named == {Requirement(line).name for line in PROJECT["dependencies"]}


def test_what_holds_versions_agrees():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    for work in (citation, citation["preferred-citation"]):
        assert work["title"] == config["title"]
        assert [author["name"] for author in work["authors"]] == [config["author"]]
        assert str(work["version"]) == PROJECT["version"]
    assert [author["name"] for author in PROJECT["authors"]] == [config["author"]]
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf8"), re.MULTILINE)
    assert versions[0] == PROJECT["version"]


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
    assert text.count("--hash=") == sum(
        num_hashes for pin, num_hashes in lock() if pin.name not in markers
    )
    # What is installed says who needs whom. What PyTorch needs only on Linux goes.
    needs = [Requirement(need) for need in metadata.requires("torch") or []]
    assert {need.name for need in needs if "linux" in str(need.marker).lower()} <= markers.keys()
    # Nothing that stays may need what goes.
    for line in kept:
        try:
            needs = metadata.requires(Requirement(line.rstrip("\\ ")).name) or []
        except metadata.PackageNotFoundError:  # for another system
            continue
        needed = {Requirement(need).name for need in needs if "extra ==" not in need}
        assert not needed & markers.keys(), line


@needs_make
@pytest.mark.parametrize("torch", ["", "cpu"])
def test_one_word_leaves_cuda_out(torch):
    printed = make("--dry-run", "VENV=_build/nowhere", f"TORCH={torch}", "install")
    assert ("--torch-backend cpu" in printed) == ("_build/without-torch.lock" in printed)
    assert ("--torch-backend cpu" in printed) == bool(torch)
    assert ("-r requirements.lock" in printed) == (not torch)
    assert "://" not in printed


@needs_make
def test_a_pytorch_that_is_not_known_is_refused():
    with pytest.raises(subprocess.CalledProcessError) as refused:
        make("--dry-run", "TORCH=gpu", "install")
    assert "TORCH is gpu" in refused.value.stderr


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return yaml.safe_load(request.param.read_text("utf8"))


def load(name):
    return yaml.safe_load((ROOT / ".github" / name).read_text("utf8"))


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def test_there_are_workflows():
    assert [path.stem for path in WORKFLOWS] == ["monthly", "pages", "release", "tests", "weekly"]


WRITERS = {  # the jobs that may do more than read
    "deploy": {"pages": "write", "id-token": "write"},
    "plain": {"contents": "write"},
    "release": {"contents": "write"},
}


def test_a_workflow_may_read_only_and_ends(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"]
    for name, job in workflow["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 120, name
        assert job.get("permissions", {}) == WRITERS.get(name, {}), name
        with_token = [step for step in job.get("steps", []) if "github.token" in str(step)]
        writes = WRITERS.get(name) == {"contents": "write"}
        assert with_token == (job["steps"][-1:] if writes else []), name
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step), step
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_actions_are_pinned_by_hash_and_kept_current():
    lines = [line for path in WORKFLOWS for line in path.read_text("utf8").splitlines()]
    used = [line.split("uses: ")[1] for line in lines if "uses: " in line]
    pins = {use for use in used if not use.startswith("./.github/workflows/")}
    for pin in pins:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", pin), pin
    names = [pin.split("@")[0] for pin in pins]
    assert len(names) == len(set(names)), "one action in two versions"
    ecosystems = {update["package-ecosystem"] for update in load("dependabot.yml")["updates"]}
    assert ecosystems == {"github-actions", "pip"}


def test_what_is_made_can_be_made(workflow):
    container = (ROOT / ".devcontainer" / "devcontainer.json").read_text("utf8")
    commands = [step.get("run", "") for step in steps(workflow)]
    commands += re.findall(r'"postCreateCommand": "(.+)"', container)
    commands += (ROOT / ".ci" / "run").read_text("utf8").splitlines()
    made = [name for text in commands for name in re.findall(r"^\s*make ([\w-]+)", text, re.M)]
    assert len(made) >= 5
    assert set(made) <= set(TARGETS)


def test_the_tests_run_on_every_system_and_on_every_python():
    matrix = load("workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert {os.split("-")[0] for os in matrix["os"]} == {"ubuntu", "macos", "windows"}
    classifiers = [line.split(" :: ") for line in PROJECT["classifiers"]]
    assert matrix["python"] == [words[-1] for words in classifiers if re.match(r"3\.", words[-1])]
    assert OLDEST.startswith(f"{matrix['python'][0]}.")


def test_what_names_the_oldest_python_agrees():
    assert f"--python-version {OLDEST} " in MAKEFILE
    assert f"sys.version_info < ({OLDEST.replace('.', ', ')})" in MAKEFILE
    for name in ("README.md", "Makefile", "requirements.txt", "book/running.md"):
        assert f"Python {OLDEST} or newer" in (ROOT / name).read_text("utf8"), name


def test_jupyterlab_is_started_in_one_way():
    command = "jupyter lab --config book/lab/config.py"
    for name in ("Makefile", "README.md", "book/running.md"):
        text = (ROOT / name).read_text("utf8")
        assert text.count("jupyter lab ") == text.count(command) > 0, name


def test_where_the_tests_must_see_a_browser_they_do():
    tests = load("workflows/tests.yml")["jobs"]["tests"]
    assert "ubuntu" in tests["env"]["REQUIRE_BROWSER"]
    assert "export REQUIRE_BROWSER=1\n" in (ROOT / ".ci" / "run").read_text("utf8")


def test_a_site_is_published_after_its_tests():
    jobs = load("workflows/pages.yml")["jobs"]
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert set(jobs["deploy"]["needs"]) == {"tests", "build"}
    assert "workflow_call" in load("workflows/tests.yml")[True]  # YAML reads the key `on` as true


@pytest.mark.skipif(sys.platform == "win32", reason="the workflow runs on Linux")
@pytest.mark.parametrize(("tag", "passes"), [(f"v{PROJECT['version']}", True), ("v0.1", False)])
def test_a_release_has_the_version_of_its_tag(tag, passes):
    (run,) = [step["run"] for step in load("workflows/release.yml")["jobs"]["version"]["steps"][1:]]
    done = subprocess.run(["bash", "-ec", run], cwd=ROOT, env=os.environ | {"GITHUB_REF_NAME": tag},
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode == 0) == passes
    assert passes or f"should be v{PROJECT['version']}, and is {tag}" in done.stdout


def test_the_containers_are_one():
    dockerfile = (ROOT / ".binder" / "Dockerfile").read_text("utf8")
    container = (ROOT / ".devcontainer" / "devcontainer.json").read_text("utf8")
    assert '"dockerfile": "../.binder/Dockerfile"' in container
    (stage,) = re.findall(r'"target": "(\w+)"', container)
    assert re.search(rf"^FROM python:\S+ AS {stage}$", dockerfile, re.MULTILINE)
    (user,) = re.findall(r'"remoteUser": "(\w+)"', container)
    assert f"ARG NB_USER={user}\n" in dockerfile
    (chapter,) = re.findall(r"/lab/tree/(\S+)", dockerfile)
    config = (ROOT / "book" / "lab" / "config.py").read_text("utf8")
    assert f'"/lab/tree/{chapter}"' in config and (ROOT / chapter).is_file()


def test_the_photographs_are_kept_under_what_identifies_them():
    (run,) = [
        step["run"] for step in steps(load("workflows/pages.yml")) if "identity=" in str(step)
    ]
    pattern = re.search("grep -ohE '(.+)'", run).group(1)
    files = [ROOT / word for word in run.split() if word.endswith(".py")]
    found = [
        line for path in files for line in re.findall(pattern, path.read_text("utf8"), re.MULTILINE)
    ]
    wanted = [source.url for source in photographs.SOURCES.values()]
    wanted += [assets.IMAGENET_SHA256, assets.HYMENOPTERA_SHA256]
    assert len(found) == len(wanted)
    for identity in wanted:
        assert identity in " ".join(found)


def test_slow_tests_run_only_where_they_are_asked_for():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["tool"]["pytest"]
    assert "tests/slow" in settings["ini_options"]["norecursedirs"]
    assert re.search(r"pytest .*tests/slow\n", MAKEFILE)


def good_notebook():
    picture = {"image/png": "iVBOR", "text/plain": ["<Figure size 10x10 with 1 Axes>"]}
    shown = {"output_type": "display_data", "data": picture, "metadata": {}}
    printed = {"output_type": "stream", "name": "stdout", "text": ["see https://site.org/home/\n"]}
    return {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["Prose"]},
            code_cell(1, "print(text)", [printed]),
            code_cell(2, "plot(history)", [shown]),
        ],
        "metadata": {"kernelspec": {"name": "python3"}, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def code_cell(count, source, outputs):
    return {
        "cell_type": "code",
        "execution_count": count,
        "metadata": {"tags": []},
        "outputs": outputs,
        "source": [source],
    }


def stream(text, name="stdout"):
    return [{"output_type": "stream", "name": name, "text": [text]}]


def result(text):
    return [{"output_type": "execute_result", "data": {"text/plain": [text]}, "metadata": {}}]


ERROR = [{"output_type": "error", "ename": "KeyError", "evalue": "", "traceback": []}]
TOO_LARGE = {"output_type": "display_data", "data": {"image/png": "A" * 2_000_001}}
FAULTS = {  # what is put where, and what is said of it
    "run again": (("cells", 1, "execution_count"), 7, "top to bottom"),
    "order": (("cells", 1, "execution_count"), 2, "top to bottom"),
    "not run": (("cells", 2, "execution_count"), None, "top to bottom"),
    "error": (("cells", 1, "outputs"), ERROR, "cell 2 ends in an error: KeyError"),
    "stderr": (("cells", 1, "outputs"), stream("a warning", "stderr"), "stderr"),
    "home": (("cells", 1, "outputs"), stream("saved to /home/me/x"), "path"),
    "tmp": (("cells", 1, "outputs"), result("'/tmp/x.pt'"), "cell 2 has a path"),
    "mac": (("cells", 1, "source"), ["folder = '/Users/me/data'"], "path .* in its source"),
    "windows": (("cells", 1, "source"), ["folder = 'C:\\\\Users\\\\me'"], "path"),
    "mounted": (("cells", 0, "source"), ["See `/mnt/disk`."], "cell 1 has a path"),
    "large": (("cells", 2, "outputs"), [TOO_LARGE], "larger than 2 MB"),
    "title": (("cells", 2, "outputs"), result("Text(0.5, 1.0, 'loss')"), r"shows Text\(0.5"),
    "line": (("cells", 2, "outputs"), result("[<matplotlib.lines.Line2D at 0x7f>]"), "shows <mat"),
    "axes": (("cells", 2, "outputs"), result("<Axes: xlabel='epoch'>"), "shows <Axes"),
    "object": (("cells", 2, "outputs"), stream("<object object at 0x7f>"), "shows  at 0x7f"),
    "kernel": (("metadata", "kernelspec"), {"name": "my-env"}, "kernel my-env"),
    "widgets": (("metadata", "widgets"), {}, "metadata .*: widgets"),
    "folded": (("cells", 1, "metadata"), {"collapsed": True}, "metadata .*: collapsed"),
}


def write(folder, notebook):
    path = folder / "notebook.ipynb"
    path.write_text(json.dumps(notebook), "utf8")
    return path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebooks_are_fit_to_be_shown(path):
    assert not list(check_notebooks.problems(path))


def test_a_good_notebook_passes(tmp_path, capsys):
    assert check_notebooks.main([str(write(tmp_path, good_notebook()))]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("where", "what", "said"), FAULTS.values(), ids=FAULTS)
def test_each_fault_of_a_notebook_is_found(tmp_path, capsys, where, what, said):
    notebook = good_notebook()
    place = notebook
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = copy.deepcopy(what)
    assert check_notebooks.main([str(write(tmp_path, notebook))]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert re.search(said, line), line


def hooks():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf8"))
    return {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}


def test_the_hook_for_paths_finds_those_of_a_machine_only():
    pattern = re.compile(hooks()["paths"]["entry"])
    for bad in ("/home/me", '"/Users/me"', "C:\\Users\\me", "cd /mnt/disk", "/tmp/x"):
        assert pattern.search(bad), bad
    for good in ("https://site.org/home/page", "~/mnt/x", "../tmp/x", "/media/stick", "/home"):
        assert not pattern.search(good), good


def test_the_hooks_of_this_book_name_files_that_are_there():
    for hook in hooks().values():
        for word in hook["entry"].split():
            assert not word.startswith("tools/") or (ROOT / word).is_file(), hook["id"]


PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def unsafe_loads(source):
    """List what could run code that lies in a file it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in PICKLES | {"torch"}:
            found += [
                name.name for name in node.names if name.name in ("load", "loads", "Unpickler")
            ]
        elif isinstance(node, ast.Import):  # another name would hide what follows
            found += [n.name for n in node.names if n.asname and n.name in PICKLES | {"torch"}]
        elif isinstance(node, ast.Call):
            module, _, name = ast.unparse(node.func).rpartition(".")
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            if (
                (module in PICKLES and name in ("load", "loads", "Unpickler", "open"))
                or (module == "torch" and name == "load" and options.get("weights_only") != "True")
                or options.get("allow_pickle", "False") != "False"
            ):
                found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.stem)
def test_no_file_that_is_read_can_run_code(path):
    assert not unsafe_loads(path.read_text("utf8"))


@pytest.mark.parametrize(
    "source",
    [
        "pickle.load(file)",
        "pickle.Unpickler(file).load()",
        "from pickle import loads",
        "import pickle as p",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_reading_that_can_run_code_is_found(source):
    assert unsafe_loads(source)


def test_reading_that_can_not_is_none():
    assert not unsafe_loads("torch.load(p, weights_only=True); pickle.dumps(x); np.load(p)")
