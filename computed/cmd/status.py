"""computed-status: check whether a deployment is ready for this release.

``computed-status upgrade check`` exits with 0 if it is ready, 1 if there are
warnings, 2 if it is not ready, and 255 if the check itself was impossible.
"""

import functools
import logging
import sys
from collections import abc

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

import computed
from computed import exception
from computed.cmd import setup
from computed.conductor import client as conductor_client
from computed.db import cell
from computed.db import engine
from computed.logs import printable
from computed.objects import versions
from computed.rpc import errors
from computed.rpc import hostapi
from computed.rpc import options
from computed.rpc import rabbit
from computed.rpc import transport
from computed.service import plugins
from computed.virt import driver as virt_driver

NAME = 'computed-status'
NOT_FOUND_OUT = 255

# Seconds by which a clock may be off without a warning. Each age is measured
# by one clock, so nothing breaks; but after a failover to another server every
# host seems older or younger by the difference.
SKEW = 2.0

SUCCESS = upgradecheck.Code.SUCCESS
WARNING = upgradecheck.Code.WARNING
FAILURE = upgradecheck.Code.FAILURE
UNKNOWN = upgradecheck.Result(
    WARNING, 'Unknown, because the primary does not answer.')
NO_REPLICA = 'No replica is configured.'

Finding = tuple[upgradecheck.Code, str]
Servers = abc.Sequence[engine.inspect.Server]


def result(code: upgradecheck.Code, text: str) -> upgradecheck.Result:
    """Return a result whose text drives no terminal.

    :param text: has names that hosts and servers have given
    """
    return upgradecheck.Result(code, printable.escaped(text))


def worst(findings: abc.Sequence[Finding],
          otherwise: str) -> upgradecheck.Result:
    """Return one result for all findings, with the worst of their codes.

    :param otherwise: the text if there are no findings
    """
    if not findings:
        return result(SUCCESS, otherwise)
    return result(max(code for code, _ in findings),
                               ' '.join(text for _, text in findings))


def schema(primary: engine.inspect.Server, needed: str,
           known: abc.Sequence[str]) -> upgradecheck.Result:
    """Check that this code can work with the schema of the primary.

    :param needed: the oldest schema that this code can work with
    :param known: every schema of this code, oldest first
    """
    if primary.error:
        return result(
            FAILURE, f'{primary.name} does not answer: {primary.error}')
    if primary.text_problem:
        return result(FAILURE, f'{primary.name} cannot keep every text: '
                               f'{primary.text_problem}.')
    found = primary.schema
    sync = 'Run `computed-manage db sync`.'
    if found is None:
        return result(
            FAILURE, f'{primary.name} has no schema. {sync}')
    if found not in known:
        return result(
            SUCCESS,
            f'Schema {found} is newer than this code, which can use it.')
    if known.index(found) < known.index(needed):
        return result(
            FAILURE, f'Schema {found} is too old; {needed} is needed. {sync}')
    if found != known[-1]:
        return result(
            WARNING, f'Schema {found} is sufficient; {known[-1]} is the '
                     f'newest. {sync}')
    return result(SUCCESS, f'Schema {found} is the newest.')


def reachable(replicas: Servers) -> upgradecheck.Result:
    """Check that each replica answers; if not, reads go to other nodes."""
    return worst([(WARNING, f'{replica.name} does not answer: '
                            f'{replica.error}')
                  for replica in replicas if replica.error],
                 f'All replicas answer ({len(replicas)}).' if replicas
                 else NO_REPLICA)


def fit(primary: engine.inspect.Server,
        replicas: Servers) -> upgradecheck.Result:
    """Check that each replica that answers is a read-only copy."""
    if primary.error:
        return UNKNOWN
    findings: list[Finding] = []
    for replica in replicas:
        if not replica.error:
            findings += [(code, f'{replica.name} {problem}.') for
                         code, problem in unfit(primary, replica)]
    return worst(
        findings, 'Each replica that answers is a copy of the primary.'
        if replicas else NO_REPLICA)


