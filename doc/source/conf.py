"""How the pages are built: ``make docs``."""

import logging
import os
import sys

# What is generated from the code: the command line, metrics, errors.
sys.path.insert(0, os.path.abspath('../extensions'))

# It tells of each note it reads, as if that were amiss.
logging.getLogger('reno').setLevel(logging.WARNING)

project = 'computed'
author = 'the authors of computed'
# First: it chooses native threads, before anything else of oslo is loaded.
extensions = ['reference', 'oslo_config.sphinxext', 'notes']

html_theme = 'furo'
html_title = 'computed'
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_static_path = ['_static']
html_css_files = ['computed.css']

# A name in backquotes is code; references say which kind they are.
default_role = 'code'
highlight_language = 'none'
nitpicky = True
