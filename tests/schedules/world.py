"""The first import of every program that runs schedules.

``begin()`` must come before any other import of oslo or of our code: what
they import must see the threads and the clocks of the hub.
"""

import os


def begin():
    """Let everything that is imported from now on run on the hub.

    :returns: a folder for files, and in it ``template``, an empty database
    :raises RuntimeError: hashes of texts are random; see :mod:`.start`
    """
    if os.environ.get('PYTHONHASHSEED') != '0':
        raise RuntimeError('PYTHONHASHSEED must be 0')
    from tests.schedules import threads
    threads.install()
    from computed import concurrency
    concurrency.choose([])
    import logging
    import tempfile

    from computed import clock
    from computed import files
    from computed import objects
    from computed.db.cell import migration
    from tests.schedules import audited
    from tests.schedules import connections
    from tests.schedules import faulty
    from tests.schedules import machines
    from tests.support import scratch
    clock.use(threads.Clock())
    logging.disable(logging.WARNING)
    logging.getLogger().addHandler(faulty.Faults())
    objects.register_all()
    folder = (str(scratch.folder()) if scratch.choose() else
              tempfile.mkdtemp(prefix='schedules-'))
    _make_template(f'{folder}/template')
    # Only now: the migrations use a plain file.
    connections.install()
    audited.install()
    files.use_hook(machines.at_file)
    migration.check = lambda url: None
    return folder


def _make_template(path):
    """Make an empty database of the newest schema, always the same."""
    import sqlite3

    from computed.db.cell import migration
    migration.sync(f'sqlite:///{path}')
    connection = sqlite3.connect(path)
    connection.execute("UPDATE database_identity SET uuid = "
                       "'00000000-0000-4000-8000-00000000000d'")
    connection.commit()
    connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    connection.close()
