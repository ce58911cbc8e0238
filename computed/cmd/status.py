"""computed-status: is this deployment ready for this release?

``computed-status upgrade check`` exits with 0 if it is, 1 if somebody should
have a look, 2 if it is not, 255 if that could not be found out.
"""

import functools
import logging
import sys

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck
from packaging import version

import computed
from computed import exception
from computed.cmd import setup
from computed.conductor import client as conductor_client
from computed.db import cell
from computed.db import engine
from computed.rpc import errors
from computed.rpc import hostapi
from computed.rpc import options
from computed.rpc import rabbit
from computed.rpc import transport

NAME = 'computed-status'
NOT_FOUND_OUT = 255

# Seconds that a clock may be off before somebody should know. Ages are
# measured by one clock each, so nothing breaks; but a failover to another
# server makes every host seem older or younger by the difference.
SKEW = 2.0

SUCCESS = upgradecheck.Code.SUCCESS
WARNING = upgradecheck.Code.WARNING
FAILURE = upgradecheck.Code.FAILURE
UNKNOWN = upgradecheck.Result(WARNING, 'Unknown: the primary does not answer.')


def worst(findings, otherwise):
    """One result of several.

    :param findings: ``[(code, text)]``
    :param otherwise: what to say where nothing was found
    """
    if not findings:
        return upgradecheck.Result(SUCCESS, otherwise)
    return upgradecheck.Result(max(code for code, _ in findings),
                               ' '.join(text for _, text in findings))


def schema(primary, needed, known):
    """Has the primary a schema that this code can work with?

    :param known: every schema of this code, oldest first
    """
    if primary.error:
        return upgradecheck.Result(
            FAILURE, f'{primary.name} does not answer: {primary.error}')
    found = primary.schema
    sync = 'Run `computed-manage db sync`.'
    if found is None:
        return upgradecheck.Result(FAILURE, f'{primary.name} has none. {sync}')
    if found not in known:
        return upgradecheck.Result(
            SUCCESS, f'{found} is newer than this code, which works with it.')
    if known.index(found) < known.index(needed):
        return upgradecheck.Result(
            FAILURE, f'{found} is too old, {needed} is needed. {sync}')
    if found != known[-1]:
        return upgradecheck.Result(
            WARNING, f'{found} will do, {known[-1]} is the newest. {sync}')
    return upgradecheck.Result(SUCCESS, f'{found} is the newest.')


def reachable(replicas):
    """Does each replica answer? Without one, reads go elsewhere."""
    return worst([(WARNING, f'{replica.name} does not answer: '
                            f'{replica.error}')
                  for replica in replicas if replica.error],
                 f'{len(replicas)} answer.' if replicas else
                 'None is configured.')


def fit(primary, replicas):
    """Is each replica that answers a copy of this primary, to read only?"""
    if primary.error:
        return UNKNOWN
    findings = []
    for replica in replicas:
        if not replica.error:
            findings += [(code, f'{replica.name} {problem}.') for
                         code, problem in unfit(primary, replica)]
    return worst(findings, 'Each that answers is one of this database.'
                 if replicas else 'None is configured.')


def unfit(primary, replica):
    """``(code, problem)`` of a replica that answers; the first that weighs.
    """
    if replica.identity == primary.identity:
        yield FAILURE, 'is the primary itself; take it out'
    elif replica.schema is None and primary.schema is not None:
        yield FAILURE, 'lacks the tables: it does not replicate this database'
    elif replica.database_id != primary.database_id:
        yield FAILURE, 'belongs to another database; correct its URL'
    else:
        if replica.schema != primary.schema:
            yield WARNING, (f'has schema {replica.schema}, the primary '
                            f'{primary.schema}: is replication running?')
        if replica.replicating is False:
            yield FAILURE, ('accepts writes, so it is no replica; make the '
                            'server read-only')
        if replica.may_write:
            yield WARNING, ('is read with an account that may write; give '
                            'it SELECT and nothing else')


def clocks(primary, replicas):
    """Do the servers and this machine agree what time it is?"""
    known = [server for server in (primary, *replicas)
             if server.skew is not None]
    if not known:
        return upgradecheck.Result(SUCCESS, 'There is one clock only.')
    findings = [
        (WARNING, f'{server.name} is {abs(server.skew):.1f} s '
                  f'{"ahead of" if server.skew > 0 else "behind"} this '
                  'machine.')
        for server in known if abs(server.skew) > SKEW]
    if primary.skew is not None:
        findings += [
            (WARNING, f'{server.name} and the primary are '
                      f'{abs(server.skew - primary.skew):.1f} s apart.')
            for server in known[1:]
            if abs(server.skew - primary.skew) > SKEW]
    largest = max(abs(server.skew) for server in known)
    return worst(findings, f'They agree to {largest:.1f} s.')


