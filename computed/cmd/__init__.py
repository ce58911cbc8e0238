"""The programs. Importing any of them chooses the backend first."""

import sys

from computed import concurrency

concurrency.choose(sys.argv[1:])
