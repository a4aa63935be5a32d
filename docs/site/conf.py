"""Sphinx's settings. ``make docs`` treats warnings as errors: broken links, pages outside the navigation."""

from netprobe import __version__

project = "netprobe"
author = "the netprobe authors"
copyright = "the netprobe authors, Apache-2.0"  # noqa: A001 - Sphinx's name for it
release = version = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]  # the options of commands
myst_heading_anchors = 4  # anchors as code hosts make them
exclude_patterns = ["files/**"]
nitpicky = True
# Outputs are shown with … and with layouts of other programs; no lexer knows them.
suppress_warnings = ["misc.highlighting_failure"]
highlight_language = "text"
smartquotes = False  # dashes and quotes of commands are meant

# Furo brings its fonts, scripts and styles along: nothing is loaded from elsewhere.
html_theme = "furo"
html_title = f"netprobe {release}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_domain_indices = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e69", "color-brand-content": "#0b6e69"},
    "dark_css_variables": {"color-brand-primary": "#5fd0c5", "color-brand-content": "#5fd0c5"},
}
