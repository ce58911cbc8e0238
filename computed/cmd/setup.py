"""The first steps of every program: read the configuration, start the log.

An error in the configuration is printed in one line.
"""

import argparse
import os
import pathlib
import sys
import typing
from collections import abc

import oslo_log.log
from oslo_config import cfg
from oslo_log import log as logging

import computed
from computed import concurrency
from computed import conf as computed_conf
from computed import exception
from computed import files
from computed.conf import shown
from computed.conf import validation
from computed.logs import printable
from computed.rpc import options
from computed.service import late_options
from computed.service import signals
from computed.service.output import log_writers

LOG = logging.getLogger(__name__)

# The arguments that name a file or a folder.
PATHS = ('--config-file', '--config-dir', '--state-path', '--log-dir',
         '--log-config-append')

# Every file of every program is for its own user only.
UMASK = 0o077

# Below the level of warnings, these libraries log each message, statement or
# plugin. What stevedore could not load, and the errors of databases, are
# reported better by their callers. Notifications may go to the log.
LOG_LEVELS = ['amqp=ERROR', 'oslo_db=ERROR', 'stevedore=ERROR',
              'oslo.messaging.notification=INFO', *(
    f'{name}=WARN' for name in (
    'alembic', 'kombu', 'oslo.messaging', 'oslo_messaging',
    'sqlalchemy', 'urllib3'))]


def configure(argv: list[str], prog: str, description: str | None = None,
              setup: abc.Callable[[cfg.ConfigOpts], object] | None = None
              ) -> cfg.ConfigOpts:
    """Read the configuration of a daemon, and set up its log.

    An error in the configuration ends the process.

    :param argv: the arguments, without the name of the program
    :param prog: the name of the program
    :param description: what ``--help`` says about the program
    :param setup: called with the configuration before logging begins
    :returns: the ConfigOpts of the process
    """
    files.raise_limit()
    logging.register_options(cfg.CONF)
    logging.set_defaults(default_log_levels=LOG_LEVELS)
    foreign: list[str] = []
    conf = load(argv, prog, description, foreign.append)
    if setup is not None:
        setup(conf)
    try:
        if path := log_path(conf):
            files.make_log(path)
        logging.setup(conf, 'computed', computed.__version__)
    except OSError as error:
        fail(unusable_log('[DEFAULT] log_file', error))
    except (logging.LogConfigError, ValueError) as error:
        fail(error)
    log_writers.prepare(conf)
    for line in foreign:
        LOG.warning('%s', line)
    if concurrency.chosen() == concurrency.EVENTLET:
        LOG.warning('Running on eventlet, which its authors have deprecated.')
    return conf


def log_path(conf: cfg.ConfigOpts) -> str | None:
    """Return the path of the log file that the options name, or None."""
    if conf.log_config_append:
        return None     # that file names all handlers itself
    return oslo_log.log._get_log_file_path(conf)


def unusable_log(option: str, error: OSError) -> exception.ConfigError:
    """Return the error that says why a log file cannot be used."""
    return exception.ConfigError(
        option=option, value=error.filename, problem=error.strerror,
        remedy='Name a file that this user may write to, and no other user '
               'but root.')


def load(argv: list[str], prog: str, description: str | None = None,
         warn: abc.Callable[[str], object] = str) -> cfg.ConfigOpts:
    """Read the configuration as :func:`configure` does, but set up no log.

    :param warn: called with one line about each section or option that only
        other machines may know. Commands say nothing about them.
    """
    if problem := undecodable(argv):
        fail(exception.ComputedError(problem), prog)
    os.umask(UMASK)
    conf = cfg.CONF
    computed_conf.register_opts(conf)
    options.register_opts(conf)
    try:
        conf(argv, project='computed', prog=prog, version=computed.__version__,
             description=description)
        validation.check(conf)
        validation.check_backend(conf)
        late_options.check(conf, prog, warn)
    except (cfg.Error, exception.ComputedError) as error:
        fail(shown.explained(error))
    except (OSError, UnicodeDecodeError) as error:
        fail(unreadable(argv, prog) or error)
    return conf


def arguments_of(argv: list[str] | None) -> list[str]:
    """Return the arguments of a command, which signals may end from now on.

    :param argv: the arguments, without the program; None: those of the
        process
    """
    signals.let_through()
    return sys.argv[1:] if argv is None else argv


def with_absolute_paths(argv: abc.Sequence[str]) -> list[str]:
    """Return the arguments of a service without relative paths.

    It reads them again at each reload, and gives them to its conductor. The
    current folder may be gone by then.
    """
    found: list[str] = []
    for word in argv:
        name, equals, value = word.partition('=')
        if found and found[-1] in PATHS:
            word = _absolute(word)
        elif equals and name in PATHS:
            word = f'{name}={_absolute(value)}'
        found.append(word)
    return found


def _absolute(path: str) -> str:
    if not path or path.startswith(('~', '-')):
        return path     # empty, for another to expand, or an option
    try:
        return os.path.abspath(path)
    except OSError:     # there is no current folder
        return path


def undecodable(argv: abc.Sequence[str]) -> str | None:
    """Return what is wrong with the first argument that is not text."""
    for number, argument in enumerate(argv, 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            return (f'Argument {number}, {argument}, is not UTF-8. Correct '
                    'it, or the encoding of the terminal.')
    return None


def unreadable(argv: list[str], prog: str) -> exception.ConfigError | None:
    """Return the error of the first file that cannot be read as text."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('--config-file', action='append')
    named, _ = parser.parse_known_args(argv)
    for path in (named.config_file or
                 cfg.find_config_files('computed', prog)):
        try:
            pathlib.Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            return exception.ConfigError(
                option='--config-file', value=path,
                problem=getattr(error, 'strerror', 'it is not UTF-8 text'),
                remedy='Name a file like computed.conf.sample.')
    return None


def fail(error: Exception, prog: str | None = None) -> typing.NoReturn:
    """Print the error in one line, and end the process with status 1.

    :param prog: the name of the program; None: it is in the configuration
    """
    prog = prog or cfg.CONF.prog or os.path.basename(sys.argv[0])
    print(f'{prog}: {printable.escaped(" ".join(str(error).split()))}',
          file=sys.stderr)
    raise SystemExit(1)
