"""The exercises of the chapters, read from the notebooks, and how an answer is checked.

The cell of an exercise binds names to None, or defines functions without a body: these are the
answer. Its last statement is `if <it is answered>:`, and what stands under it is the check. An
exercise without a cell is an open one, which no program checks.

A chapter trains for minutes, and an answer needs little of its lesson. `needed` keeps the
statements that bind the names that an answer and its check read, and those that may change what
such a name stands for: assignments to its parts (`a.b = 1`, `a[0] = 1`), calls of its methods
(`a.append(1)`), and functions that train their first argument (TRAINS).
"""

import ast
import re
import symtable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from tools.course import myst
from tools.course.chapters import chapters

PROMPT = "*Your answer:*"  # in the students' cell for an open exercise
DEFINITE = (ast.Assign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
TRAINS = {"fit", "train_one_epoch", "train_only", "register_parametrization"}
MOST_MAGICS = 30  # in a cell
NOT_CODE = (SyntaxError, ValueError, MemoryError, RuntimeError)  # also: too deeply nested


@dataclass(frozen=True)
class Exercise:
    """One exercise; `source` and `check` are empty if it is an open one."""

    label: str
    title: str
    cell: str  #: the id of the cell for the answer; of an open one, only students' copies have it
    source: str = ""  #: of that cell
    answer: tuple[str, ...] = ()  #: the code of a student's answer

    @property
    def names(self) -> list[str]:
        """Return the names that an answer binds."""
        return sorted(left_open(self.source))

    @property
    def check(self) -> str:
        """Return the program that raises an error if what `names` stand for is no right answer."""
        nodes = statements(self.source)
        if not nodes or not isinstance(nodes[-1], ast.If):
            return ""
        kept = [node for node in nodes[:-1] if not binds(node) & left_open(self.source)]
        return "\n".join(map(ast.unparse, kept + nodes[-1].body))


@dataclass(frozen=True)
class Chapter:
    """The exercises of a notebook, the code of its lesson, and the ids of all its cells."""

    stem: str
    exercises: list[Exercise]
    lesson: list[str]
    ids: set[str]


def read_chapter(path: Path) -> Chapter:
    """Read a notebook of the book; its exercises stand behind all that they need."""
    exercises, lesson, waiting = [], [], False
    notebook = nbformat.read(path, as_version=4)
    for cell, _, in_solution, text in myst.pieces(notebook.cells):
        waiting &= not in_solution
        if cell.cell_type == "markdown":
            for found in myst.directives(text, "exercise"):
                label, waiting = found.options["label"], True
                exercises.append(Exercise(label, found.title, f"answer-{label}"))
        elif waiting:
            exercises[-1] = replace(exercises[-1], cell=cell.id, source=text)
            waiting = False
        elif not in_solution:
            lesson.append(text)
    return Chapter(path.stem, exercises, lesson, {cell.id for cell in notebook.cells})


def read_chapters() -> list[Chapter]:
    """Read all notebooks of the book."""
    return [read_chapter(path) for path in chapters()]


@lru_cache(1000)
def as_python(code: str) -> str:
    """Return the code of a cell with its magics as calls."""
    with suppress(*NOT_CODE):
        ast.parse(code)
        return code
    if sum(any(sign in line for sign in "%!?") for line in code.split("\n")) > MOST_MAGICS:
        return code  # each of them takes IPython as long as all of the code does
    try:
        return TransformerManager().transform_cell(code)
    except NOT_CODE:
        return code


@lru_cache(1000)
def statements(code: str) -> list[ast.stmt]:
    """Parse the code of a cell; return nothing if it is no Python, or too deeply nested."""
    try:
        nodes = ast.parse(as_python(code)).body
        for node in nodes:
            reads_first(node)
        return nodes
    except NOT_CODE:
        return []


def left_open(code: str) -> set[str]:
    """Return the names that are None (or `...`) at the end of `code`, or functions of no body."""
    found: dict[str, bool] = {}
    for node in statements(code):
        found |= dict.fromkeys(binds(node), is_open(node))
    return {name for name, still in found.items() if still}


def is_open(node: ast.stmt) -> bool:
    """Tell whether a statement binds None or `...`, or a function without a body."""
    if isinstance(node, ast.FunctionDef):
        return all(
            isinstance(line, ast.Pass)
            or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            for line in node.body
        )
    if not isinstance(node, ast.Assign):
        return False
    values = getattr(node.value, "elts", [node.value])
    return any(isinstance(value, ast.Constant) and value.value in (None, ...) for value in values)


def binds(node: ast.stmt) -> set[str]:
    """Return the names that a statement binds, outside of functions."""
    symbols = symtable.symtable(ast.unparse(node), "cell", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def reads(node: ast.stmt) -> set[str]:
    """Return the global names that a statement reads, in functions, too."""

    def of(table: symtable.SymbolTable) -> set[str]:
        outside = table.get_type() == "module"
        found = {
            symbol.get_name()
            for symbol in table.get_symbols()
            if (symbol.is_referenced() if outside else symbol.is_global())
        }
        return found.union(*map(of, table.get_children()))

    return of(symtable.symtable(ast.unparse(node), "cell", "exec"))


def root(node: ast.AST) -> str:
    """Return the name that `a.b[0].c` begins with, or nothing."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def changes(node: ast.stmt) -> set[str]:
    """Return the names whose values a statement may change without binding them."""
    found = set()
    for part in [] if isinstance(node, DEFINITIONS) else ast.walk(node):
        match part:
            case ast.Attribute(ctx=ast.Store()) | ast.Subscript(ctx=ast.Store()):
                found.add(root(part))
            case ast.Expr(value=ast.Call(func=ast.Attribute())):
                found.add(root(part.value))
            case ast.Call(
                func=ast.Name(name) | ast.Attribute(attr=name), args=[ast.Name(first), *_]
            ):
                found |= {first} if name in TRAINS else set()
    return found


def before(nodes: list[ast.stmt], after: set[str]) -> set[str]:
    """Return the names to bind before statements, if `after` them such names are wanted."""
    for node in reversed(nodes):
        after = after - (binds(node) if isinstance(node, DEFINITE) else set()) | reads_first(node)
    return after


def reads_first(node: ast.stmt) -> set[str]:
    """Return the names that a statement reads and has not bound itself."""
    if not isinstance(node, ast.For | ast.If | ast.With):
        return reads(node)
    head = copy(node)
    vars(head).update(body=[ast.Pass()], orelse=[])
    inside = before(node.body, set()) - binds(head)
    return reads(head) | inside | before(getattr(node, "orelse", []), set())


def wanted(code: str, after: set[str]) -> set[str]:
    """Return the names to bind before the code of a cell, if `after` it such names are wanted."""
    nodes = statements(code)
    if not nodes or re.search(r"^\s*%%", code, re.M):  # any word may be a name
        return after | set(re.findall(r"[^\W\d]\w*", code))
    return before(nodes, after)


def needed(lesson: list[str], names: set[str]) -> str:
    """Return the statements of a lesson that bind or change what is wanted, in their order."""
    nodes = [node for cell in lesson for node in statements(cell)]
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = set().union(*map(binds, imports))
    late: set[str] = set()  # what functions read when they are called, wherever that is
    while True:
        wanting, kept = names | late, []
        for node in reversed(nodes):
            if wanting & (binds(node) | changes(node) - imported):
                kept.append(node)
                wanting -= binds(node) - late if isinstance(node, DEFINITE) else set()
                wanting |= reads_first(node)
        inside = set().union(*(reads(node) for node in kept if isinstance(node, DEFINITIONS)))
        if inside <= late:
            return "\n".join(map(ast.unparse, reversed(kept)))
        late |= inside
