"""Is what was configured usable? Found out at start, said in one line."""

import logging
import math
import os

from oslo_config import cfg

from computed import concurrency
from computed import exception
from computed.conf import audit_period

# What threads can wait for, and a column of the database can hold.
MAX_INT32 = 2 ** 31 - 1
OURS = ('tasks', 'virt')


def check(conf):
    """Refuse values that no option, or only two together, can have.

    :raises computed.exception.ConfigError: naming the first one found
    """
    for name in conf:
        if isinstance(_read(conf, None, name), cfg.ConfigOpts.GroupAttr):
            for member in conf[name]:
                _read(conf, name, member)
    _check_state_path(conf)
    _check_libraries(conf)
    _check_intervals(conf.tasks)
    _check_down_time(conf)
    _check_audit_period(conf.tasks)


def check_backend(conf):
    """Refuse to run on another concurrency backend than was asked for.

    :raises computed.exception.ConfigError: why it cannot be had
    """
    option, value = f'[DEFAULT] {concurrency.OPTION}', conf[concurrency.OPTION]
    if os.environ.get(concurrency.VARIABLE):
        option, value = concurrency.VARIABLE, os.environ[concurrency.VARIABLE]
    if value == concurrency.chosen():
        return
    if value not in concurrency.BACKENDS:
        raise exception.ConfigError(
            option=option, value=value, problem='there is no such backend',
            remedy=f'Give one of {", ".join(concurrency.BACKENDS)}.')
    if concurrency.problem():
        raise exception.ConfigError(
            option=option, value=value, problem=concurrency.problem(),
            remedy='Install computed[eventlet], or write threading.')
    raise exception.ConfigError(
        option=option, value=value,
        problem='it stands where it is read too late',
        remedy='Write it to computed.conf or to a --config-file, or set '
               f'{concurrency.VARIABLE}.')


def refuse_blocking(option, value):
    """Under eventlet, refuse something that waits in its own way.

    :param value: as it may be shown
    :raises computed.exception.ConfigError: it is eventlet
    """
    if concurrency.chosen() == concurrency.EVENTLET:
        raise exception.ConfigError(
            option=option, value=value,
            problem='under eventlet, whatever waits for it would hold every '
                    'other thread',
            remedy=f'Write {concurrency.OPTION} = {concurrency.THREADING}.')


def unknown(conf):
    """``[group] name`` of what the files set and no program of ours reads.

    Only in groups that are wholly ours: options of a library may be
    registered later, or in another program.
    """
    for path in conf.config_file or []:
        sections: dict = {}
        cfg.ConfigParser(path, sections).parse()
        for group in OURS:
            for name in sections.get(group, ()):
                if name.replace('-', '_') not in conf[group]:
                    yield f'[{group}] {name}'


def _read(conf, group, name):
    """The value of an option; oslo.config judges it when it is read."""
    try:
        value = conf[group][name] if group else conf[name]
    except ValueError as error:
        # The text of its cause is the problem alone.
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}',
            value=_as_written(conf, group, name),
            problem=_in_plain_words(error.__context__ or error),
            remedy='Correct it, or leave it out.') from error
    except (cfg.TemplateSubstitutionError, cfg.NoSuchOptError) as error:
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}', value='***',
            problem='$ begins the name of an option, and there is none of '
                    'that name',
            remedy='Write $$ for a dollar sign.') from error
    # "nan" is a float that passes every bound.
    if isinstance(value, float) and not math.isfinite(value):
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}', value=value,
            problem='not a finite number', remedy='Write a number.')
    if isinstance(value, int | float) and abs(value) > MAX_INT32:
        raise exception.ConfigError(
            option=f'[{group or "DEFAULT"}] {name}', value=value,
            problem=f'larger than {MAX_INT32}, the most that any option can '
                    'be',
            remedy='Write a smaller number.')
    return value


def _in_plain_words(error):
    """What is wrong with a value, for somebody who never saw Python."""
    text = str(error).rstrip('.')
    for words, plain in (('invalid literal for int', 'not a whole number'),
                         ('could not convert string to float',
                          'not a number')):
        if text.startswith(words):
            return plain
    return text


def _as_written(conf, group, name):
    """An option's value as text, before it was understood."""
    twin = cfg.ConfigOpts()
    twin.register_opt(cfg.StrOpt(name), group=group)
    twin([], default_config_files=conf.config_file,
         default_config_dirs=conf.config_dir)
    return twin[group][name] if group else twin[name]


def _check_state_path(conf):
    if not conf.state_path:     # it would mean: wherever we were started
        raise exception.ConfigError(
            option='[DEFAULT] state_path', value='', problem='it is empty',
            remedy='Give a directory, or leave it out.')


def _check_libraries(conf):
    """What libraries find out too late, and say in lines of their own."""
    levels = logging.getLevelNamesMapping()
    pairs = 'default_log_levels' in conf and conf.default_log_levels
    for pair in pairs or ():
        level = pair.partition('=')[2]
        if level not in levels and not level.isdecimal():
            raise exception.ConfigError(
                option='[DEFAULT] default_log_levels', value=pair,
                problem='it does not end with = and a level of a log',
                remedy='Write amqp=ERROR, for example.')
    if ('executor_thread_pool_size' in conf and
            conf.executor_thread_pool_size < 1):
        raise exception.ConfigError(
            option='[DEFAULT] executor_thread_pool_size',
            value=conf.executor_thread_pool_size,
            problem='without threads no call is answered',
            remedy='Write at least 1.')


def _check_intervals(tasks):
    for name, value in tasks.items():
        if name.endswith('_interval') and (value or 0) < 0:
            raise exception.ConfigError(
                option=f'[tasks] {name}', value=value,
                problem='an interval cannot be negative',
                remedy='Write 0 to turn it off.')


def _check_down_time(conf):
    if conf.service_down_time <= conf.report_interval:
        raise exception.ConfigError(
            option='[DEFAULT] service_down_time',
            value=conf.service_down_time,
            problem=f'hosts report every {conf.report_interval} s '
                    '(report_interval), so each would seem down',
            remedy=f'Write at least {3 * conf.report_interval}.')


def _check_audit_period(tasks):
    try:
        audit_period.parse(tasks.instance_usage_audit_period)
    except ValueError as error:
        raise exception.ConfigError(
            option='[tasks] instance_usage_audit_period',
            value=tasks.instance_usage_audit_period, problem=str(error),
            remedy='Write month, for example, or month@15.') from error