def unfit(primary: engine.inspect.Server,
          replica: engine.inspect.Server) -> abc.Iterator[Finding]:
    """Return the problems of a replica that answers.

    Only the first of those that make all further checks useless is returned.
    """
    if replica.identity == primary.identity:
        yield FAILURE, ('is the primary itself; remove it from [database] '
                        'replica_connections')
    elif replica.schema is None and primary.schema is not None:
        yield FAILURE, ('has no tables of computed, so it does not replicate '
                        'the primary; check its URL and its replication')
    elif replica.database_id != primary.database_id:
        yield FAILURE, 'is a copy of another database; correct its URL'
    else:
        if replica.schema != primary.schema:
            yield WARNING, (f'has schema {replica.schema}, but the primary '
                            f'has {primary.schema}; check that replication '
                            'runs')
        if replica.replicating is False:
            yield FAILURE, ('accepts writes, so it is not a replica; make the '
                            'server read-only')
        if replica.may_write:
            yield WARNING, ('is read with an account that may write; grant '
                            'this account only SELECT')


def clocks(primary: engine.inspect.Server,
           replicas: Servers) -> upgradecheck.Result:
    """Check that the servers and this machine agree about the time."""
    skews = [(server.name, server.skew) for server in (primary, *replicas)
             if server.skew is not None]
    if not skews:
        return result(
            SUCCESS, 'There is only the clock of this machine.')
    findings = [
        (WARNING, f'{name} is {abs(skew):.1f} s '
                  f'{"ahead of" if skew > 0 else "behind"} this machine.')
        for name, skew in skews if abs(skew) > SKEW]
    if primary.skew is not None:
        findings += [
            (WARNING, f'{name} and the primary are '
                      f'{abs(skew - primary.skew):.1f} s apart.')
            for name, skew in skews[1:]
            if abs(skew - primary.skew) > SKEW]
    if findings:
        findings.append((WARNING, 'Synchronize the clocks.'))
    largest = max(abs(skew) for _, skew in skews)
    return worst(findings, f'The clocks agree to {largest:.1f} s.')


def oldest_service(primary: engine.inspect.Server,
                   ours: str) -> upgradecheck.Result:
    """Check that each service is at most one release behind this code.

    :param ours: the version of this code
    """
    if primary.error:
        return UNKNOWN
    if not primary.services:
        return result(SUCCESS, 'No host is registered yet.')
    findings: list[Finding] = []
    running = []
    for service in primary.services:
        try:
            running.append((versions.parsed(service.version), service))
        except ValueError:
            findings.append((WARNING, (
                f'{service.host} has the version {service.version!r}, which '
                'cannot be compared.')))
    major, minor = versions.parsed(ours)
    for found, service in running:
        if found < (major, minor - 1):
            findings.append((FAILURE, (
                f'{service.host} runs {service.version}, more than one '
                f'release behind {ours} (seen {service.silent_for:.0f} s '
                'ago); upgrade it first.')))
    if findings:
        return worst(findings, '')
    _, service = min(running, key=lambda pair: pair[0])
    return result(
        SUCCESS,
        f'The oldest is {service.version}, on host {service.host}.')


def queue_names(hosts: abc.Iterable[str]) -> list[str]:
    """Return the queues that services on ``hosts`` keep across restarts."""
    return [name for topic in (conductor_client.TARGET.topic, hostapi.TOPIC)
            for name in rabbit.queues_of(topic, sorted(hosts))]


def queues(found: rabbit.Queues | None, url: str) -> upgradecheck.Result:
    """Check that the queues in the broker fit this configuration.

    :param found: the queues; None: there is no broker
    :param url: the URL of the transport, without a password
    """
    if found is None:
        return result(
            SUCCESS, f'Not applicable, because calls travel over {url}.')
    findings = [
        (FAILURE, str(errors.wrong_queue(found, name)))
        for name, difference in found.differences.items() if difference]
    if found.arguments.get('x-queue-type') != 'quorum':
        findings.append((WARNING, (
            f'[{rabbit.GROUP}] rabbit_quorum_queue is off: if a broker node '
            'is lost, the calls in its queues are lost too.')))
    options = ', '.join(f'{name}={value}' for name, value
                        in sorted(found.arguments.items()))
    return worst(findings, (
        f'{len(found.differences)} queues with {options}.'
        if found.differences else
        f'No queue exists yet. Services declare queues with {options}.'))


