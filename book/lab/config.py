"""How JupyterLab opens the book: `make lab`, or `jupyter lab --config book/lab/config.py`."""

from pathlib import Path

HERE = Path(__file__).resolve().parent

c = get_config()  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

# The figures and the other pages lie beside notebooks/: a server with its root in there could not
# reach them. A kernel still starts in the folder of its notebook.
c.ServerApp.root_dir = str(HERE.parent.parent)
c.LabApp.default_url = "/lab/tree/notebooks/00_ten_minutes.ipynb"

# overrides.json lies here: pages of the book open as text, not as source, and nobody is asked about
# news. Nor is any other host.
c.LabApp.app_settings_dir = str(HERE)
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
