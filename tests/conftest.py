"""The backend is chosen before anything of oslo is imported."""

from computed import concurrency

concurrency.choose()
