"""Settings of the documentation site: `make docs` builds it into docs/_build/html, without internet."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent / "examples")]

from api_reference import page, public_packages  # noqa: E402
from inventories import write_inventories  # noqa: E402

from improved_gan import __version__  # noqa: E402

project = "improved-gan"
author = copyright = "The improved-gan authors"
version = release = __version__
repository = "https://github.com/improved-gan/improved-gan"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "signatures",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "accessibility",
    "mathml",
    "repository_links",
]
exclude_patterns = ["_build", "runs", "paper", "notebooks"]
nitpicky = True

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autosummary_generate = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
default_role = "code"
intersphinx_mapping = write_inventories(DOCS / "_build" / "inventories")

sphinx_gallery_conf = {
    "write_computation_times": False,
    "examples_dirs": ["../examples", "paper"],
    "gallery_dirs": ["gallery/techniques", "gallery/paper"],
    "filename_pattern": r"/(dcgan|section|the_note)\w*\.py",
    "reset_argv": "gallery.arguments",
    "image_scrapers": ("matplotlib", "gallery.before_and_after"),
    "reset_modules": (),
    "within_subsection_order": "FileNameSortKey",
    "nested_sections": False,
    "remove_config_comments": True,
    "default_thumb_file": str(DOCS / "images" / "demo-samples.png"),
    "show_memory": False,
    "parallel": 2,
    "abort_on_example_error": True,
}

html_theme = "furo"
html_title = "improved-gan"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"source_repository": repository, "source_branch": "main", "source_directory": "docs/"}


API = DOCS / "reference" / "api"
API.mkdir(parents=True, exist_ok=True)
for name in public_packages():
    (API / f"{name}.rst").write_text(page(name), encoding="utf-8")