def guests(driver: virt_driver.ComputeDriver) -> upgradecheck.Result:
    """Check that this machine can give guests all that the driver can."""
    try:
        lacking = driver.shortcomings()
    except exception.ComputedError as error:
        return result(WARNING, str(error))
    return worst([(WARNING, text) for text in lacking],
                 'This machine gives guests all that the driver can.')


class Checks(upgradecheck.UpgradeCommands):
    """The checks that ``upgrade check`` runs, in their order.

    Each server is inspected once, when the first check needs it.

    :ivar urls: the URLs of the database nodes; set by :func:`main`
    :ivar transport: set by :func:`main`
    """

    urls: engine.urls.Urls
    transport: transport.Transport

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Make the checks.

        :param conf: read when the first check runs
        """
        self.conf = conf

    @functools.cached_property
    def primary(self) -> engine.inspect.Server:
        """Return what is known of the primary."""
        return engine.inspect.look(
            self.urls.primary, self.conf.database.primary_timeout)

    @functools.cached_property
    def replicas(self) -> list[engine.inspect.Server]:
        """Return what is known of each replica."""
        return [engine.inspect.look(url, self.conf.database.replica_timeout)
                for url in self.urls.replicas]

    def _schema(self) -> upgradecheck.Result:
        return schema(self.primary, cell.migration.NEEDED,
                      cell.migration.known())

    def _reachable(self) -> upgradecheck.Result:
        return reachable(self.replicas)

    def _fit(self) -> upgradecheck.Result:
        return fit(self.primary, self.replicas)

    def _clocks(self) -> upgradecheck.Result:
        return clocks(self.primary, self.replicas)

    def _oldest_service(self) -> upgradecheck.Result:
        return oldest_service(self.primary, computed.__version__)

    def _queues(self) -> upgradecheck.Result:
        hosts = {self.conf.host,
                 *(service.host for service in self.primary.services)}
        try:
            found = self.transport.inspect_queues(queue_names(hosts))
        except rabbit.Unreachable as error:
            return result(
                FAILURE, str(errors.unreachable(error)))
        return queues(found, self.transport.address)

    def _guests(self) -> upgradecheck.Result:
        return guests(plugins.load_driver(self.conf)(self.conf))

    _upgrade_checks = (
        ('Schema', _schema),
        ('Replicas answer', _reachable),
        ('Replica setup', _fit),
        ('Clocks', _clocks),
        ('Oldest service', _oldest_service),
        ('Quorum queues', _queues),
        ('Guests', _guests),
    )


def main(argv: list[str] | None = None) -> int:
    """Run the checks; return the exit status.

    :param argv: the arguments, without the program; None: those of the
        process
    """
    # An error of a server is a finding and does not belong into a log.
    for name in ('oslo_db', 'oslo_messaging', 'oslo.messaging', 'amqp'):
        logging.getLogger(name).setLevel(logging.ERROR + 1)
    checks = Checks(cfg.CONF)
    upgradecheck.register_cli_options(cfg.CONF, checks)
    try:
        conf = setup.load(setup.arguments_of(argv), NAME)
        try:
            checks.urls = engine.urls.from_conf(
                conf, options.is_standalone(conf))
            checks.transport = transport.make(conf)
        except exception.ConfigError as error:
            setup.fail(error)
    except SystemExit as ended:
        # 1 and 2 would mean results of the checks.
        return NOT_FOUND_OUT if ended.code else 0
    # The library looks for --json here.
    upgradecheck.CONF = conf
    return upgradecheck.run(conf)


if __name__ == '__main__':
    sys.exit(main())
