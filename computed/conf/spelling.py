"""Refuse sections and options that nobody reads.

Without this, a misspelt ``[databse]`` would silently run another database, and
so would ``OS_DATABSE__CONNECTION`` in the environment.
"""

import difflib
import os
import pathlib
import re
from collections import abc

from oslo_config import cfg

from computed import exception

# A variable that sets an option: its section and its name.
VARIABLE = re.compile('OS_([A-Z0-9_]+?)__([A-Z0-9_]+)')
ENVIRONMENT = 'the environment'

REMOVE = 'Remove it.'
# How like a known name a misspelt one is, from 0 to 1. What only other
# machines know is often like a known name, too (sync_gpu_state_interval).
ALIKE, MUCH_ALIKE = 0.6, 0.75
# Letters of it that may be wrong then.
SLIPS = 2

# The names of options by the names of their sections.
Names = dict[str, set[str]]
Options = abc.Iterable[tuple[str | None, abc.Iterable[cfg.Opt]]]


def check(conf: cfg.ConfigOpts, later: abc.Callable[[], abc.Iterable[Options]],
          foreign: abc.Callable[[str], object] | None = None) -> None:
    """Refuse the first section or option that is not known.

    :param later: returns the options that are registered later than now, of
        one library or package after another. It is asked only if something
        is not known without them.
    :param foreign: called with one line for each section or option that is
        like no known one; it may belong to a package of another machine.
        None: this is refused, too
    :raises computed.exception.UnknownOption: names the nearest right one
    """
    written = list(_written(conf))
    known = _registered(conf)
    for name in conf.config_source or ():
        # A source of options has a section of its own, and its driver may
        # give any name to an option there.
        written = [one for one in written if _group(one[1]) != _group(name)]
    rest = _unknown(written, known)
    for options in later() if rest else ():
        for group, members in options:
            for option in members:
                _add(known, group, option)
        rest = _unknown(rest, known)
        if not rest:
            return
    for path, section, name in rest:
        if name is not None and path != ENVIRONMENT and (
                _group(section) not in known):
            continue    # the section itself came before
        likeness = ALIKE if foreign is None else _nearly(name or section)
        refusal = _refusal(path, section, name, known, likeness)
        if foreign is None or refusal.kwargs['remedy'] != REMOVE:
            raise refusal
        foreign('{path}: this machine knows no {kind} {what}. It may belong '
                'to a package that only hosts have; if not, remove it.'
                .format_map(refusal.kwargs))


def _nearly(name: str) -> float:
    """Return how like another one is that differs by ``SLIPS`` at most."""
    return max(MUCH_ALIKE, 1 - SLIPS / len(name))


def _written(conf: cfg.ConfigOpts
             ) -> abc.Iterator[tuple[str, str, str | None]]:
    """Return path, section and option of each line; None: the section.

    Of variables of the environment, too; ``ENVIRONMENT`` is their path.
    """
    for variable in sorted(os.environ):
        if found := VARIABLE.fullmatch(variable):
            section = found[1]
            yield (ENVIRONMENT, 'DEFAULT' if section == 'DEFAULT' else
                   section.lower(), found[2].lower())
    for path in [*(conf.config_file or []), *(
            str(path) for folder in conf.config_dir or []
            for path in sorted(pathlib.Path(folder).glob('*.conf')))]:
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        for section, options in sections.items():
            yield path, section, None
            for name in options:
                yield path, section, name


def _registered(conf: cfg.ConfigOpts) -> Names:
    known: Names = {'DEFAULT': set()}
    for name, group in conf._groups.items():
        known.setdefault(_group(name), set())
        for found in group._opts.values():
            _add(known, name, found['opt'])
    for found in conf._opts.values():
        _add(known, None, found['opt'])
    return known


def _add(known: Names, group: str | cfg.OptGroup | None,
         option: cfg.Opt) -> None:
    group = group.name if isinstance(group, cfg.OptGroup) else group
    known.setdefault(_group(group), set()).update(
        map(_option, (option.name, option.dest)))
    for former in option.deprecated_opts:
        known.setdefault(_group(former.group or group), set()).add(
            _option(former.name or option.dest))


def _unknown(written: abc.Iterable[tuple[str, str, str | None]],
             known: Names) -> list[tuple[str, str, str | None]]:
    return [(path, section, name) for path, section, name in written
            if _group(section) not in known or
            name is not None and _option(name) not in known[_group(section)]]


def _group(name: str | None) -> str:
    # As oslo.config compares them.
    return 'DEFAULT' if name in (None, 'DEFAULT') else str(name).lower()


def _variable(section: str, name: str) -> str:
    return f'OS_{section.upper()}__{name.upper()}'


def _option(name: str) -> str:
    return name.replace('-', '_')


def _refusal(path: str, section: str, name: str | None, known: Names,
             likeness: float) -> exception.UnknownOption:
    if path == ENVIRONMENT:
        return _refusal_of_variable(section, str(name), known, likeness)
    if name is None:
        near = _nearest_section(section, known, likeness)
        return exception.UnknownOption(
            path=path, what=f'[{section}]', kind='section',
            remedy=f'Write [{near}].' if near else REMOVE)
    remedy = REMOVE
    members = known[_group(section)]
    near = _nearest_option(name, members, max(MUCH_ALIKE, likeness))
    homes = [group for group, names in known.items()
             if _option(name) in names]
    if near:
        remedy = f'Write {near}.'
    elif homes:
        remedy = f'It belongs to [{homes[0]}].'
    elif near := _nearest_option(name, members, likeness):
        remedy = f'Write {near}, or remove it.'
    return exception.UnknownOption(
        path=path, what=f'[{section}] {name}', kind='option', remedy=remedy)


def _refusal_of_variable(section: str, name: str, known: Names,
                         likeness: float) -> exception.UnknownOption:
    home = (section if section in known else
            _nearest_section(section, known, likeness))
    members = known[home] if home else set()
    # Both may be misspelt, or a right option is in a wrong section.
    found: list[tuple[str | None, str | None]] = [
        (home, _nearest_option(name, members, max(MUCH_ALIKE, likeness))),
        *((other, name) for other, names in known.items()
          if home and _option(name) in names),
        (home, _nearest_option(name, members, likeness))]
    near = [_variable(where, what) for where, what in found if where and what]
    return exception.UnknownOption(
        path=ENVIRONMENT, what=_variable(section, name), kind='option',
        remedy=f'Write {near[0]}.' if near else REMOVE)


def _nearest_section(name: str, known: Names, likeness: float) -> str | None:
    names = {_group(group).lower(): group for group in known}
    near = difflib.get_close_matches(name.lower(), names, 1, likeness)
    return names[near[0]] if near else None


def _nearest_option(name: str, members: abc.Iterable[str],
                    likeness: float) -> str | None:
    near = difflib.get_close_matches(_option(name), members, 1, likeness)
    return near[0] if near else None
