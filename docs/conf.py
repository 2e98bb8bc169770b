"""How Sphinx builds these pages: `make docs`. Nothing is fetched from the network."""

import importlib.metadata
import re
from typing import Any

from sphinx.application import Sphinx

project = "Cicada"
author = "The Cicada maintainers"
copyright = author
try:
    release = importlib.metadata.version("cicada-swarm")
except importlib.metadata.PackageNotFoundError:  # built from a folder where it is not installed
    release = ""

extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"Cicada {release}".strip()
html_show_sourcelink = False
html_show_copyright = False
smartquotes = False  # two hyphens begin an option
exclude_patterns = ["images"]

myst_heading_anchors = 4
nitpicky = True
# Names of other projects lead nowhere, as nothing is fetched; of ours only what has a page is linked.
nitpick_ignore_regex = [
    ("py:.*", r"(?!cicada\.).*"),
    (
        "py:.*",
        r"cicada\.(actors|bus|chord|embedding|events|ids|keys|limits|nat|routing|services|targets|wire)\..*",
    ),
    ("py:.*", r"cicada\.\w+\.[A-Z]"),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("Hooks", "Publish", "AnyCommand", "AnyReply")}  # long unions
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
maximum_signature_line_length = 80


def to_pages(_app: Sphinx, name: str, source: list[str]) -> None:
    """Links to the repository's own files lead to the pages made of them."""
    up = "../" * (name.count("/") + 1)
    text = source[0]
    for file, page in (
        ("SECURITY", "security"),
        ("CONTRIBUTING", "contributing"),
        ("CHANGELOG", "changelog"),
    ):
        text = re.sub(rf"\]\({re.escape(up)}{file}\.md", f"]({'../' * name.count('/')}{page}.md", text)
    source[0] = text


def named(_app: Sphinx, *about: Any) -> tuple[str, str] | None:
    """An alias in a union stands there by its name."""
    signature, returns = about[-2:]
    if not signature:
        return None
    return re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", signature), returns


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", to_pages)
    app.connect("autodoc-process-signature", named)
    return {"parallel_read_safe": True}
