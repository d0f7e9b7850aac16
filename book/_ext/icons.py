"""A Sphinx extension: the icons that the pages use, in place of a script with all of Font Awesome.

The theme puts a script of 1.5 MB on each page to draw about fifteen icons. Their outlines are taken
from it into a small style sheet, and the script is left out, so they also show without JavaScript.
Font Awesome Free: CC BY 4.0, https://fontawesome.com/license/free
"""

import re
from pathlib import Path
from urllib.parse import quote

from sphinx.application import Sphinx

SCRIPT = "_static/scripts/fontawesome.js"
LOADS = re.compile(r"[ \t]*<(?:script|link)\b[^>]*scripts/fontawesome\.js[^>]*>(?:</script>)?\n?")
USED = re.compile(r"\bfa-[a-z][a-z0-9-]*")
ICON = re.compile(
    r'"?(?P<name>[a-z0-9-]+)"?:\[(?P<width>\d+),(?P<height>\d+),\[(?P<others>[^\]]*)\],'
    r'"[^"]*","(?P<path>[^"]+)"\]'
)
STYLE = """\
/* Icons of Font Awesome Free (CC BY 4.0, fontawesome.com): those that the pages use. */
:is(.fa, .fas, .far, .fab, .fa-solid, .fa-regular, .fa-brands) {
  display: inline-block; width: 1.25em; height: 1em; vertical-align: -0.125em;
  background: currentColor; mask: var(--icon) center / contain no-repeat;
}
.fa-lg { font-size: 1.25em; }
@media (forced-colors: active) {
  :is(.fa, .fas, .far, .fab, .fa-solid, .fa-regular, .fa-brands) { background: ButtonText; }
}
"""


def outlines(script: str) -> dict[str, str]:
    """Return each icon of the script as SVG, by its name and its other names."""
    found = {}
    for icon in ICON.finditer(script):
        others = re.findall(r'"([a-z0-9-]+)"', icon["others"])
        for name in (icon["name"], *others):
            found[f"fa-{name}"] = (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {icon["width"]} '
                f'{icon["height"]}"><path d="{icon["path"]}"/></svg>'
            )
    return found


def keep_used(app: Sphinx, error: Exception | None) -> None:
    """Take the script off all pages and write the style sheet of the icons that they use."""
    out = Path(app.outdir)
    if error or not (script := out / SCRIPT).is_file():
        return
    used: set[str] = set()
    for page in out.rglob("*.html"):
        text = page.read_text("utf8")
        used |= set(USED.findall(text))
        page.write_text(LOADS.sub("", text), "utf8")
    known = outlines(script.read_text("utf8"))
    rules = [
        f'.{name} {{ --icon: url("data:image/svg+xml,{quote(known[name], safe=" =/:")}"); }}\n'
        for name in sorted(used & known.keys())
    ]
    (out / "_static" / "icons.css").write_text(STYLE + "".join(rules), "utf8")
    for file in script.parent.glob("fontawesome.js*"):
        file.unlink()


def setup(app: Sphinx) -> dict:
    """Connect the extension."""
    app.add_css_file("icons.css")
    app.connect("build-finished", keep_used)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
