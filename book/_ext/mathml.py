"""A Sphinx extension: formulas become MathML when the site is built, without a script.

All browsers show MathML since 2023; it can be read aloud, printed and selected.
"""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx


def formula(self, node: nodes.Element) -> None:
    """Write a formula within a sentence."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def displayed_formula(self, node: nodes.Element) -> None:
    """Write a formula on a line of its own."""
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(convert(node.astext(), display="block") + "</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.add_html_math_renderer("mathml", (formula, None), (displayed_formula, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
