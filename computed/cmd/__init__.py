"""The programs. An import of any of them first chooses the backend."""

import sys

from computed import concurrency

concurrency.choose(sys.argv[1:])
