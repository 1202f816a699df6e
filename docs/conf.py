# SPDX-License-Identifier: Apache-2.0
"""How Sphinx builds the documents; `make docs` runs it (see tools/write_docs.py)."""

import re

from sphinx.application import Sphinx

from koinon import __version__

project = "Koinon"
author = "The Koinon contributors"
version = release = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["notes"]
default_role = "py:obj"  # docstrings name things in single backticks

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
toc_object_entries = False  # thousands, resolved again for every page
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
suppress_warnings = ["ref.python"]  # one class name in two rooms: the docstring means its own room's

html_theme = "furo"
html_use_index = False
html_domain_indices = False
html_title = "Koinon"
html_copy_source = False
html_show_sourcelink = False
html_last_updated_fmt = None
html_theme_options = {
    "light_css_variables": {
        "color-background-primary": "#FBFAF7",
        "color-background-secondary": "#FFFFFF",
        "color-foreground-primary": "#1B1F24",
        "color-foreground-muted": "#5B6470",
        "color-background-border": "#E4E0D8",
        "color-brand-primary": "#0B5C8A",
        "color-brand-content": "#0B5C8A",
        "color-brand-visited": "#0B5C8A",
        "font-stack": "Inter, 'Noto Sans TC', 'PingFang TC', 'Microsoft JhengHei', sans-serif",
        "font-stack--monospace": "'JetBrains Mono', monospace",
        "font-stack--headings": "'Source Serif 4', 'Noto Serif TC', 'Songti TC', serif",
    },
    "dark_css_variables": {
        "color-background-primary": "#12161B",
        "color-background-secondary": "#191F26",
        "color-foreground-primary": "#E8E6E1",
        "color-foreground-muted": "#9AA4AF",
        "color-background-border": "#2A3138",
        "color-brand-primary": "#6DB9E8",
        "color-brand-content": "#6DB9E8",
        "color-brand-visited": "#6DB9E8",
    },
}


def setup(app: Sphinx) -> None:
    """Read signs of reStructuredText in docstrings as the words they are: people read them in an editor."""
    app.connect("autodoc-process-docstring", _escape, priority=100)  # before napoleon


def _escape(
    _app: object, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    for number, line in enumerate(lines):
        parts = re.split(r"(`+[^`]*`+)", line)
        lines[number] = "".join(
            part if part.startswith("`") else re.sub(r"[|*](?=\S)", r"\\\g<0>", part) for part in parts
        )
