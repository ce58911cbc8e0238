"""How the pages are built: ``make docs``."""

import logging
import os
import sys

# The directives that generate pages from the code.
sys.path.insert(0, os.path.abspath('../extensions'))

# It logs each note that it reads as a warning.
logging.getLogger('reno').setLevel(logging.WARNING)

project = 'computed'
author = 'the authors of computed'
# ``reference`` is first: it selects native threads before any other import of
# oslo.
extensions = ['reference', 'tasks', 'oslo_config.sphinxext', 'notes']

html_theme = 'furo'
html_title = 'computed'
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_static_path = ['_static']
html_css_files = ['computed.css']

# A name in single backquotes is code.
default_role = 'code'
highlight_language = 'none'
nitpicky = True
