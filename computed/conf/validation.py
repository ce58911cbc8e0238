"""Check the configuration at start, and refuse a bad one in one line."""

import errno
import logging
import math
import os
import typing

from oslo_config import cfg

from computed import concurrency
from computed import exception
from computed import files
from computed.conf import shown

# The largest number that an option or an argument may have. Threads cannot
# wait longer, and an integer column of the database holds no larger one.
MAX_INT32 = 2 ** 31 - 1
# Errors of a file system that is full or read-only, perhaps not for ever.
FULL = (*files.NO_ROOM, errno.EROFS)


def check(conf: cfg.ConfigOpts) -> None:
    """Refuse bad values, and values that do not fit together.

    :raises computed.exception.ConfigError: an option is bad; the error names
        the first one found
    """
    for name in conf:
        if isinstance(read(conf, None, name), cfg.ConfigOpts.GroupAttr):
            for member in conf[name]:
                read(conf, name, member)
    _check_state_path(conf)
    _check_libraries(conf)
    _check_intervals(conf.tasks)
    _check_down_time(conf)


def check_backend(conf: cfg.ConfigOpts) -> None:
    """Refuse to run on another concurrency backend than the configured one.

    :raises computed.exception.ConfigError: this process uses another backend;
        the error says why
    """
    option, value = f'[DEFAULT] {concurrency.OPTION}', conf[concurrency.OPTION]
    if os.environ.get(concurrency.VARIABLE):
        option, value = concurrency.VARIABLE, os.environ[concurrency.VARIABLE]
    if value == concurrency.chosen():
        return
    if value not in concurrency.BACKENDS:
        raise exception.ConfigError(
            option=option, value=value, problem='there is no such backend',
            remedy=f'Write one of {", ".join(concurrency.BACKENDS)}.')
    if concurrency.problem():
        raise exception.ConfigError(
            option=option, value=value, problem=concurrency.problem(),
            remedy='Install computed[eventlet], or write threading.')
    raise exception.ConfigError(
        option=option, value=value,
        problem='the place of this option is read too late',
        remedy='Write it to computed.conf or to a --config-file, or set '
               f'{concurrency.VARIABLE}.')


def refuse_blocking(option: str, value: str) -> None:
    """Refuse, under eventlet, a value whose library blocks all threads.

    :param option: the name of the option, with its group
    :param value: its value, without a password
    :raises computed.exception.ConfigError: this process uses eventlet
    """
    if concurrency.chosen() == concurrency.EVENTLET:
        raise exception.ConfigError(
            option=option, value=value,
            problem='under eventlet, each wait in this library would block '
                    'all threads',
            remedy=f'Write {concurrency.OPTION} = {concurrency.THREADING}.')


def unusable_state_path(path: str,
                        error: OSError) -> exception.ComputedError:
    """Return the error that refuses a state path.

    :param error: why it cannot be used
    :returns: StatePathUnwritable if there may be room for it later, else
        ConfigError
    """
    if error.errno in FULL:
        return exception.StatePathUnwritable(
            path=error.filename or path, reason=error.strerror)
    where = f' ({error.filename})' if error.filename else ''
    if isinstance(error, files.Untrusted):
        where = ''      # its text names the file
    return exception.ConfigError(
        option='[DEFAULT] state_path', value=path,
        problem=f'{error.strerror}{where}',
        remedy='Give another with --state-path.')


def read(conf: cfg.ConfigOpts, group: str | None,
         name: str) -> typing.Any:
    """Return the value of an option; oslo.config checks it when it is read.

    :param group: None: ``[DEFAULT]``
    :raises computed.exception.ConfigError: it is bad
    """
    try:
        value = conf[group][name] if group else conf[name]
    except ValueError as error:
        if shown.is_secret(conf, group, name):
            raise exception.ConfigError(
                option=f'[{group or "DEFAULT"}] {name}', value=shown.HIDDEN,
                problem='it is not such a value as this option has',
                remedy='Correct it, or leave it out.') from None
        # Only the text of its cause is free of oslo.config's own wording.
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}',
            value=_as_written(conf, group, name),
            problem=_in_plain_words(error.__context__ or error),
            remedy='Correct it, or leave it out.') from error
    except (cfg.TemplateSubstitutionError, cfg.NoSuchOptError):
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}', value=shown.HIDDEN,
            problem='a $ stands before the name of an option, but no option '
                    'has this name',
            remedy='Write $$ for a dollar sign.') from None
    if value is None and _is_number(conf, group, name):
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}', value='',
            problem='it is empty', remedy='Write a number, or leave it out.')
    # "nan" is a float that passes every bound.
    if isinstance(value, float) and not math.isfinite(value):
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}', value=value,
            problem='not a finite number', remedy='Write a number.')
    if isinstance(value, int | float) and abs(value) > MAX_INT32:
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}', value=value,
            problem=f'larger than {MAX_INT32}, the maximum of every option',
            remedy='Write a smaller number.')
    return value


