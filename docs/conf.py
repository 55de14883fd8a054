"""Settings of Sphinx for the course's website. ``python tools/make_site.py`` prepares the pages and calls Sphinx."""

import re

from bvae_helpers import __version__

project = "β-VAE: a course that runs"
author = "Vishva MV and the contributors"
project_copyright = "Vishva MV and the contributors"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
root_doc = "course"                  # index.html is the front page, made by tools/front.py
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["katex/katex.min.css", "course.css"]
html_js_files = [("render-math.js", {"defer": "defer"})]
mathjax_path = "katex/katex.min.js"  # on pages with formulas; MathJax would come from the network
mathjax_options = {"defer": "defer"}
html_copy_source = html_show_sourcelink = False
html_domain_indices = False

nb_execution_mode = "off"            # the notebooks are shown with their committed outputs
nb_number_source_lines = False
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_update_mathjax = False
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False   # torch's words on forward() are not ours
maximum_signature_line_length = 90
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", keep_bars)


def keep_bars(app, what, name, thing, options, lines):
    """Keep the bars of |KL - C| in docstrings, which reStructuredText takes for a substitution; not in ``code``."""
    for k, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        lines[k] = "".join(part if part.startswith("``") else part.replace("|", "\\|") for part in parts)
