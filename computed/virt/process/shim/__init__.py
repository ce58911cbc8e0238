"""The parent of one guest's processes. It outlives the daemon.

This package is a program that runs alone: it imports only the standard
library and itself, and reads a request in JSON from standard input
(``launch.py`` writes it). So its start costs little, and a broken
installation of a library ends no guest.
"""
