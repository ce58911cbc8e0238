"""``db``: the only commands that open the database themselves."""

from computed.cmd.manage import base
from computed.cmd.manage import columns
from computed.db import cell
from computed.db import engine
from computed.db import routing
from computed.rpc import options


def primary(conf, make):
    """The URL of the primary; see :func:`computed.db.engine.urls.from_conf`.
    """
    return engine.urls.from_conf(
        conf, options.is_standalone(conf), make).primary


class Sync(base.Command):
    """Bring the schema of the database up to date."""

    def take_action(self, parsed_args):
        url = primary(self.conf, make=True)
        with cell.migration.reachable(url):
            before, after = cell.migration.sync(url)
        if before == after:
            said = f'The schema is {after}, which is the newest.'
        else:
            said = f'The schema was {before or "missing"} and is now {after}.'
        self.app.stdout.write(f'{said}\n')


class Version(base.ShowOne):
    """Show which schema the database has, and which this code needs."""

    def take_action(self, parsed_args):
        url = primary(self.conf, make=False)
        with cell.migration.reachable(url):
            found = cell.migration.version(url)
        return self.dict2columns({
            'version': columns.Cell(found),
            'needed': cell.migration.NEEDED,
            'newest': cell.migration.known()[-1]})


class NewIncarnation(base.Command):
    """Say that the database was restored: what was read before is void."""

    def take_action(self, parsed_args):
        url = primary(self.conf, make=False)
        with cell.migration.reachable(url):
            cell.migration.check(url)
            number = routing.incarnation.renew(url)
        self.app.stdout.write(
            f'The incarnation is {number} now; within '
            f'{self.conf.database.resync_window:g} s every host reads '
            'anew.\n')