def _is_number(conf: cfg.ConfigOpts, group: str | None, name: str) -> bool:
    """Return whether an option is a number that cannot be unset."""
    known = conf._get_opt_info(name, group)
    option = known['opt']
    return isinstance(option, cfg.IntOpt | cfg.FloatOpt | cfg.PortOpt) and (
        known.get('default', option.default) is not None)


def _in_plain_words(error: BaseException) -> str:
    """Say what is wrong with a value to a reader who does not know Python."""
    text = str(error).rstrip('.')
    for words, plain in (('invalid literal for int', 'not a whole number'),
                         ('could not convert string to float',
                          'not a number')):
        if text.startswith(words):
            return plain
    return text


def _as_written(conf: cfg.ConfigOpts, group: str | None, name: str) -> str:
    """Return the text of an option as the file has it."""
    twin = cfg.ConfigOpts()
    twin.register_opt(cfg.StrOpt(name), group=group)
    twin([], default_config_files=conf.config_file,
         default_config_dirs=conf.config_dir)
    return twin[group][name] if group else twin[name]


def _check_state_path(conf: cfg.ConfigOpts) -> None:
    if not conf.state_path:     # it would mean the working directory
        raise exception.ConfigError(
            option='[DEFAULT] state_path', value='', problem='it is empty',
            remedy='Write a directory, or leave it out.')


def _check_libraries(conf: cfg.ConfigOpts) -> None:
    """Refuse what libraries would refuse too late and in several lines."""
    levels = logging.getLevelNamesMapping()
    pairs = 'default_log_levels' in conf and conf.default_log_levels
    for pair in pairs or ():
        level = pair.partition('=')[2]
        if level not in levels and not level.isdecimal():
            raise exception.ConfigError(
                option='[DEFAULT] default_log_levels', value=pair,
                problem='it does not end with = and a log level',
                remedy='Write amqp=ERROR, for example.')
    _check_queue_manager(conf)
    if ('executor_thread_pool_size' in conf and
            conf.executor_thread_pool_size < 1):
        raise exception.ConfigError(
            option='[DEFAULT] executor_thread_pool_size',
            value=conf.executor_thread_pool_size,
            problem='without threads no call can be answered',
            remedy='Write at least 1.')


def _check_queue_manager(conf: cfg.ConfigOpts) -> None:
    if 'oslo_messaging_rabbit' not in conf or (
            not conf.oslo_messaging_rabbit.use_queue_manager):
        return
    # Few need this library here, and its import takes time.
    from oslo_concurrency import lockutils
    if not lockutils.get_lock_path(conf):
        raise exception.ConfigError(
            option='[oslo_messaging_rabbit] use_queue_manager', value=True,
            problem='it needs [oslo_concurrency] lock_path, which is not set',
            remedy='Write the path of a directory there, or write false '
                   'here.')


def _check_intervals(tasks: cfg.ConfigOpts.GroupAttr) -> None:
    for name, value in tasks.items():
        if name.endswith('_interval') and (value or 0) < 0:
            raise exception.ConfigError(
                option=f'[tasks] {name}', value=value,
                problem='an interval cannot be negative',
                remedy='Write 0 to turn it off.')


def _check_down_time(conf: cfg.ConfigOpts) -> None:
    if conf.service_down_time <= conf.report_interval:
        raise exception.ConfigError(
            option='[DEFAULT] service_down_time',
            value=conf.service_down_time,
            problem='each host would seem down, because hosts report every '
                    f'{conf.report_interval} s (report_interval)',
            remedy=f'Write at least {3 * conf.report_interval}.')
