"""Build the pages: ``make docs``. Nothing is fetched; every warning is an error in the gate."""

import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
warnings.filterwarnings("ignore", category=DeprecationWarning)  # of libraries that autodoc imports

project = "Engine"
author = "The authors of Engine"
project_copyright = author
release = version = "0.1"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "reference_pages",
    "name_links",
    "code_tables",
    "page_sources",
]
exclude_patterns = ["_build", "_inventories"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
highlight_language = "none"  # of blocks without a language
nitpicky = True
nitpick_ignore_regex = [
    # A private name of ours in a signature: a protocol or an alias, read in the source.
    (r"py:.*", r"(engine_\w+|mmengine)\.(.*\.)?_.*|MistakeKind|Rejected|Array|Reduction"),
    # A type variable: T, _R, _Arguments, BackendT.
    (r"py:.*", r"([\w.]+\.)?(_?[A-Z]\w*T|[A-Z]|_[A-Z]\w*|_\w+_t)"),
    # An error that its package raises and does not export: its base class is public.
    (r"py:exc", r"(Settings|NonFiniteLoss|Export|CheckpointWrite|NotConfigured)Error"),
    # A class of a library without an inventory, or one that its documentation leaves out.
    (r"py:.*", r"(addict|pybind11_builtins|PIL|matplotlib|click|torch\.(utils\.)?_\w+)\..*|Image"),
    # Half of a generic type: Sphinx splits some annotations at their commas.
    (r"py:.*", r".*\[.*"),
]

default_role = "engine-name"  # in docstrings; see _ext/name_links.py
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4

# The inventories are in the tree: see _inventories/README.md.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", "_inventories/python.inv"),
    "torch": ("https://docs.pytorch.org/docs/stable", "_inventories/torch.inv"),
    "numpy": ("https://numpy.org/doc/stable", "_inventories/numpy.inv"),
}

html_theme = "furo"
html_title = "Engine"
html_static_path = ["_static"]
html_css_files = ["engine.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
copybutton_exclude = ".linenos, .gp, .go"
