"""``db``: the only commands that open the database themselves."""

from computed import db
from computed import rpc
from computed.cmd.manage import base
from computed.cmd.manage import columns


def primary(conf, make):
    """The URL of the primary; see :func:`computed.db.connections.from_conf`.
    """
    return db.connections.from_conf(
        conf, rpc.is_standalone(conf), make).primary


class Sync(base.Command):
    """Bring the schema of the database up to date."""

    def take_action(self, parsed_args):
        url = primary(self.conf, make=True)
        with db.migration.reachable(url):
            before, after = db.migration.sync(url)
        if before == after:
            said = f'The schema is {after}, which is the newest.'
        else:
            said = f'The schema was {before or "missing"} and is now {after}.'
        self.app.stdout.write(f'{said}\n')


class Version(base.ShowOne):
    """Show which schema the database has, and which this code needs."""

    def take_action(self, parsed_args):
        url = primary(self.conf, make=False)
        with db.migration.reachable(url):
            found = db.migration.version(url)
        return self.dict2columns({
            'version': columns.Cell(found),
            'needed': db.migration.NEEDED,
            'newest': db.migration.known()[-1]})


class NewIncarnation(base.Command):
    """Say that the database was restored: what was read before is void."""

    def take_action(self, parsed_args):
        url = primary(self.conf, make=False)
        with db.migration.reachable(url):
            db.migration.check(url)
            number = db.incarnation.renew(url)
        self.app.stdout.write(
            f'The incarnation is {number} now; within '
            f'{self.conf.database.resync_window:g} s every host reads '
            'anew.\n')
