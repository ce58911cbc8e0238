"""The order in which the files of the whole suite run.

Files of ``integration`` mostly wait for servers, most others compute. If they
take turns, the workers of pytest use the cores all the time. The longest files
come first, or the last worker would be alone with one of them.
"""

from xdist.scheduler import loadfile

LONGEST = ('test_schedules.py', 'test_eventlet.py', 'test_programs.py',
           'test_mutations.py', 'test_crashes.py', 'test_rabbitmq.py',
           'test_faults.py', 'test_end_to_end.py', 'test_replication.py',
           'test_galera.py', 'test_failover.py', 'test_wheel.py')


def ordered(files):
    """Return ``files``, each a path, in the order to run them in.

    Those of ``unit`` come last: they are many and short.
    """
    by_length = sorted(files, key=lambda file: (
        LONGEST.index(file.name) if file.name in LONGEST else len(LONGEST)))
    waiting, computing, units = [], [], []
    for file in by_length:
        (units if 'unit' in file.parts else
         waiting if 'integration' in file.parts else computing).append(file)
    places = {file: place / len(kind) for kind in (waiting, computing)
              for place, file in enumerate(kind)}
    return [*sorted(places, key=places.__getitem__), *units]

# Servers that take long to start, and by what names of tests need them. One
# worker runs all of these tests, so that such a server is started once.
LONG_TO_START = {
    'rabbitmq': ('rabbit', 'test_broker_partition.py',
                 'test_status_queues.py'),
    'galera': ('galera',)}


def unit(nodeid):
    """Return the name of what one worker runs as a whole: a file, or all
    tests that need such a server.
    """
    for server, words in LONG_TO_START.items():
        if any(word in nodeid.lower() for word in words):
            return server
    return nodeid.split('::', 1)[0]


class Scheduling(loadfile.LoadFileScheduling):
    """Give each worker of pytest one unit after the other."""

    def _split_scope(self, nodeid):
        return unit(nodeid)
