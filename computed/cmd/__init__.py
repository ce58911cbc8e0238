"""The programs. Importing any of them chooses native threads first."""

from computed import concurrency

concurrency.choose()