def oldest_service(primary, ours):
    """Is every host's service at most one release behind this code?

    :param ours: the version of this code
    """
    if primary.error:
        return UNKNOWN
    if not primary.services:
        return upgradecheck.Result(SUCCESS, 'No host was ever registered.')
    findings, versions = [], []
    for service in primary.services:
        try:
            versions.append((version.Version(service.version), service))
        except version.InvalidVersion:
            findings.append((WARNING, f'{service.host} has version '
                                      f'{service.version!r}.'))
    this = version.Version(ours)
    for found, service in versions:
        if (found.major, found.minor + 1) < (this.major, this.minor):
            findings.append((FAILURE, (
                f'{service.host} runs {found}, more than one release behind '
                f'{this} (seen {service.silent_for:.0f} s ago); upgrade it '
                'first.')))
    oldest = min(versions, default=None, key=lambda pair: pair[0])
    return worst(findings, oldest and
                 f'{oldest[0]}, on host {oldest[1].host}.')


def queue_names(hosts):
    """The queues that services on ``hosts`` keep from start to start."""
    return [name for topic in (conductor_client.TARGET.topic, hostapi.TOPIC)
            for name in rabbit.queues_of(topic, sorted(hosts))]


def queues(found, url):
    """Does the broker keep our queues as this configuration wants them?

    :param found: :class:`computed.rpc.rabbit.Queues`; None: there is no broker
    :param url: the transport's, without a password
    """
    if found is None:
        return upgradecheck.Result(
            SUCCESS, f'Not applicable: calls travel over {url}.')
    findings = [
        (FAILURE, str(errors.wrong_queue(found, name)))
        for name, difference in found.differences.items() if difference]
    if found.arguments.get('x-queue-type') != 'quorum':
        findings.append((WARNING, (
            f'[{rabbit.GROUP}] rabbit_quorum_queue is off: a call is lost '
            'with the node of the broker that keeps its queue.')))
    options = ', '.join(f'{name}={value}' for name, value
                        in sorted(found.arguments.items()))
    return worst(findings, (
        f'{len(found.differences)} with {options}.' if found.differences
        else f'None yet; services declare them with {options}.'))


class Checks(upgradecheck.UpgradeCommands):
    """What ``upgrade check`` runs, from top to bottom.

    Each looks at what was found out once, at the first need.
    """

    def __init__(self, conf):
        self.conf = conf
        self.urls = self.transport = None

    @functools.cached_property
    def primary(self):
        return engine.inspect.look(self.urls.primary,
                              self.conf.database.primary_timeout)

    @functools.cached_property
    def replicas(self):
        return [engine.inspect.look(url, self.conf.database.replica_timeout)
                for url in self.urls.replicas]

    def _schema(self):
        return schema(self.primary, cell.migration.NEEDED,
                      cell.migration.known())

    def _reachable(self):
        return reachable(self.replicas)

    def _fit(self):
        return fit(self.primary, self.replicas)

    def _clocks(self):
        return clocks(self.primary, self.replicas)

    def _oldest_service(self):
        return oldest_service(self.primary, computed.__version__)

    def _queues(self):
        hosts = {self.conf.host,
                 *(service.host for service in self.primary.services)}
        try:
            found = self.transport.inspect_queues(queue_names(hosts))
        except rabbit.Unreachable as error:
            return upgradecheck.Result(
                FAILURE, str(errors.unreachable(error)))
        return queues(found, self.transport.address)

    _upgrade_checks = (
        ('Schema', _schema),
        ('Replicas answer', _reachable),
        ('Replicas are replicas', _fit),
        ('Clocks', _clocks),
        ('Oldest service', _oldest_service),
        ('Quorum queues', _queues),
    )


def main(argv=None):
    """Run the checks; returns the exit status."""
    # What a server answers is a finding, not a line of a log.
    for name in ('oslo_db', 'oslo_messaging', 'oslo.messaging', 'amqp'):
        logging.getLogger(name).setLevel(logging.ERROR + 1)
    checks = Checks(cfg.CONF)
    upgradecheck.register_cli_options(cfg.CONF, checks)
    try:
        conf = setup.load(sys.argv[1:] if argv is None else argv, NAME)
        try:
            checks.urls = engine.urls.from_conf(
                conf, options.is_standalone(conf))
            checks.transport = transport.make(conf)
        except exception.ConfigError as error:
            setup.fail(error)
    except SystemExit as ended:
        # 1 and 2 would be results of the checks.
        return NOT_FOUND_OUT if ended.code else 0
    # Where the library looks for --json.
    upgradecheck.CONF = conf
    return upgradecheck.run(conf)


if __name__ == '__main__':
    sys.exit(main())
