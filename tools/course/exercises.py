"""The exercises of the chapters, read from the notebooks, and how an answer is checked.

The cell of an exercise binds names to `...`, or defines functions of nothing but `...`: these are
the answer. Its last statement is `if <it is answered>:`, and what stands under it is the check. An
exercise without a cell is an open one, which no program checks.

A check needs little of its chapter, and a chapter trains for minutes. `needed` finds the statements
that bind or change what an answer and its check read. It looks at names only: a method may change
what it is called on, if that is all of a statement or is assigned; a function of the lesson, or one
that trains, its first argument.
"""

import ast
import builtins
import re
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PROMPT = "*Your answer:*"  # in the students' cell for an open exercise
EXERCISE = re.compile(r"^:::+\{exercise\} (.+)\n:label: (\S+)", re.M)
SOLUTION = re.compile(r"^:::+\{solution-(start|end)\}", re.M)
DEFINITE = (ast.Assign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
SHOWS = {"explorers", "plots", "plt", "print"}  # nothing that others need
READS = {"get", "items", "keys", "named_parameters", "parameters", "values"}  # methods
BUILTINS = set(dir(builtins))
TRAINS = {"fit", "train_one_epoch", "train_only", "register_parametrization"}
MOST_MAGICS = 30  # in a cell
NOT_CODE = (SyntaxError, ValueError, MemoryError, RuntimeError)  # also: too deeply nested


@dataclass(frozen=True)
class Exercise:
    """One exercise; `source` and `check` are empty if it is an open one."""

    label: str
    title: str
    # The id of the cell for the answer; of an open one, only the students' copies have it.
    cell: str
    source: str = ""  # of that cell

    @property
    def names(self) -> list[str]:
        """Name what an answer binds."""
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
    exercises, lesson, waiting, in_solution = [], [], None, False
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code" and waiting:
            exercises[-1] = Exercise(*waiting, cell.id, cell.source)
            waiting = None
        elif cell.cell_type == "code" and not in_solution:
            lesson.append(cell.source)
        elif cell.cell_type == "markdown":
            marks = SOLUTION.findall(cell.source)
            in_solution = marks[-1] == "start" if marks else in_solution
            for title, label in EXERCISE.findall(cell.source):
                waiting = (label, title)
                exercises.append(Exercise(label, title, f"answer-{label}"))
    return Chapter(path.stem, exercises, lesson, {cell.id for cell in notebook.cells})


def read_chapters() -> list[Chapter]:
    """Read all notebooks of the book."""
    return [read_chapter(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]


@lru_cache(1000)
def as_python(code: str) -> str:
    """Return the code of a cell with its magics as calls."""
    try:
        ast.parse(code)
        return code
    except NOT_CODE:
        pass
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
    """Name what is bound to dots at the end of `code`, or is a function of nothing but dots."""
    found: dict[str, bool] = {}
    for node in statements(code):
        found |= dict.fromkeys(binds(node), is_open(node))
    return {name for name, still in found.items() if still}


def is_open(node: ast.stmt) -> bool:
    """Tell whether a statement binds dots."""
    if isinstance(node, ast.FunctionDef):
        return all(
            isinstance(line, ast.Pass)
            or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            for line in node.body
        )
    if not isinstance(node, ast.Assign):
        return False
    values = getattr(node.value, "elts", [node.value])
    return any(isinstance(value, ast.Constant) and value.value is ... for value in values)


def binds(node: ast.stmt) -> set[str]:
    """Name what a statement binds, outside of functions."""
    symbols = symtable.symtable(ast.unparse(node), "cell", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}


def reads(node: ast.stmt) -> set[str]:
    """Name the global names that a statement reads, in functions, too."""

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
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """Give a node and all that is in it, but for what functions do when they are called."""
    yield node
    if not isinstance(node, SCOPES):
        for part in ast.iter_child_nodes(node):
            yield from outside_functions(part)


def changes(node: ast.stmt, imported: set[str]) -> set[str]:
    """Name what a statement may change without binding it."""
    if isinstance(node, ast.Expr) and root(node.value) in SHOWS:
        return set()
    found = set()
    for part in outside_functions(node):
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store):
            found.add(root(part))
        elif isinstance(part, ast.Expr | ast.Assign) and isinstance(part.value, ast.Call):
            called = part.value.func
            if not isinstance(called, ast.Name) and getattr(called, "attr", "") not in READS:
                found.add(root(called))
        elif isinstance(part, ast.Call):
            name = part.func.attr if isinstance(part.func, ast.Attribute) else root(part.func)
            of_lesson = isinstance(part.func, ast.Name) and name not in imported | BUILTINS
            if name in TRAINS or of_lesson:
                found |= {first.id for first in part.args[:1] if isinstance(first, ast.Name)}
    return found - imported


def before(nodes: list[ast.stmt], after: set[str]) -> set[str]:
    """Name what has to be bound before statements, if `after` them such names are wanted."""
    names = set(after)
    for node in reversed(nodes):
        names -= binds(node) if isinstance(node, DEFINITE) else set()
        names |= reads_first(node)
    return names


def reads_first(node: ast.stmt) -> set[str]:
    """Name what a statement reads and has not bound itself, as a loop binds what it counts in."""
    if not isinstance(node, ast.For | ast.If | ast.With):
        return reads(node)
    inside = before(node.body, set())
    if isinstance(node, ast.With):
        heads = [item.context_expr for item in node.items]
    elif isinstance(node, ast.For):
        heads = [node.iter]
        inside -= {part.id for part in ast.walk(node.target) if isinstance(part, ast.Name)}
    else:
        heads = [node.test]
    inside |= before(getattr(node, "orelse", []), set())
    return inside.union(*(reads(ast.Expr(head)) for head in heads))


def wanted(code: str, after: set[str]) -> set[str]:
    """Name what has to be bound before the code of a cell, if `after` it such names are wanted."""
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
        wanted_here, kept, inside = names | late, [], set()
        for node in reversed(nodes):
            bound = binds(node)
            if not wanted_here & (bound | changes(node, imported)):
                continue
            kept.append(node)
            wanted_here -= bound - late if isinstance(node, DEFINITE) else set()
            wanted_here |= reads_first(node)
            inside |= reads(node) if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
        if inside <= late:
            return "\n".join(map(ast.unparse, reversed(kept)))
        late |= inside
