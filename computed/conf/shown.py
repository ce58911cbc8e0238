"""What of a configured text may be shown: never a password.

A text that is not the URL it should be may have its password anywhere, so
only its scheme is shown. The values of a query may be secrets too, so only
their names are.
"""

import re
from collections import abc

from oslo_config import cfg

from computed import exception

_SCHEME = re.compile(r'([a-z][a-z0-9+.-]*):/')
HIDDEN = '***'


def scheme(url: str) -> str:
    """Return what may be shown of a text that cannot be read as a URL."""
    found = _SCHEME.match(url)
    return f'{found[1]}://{HIDDEN}' if found else HIDDEN


def names(query: str, known: abc.Container[str]) -> str:
    """Return the names of a query: ``?ssl&ca`` of ``ssl=1&ca=/x``.

    :param known: the names that it may have. Another one may be a secret.
    """
    found = [pair.partition('=')[0] for pair in query.split('&')]
    return '?' + '&'.join(name if name in known else HIDDEN
                          for name in found) if query else ''


def is_secret(conf: cfg.ConfigOpts, group: str | None, name: str) -> bool:
    """Return whether the value of an option is a secret."""
    return conf._get_opt_info(name, group)['opt'].secret


def explained(error: Exception) -> Exception:
    """Return an error of oslo.config without the line that it quotes.

    :param error: any error of reading the configuration
    """
    cause = error.__context__
    if not (isinstance(error, cfg.ConfigFileParseError) and
            isinstance(cause, cfg.ParseError)):
        return error
    return exception.ConfigError(
        option='--config-file', value=error.config_file,
        problem=f'line {cause.lineno}: {cause.msg}',
        remedy='Write OPTION = VALUE in each line.')
