"""A chapter with three exercises that can be checked and an open one, for the tests."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CHECKED = {
    "ex-tiny-1": (
        "def check_total(total):\n"
        '    assert abs(total - sum(numbers)) < 0.1, "add them"\n'
        '    print("right")\n\n'
        "total = None  # your answer\n"
        "if total is not None:\n"
        "    check_total(total)"
    ),
    "ex-tiny-2": (
        "def double(number):\n    ...  # your lines\n\n"
        "def check_double(function):\n"
        "    assert function(3) == 6\n\n"
        "if double(1) is not None:\n"
        "    check_double(double)"
    ),
    "ex-tiny-3": (
        "first, second = None, None\n"
        "if None not in (first, second):\n"
        '    assert (first, second) == (numbers[0], numbers[1]), "not these"'
    ),
}
TITLES = ["The sum?", "The double", "Two (names)", "Why?"]
RIGHT = {
    "ex-tiny-1": "total = sum(numbers)",
    "ex-tiny-2": "def double(number):\n    return 2 * number",
    "ex-tiny-3": "first, second = numbers[:2]",
}


def write(path, fence=":::"):
    """Write the chapter; its fences have as many colons as `fence`."""
    cells = [
        new_markdown_cell("# A tiny chapter", id="cell-00"),
        new_code_cell("numbers = [1, 2, 3]", id="cell-01"),
        new_markdown_cell("It goes on.", id="cell-02"),
        new_code_cell("raise SystemExit('nobody needs this')", id="cell-03"),
    ]
    text = "# Tiny\n\n## Exercises\n\n"
    for number, (label, source) in enumerate(CHECKED.items()):
        text += f"{fence}{{exercise}} {TITLES[number]}\n:label: {label}\nDo it.\n{fence}"
        start = f"{fence}{{solution-start}} {label}\n:class: dropdown\n{fence}"
        cells += [
            new_markdown_cell(text, id=f"text-{number}"),
            new_code_cell(source, id=f"cell-{number}", metadata={"tags": ["exercise"]}),
            new_markdown_cell(start, id=f"start-{number}"),
            new_code_cell(f"{RIGHT[label]}  # the solution", id=f"solution-{number}"),
        ]
        text = f"It means much.\n{fence}{{solution-end}}\n{fence}\n\n"
    text += (
        f"{fence}{{exercise}} Why?\n:label: ex-tiny-4\nOpen.\n{fence}\n\n"
        f"{fence}{{solution}} ex-tiny-4\n:class: dropdown\nBecause.\n{fence}"
    )
    cells += [new_markdown_cell(text, id="text-3"), new_markdown_cell("## Quiz", id="quiz")]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), path)
    return path
