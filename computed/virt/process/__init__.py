"""Instances as trees of ordinary Linux processes: no root, no package.

An instance is a folder under ``<state_path>/instances`` and, while it runs,
a shim (``shim.py``) with everything that descends from it. The daemon may
come and go; a new one finds its instances by their folders.
"""

from computed.virt.process import driver

ProcessDriver = driver.ProcessDriver
