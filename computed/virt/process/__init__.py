"""A driver whose guests are trees of ordinary Linux processes.

It needs neither root nor a package. A guest is a folder below
``<state_path>/instances``. While the guest runs, a shim (the package ``shim``)
is the parent of its processes. The guests do not depend on the daemon: the
next one finds them by their folders, or else by the marks of their processes.
"""

from computed.virt.process import driver

ProcessDriver = driver.ProcessDriver
