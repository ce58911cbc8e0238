"""Directives that generate the reference pages from the code.

They are ``program-help``, ``manage-commands``, ``metrics``, ``errors`` and
``payloads``.
"""

import inspect
import os
import re
import subprocess
import sys

from cliff import sphinxext
from docutils import nodes
from docutils import statemachine
from docutils.parsers import rst

from computed import exception
from computed import metrics
from computed.cmd.manage import app
from computed.objects import payload

# Every command that shows something has these options. The page lists them
# once.
COMMON = ('--help', '--format', '--column', '--quote', '--noindent',
          '--max-width', '--fit-width', '--print-empty', '--sort-column',
          '--sort-ascending', '--sort-descending', '--prefix')


class ProgramHelp(rst.Directive):
    """Show what ``PROGRAM --help`` prints on a terminal of 79 columns."""

    required_arguments = 1

    def run(self):
        module = self.arguments[0].removeprefix('computed-')
        text = subprocess.run(
            [sys.executable, '-P', '-m', f'computed.cmd.{module}', '--help'],
            env={**os.environ, 'COLUMNS': '79'}, check=True,
            capture_output=True, text=True).stdout
        return [nodes.literal_block(text, text, language='none')]


class ManageCommands(sphinxext.AutoprogramCliffDirective):
    """Describe every command of ``computed-manage``, or those of one group.

    cliff finds commands by entry points; ``computed-manage`` has a table.
    """

    required_arguments = 0
    optional_arguments = 1

    def run(self):
        self.env = self.state.document.settings.env
        self.env.note_dependency(inspect.getfile(app))
        group = ''.join(self.arguments)
        return self._generate_command_nodes(
            {name: command for name, command in app.COMMANDS.items()
             if name.split()[0] == group or not group}, app.NAME)

    def _get_ignored_opts(self):
        return COMMON


class Generated(rst.Directive):
    """Insert reStructuredText that a subclass makes from a module."""

    module = None

    def run(self):
        source = inspect.getfile(self.module)
        self.state.document.settings.env.note_dependency(source)
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(
            statemachine.StringList(list(self.lines()), source), 0, node)
        return node.children


class Metrics(Generated):
    """List every metric: its name, type, labels, and what it counts."""

    module = metrics

    def lines(self):
        comments = comments_of(inspect.getsource(metrics))
        for name, metric in vars(metrics).items():
            if isinstance(metric, metrics.Metric):
                yield from describe(metric.current(), comments[name])


def describe(metric, comment):
    """Return a metric as the entry of a definition list."""
    [family] = metric.describe()
    ending = '_total' if family.type == 'counter' else ''
    labels = ', '.join(metric._labelnames)
    yield f'``{family.name}{ending}``' + (
        f' {{{labels}}}' if labels else '') + f' -- {family.type}'
    yield f'    {comment}'
    yield ''


def comments_of(source):
    """Return ``{name: the comment above its assignment, in one line}``."""
    found, comment = {}, []
    for line in source.splitlines():
        if line.startswith('# '):
            comment.append(line[2:])
        elif match := re.match(r'(\w+) = ', line):
            found[match[1]] = ' '.join(comment)
        if not line.startswith('# '):
            comment = []
    return found


class Errors(Generated):
    """List every error: its name, and its message."""

    module = exception

    def lines(self):
        for name, error in vars(exception).items():
            if inspect.isclass(error) and error.__module__ == (
                    exception.__name__):
                text = ' '.join(inspect.getdoc(error).split())
                yield f'``{name}``'
                yield f'    {text}'
                yield ''


class Payloads(Generated):
    """Describe the payload of each notification."""

    module = payload

    def lines(self):
        for cls in payload.Payload.__subclasses__():
            yield from describe_payload(cls)


def describe_payload(cls):
    """Return a payload: its event types, and each field and its type."""
    title = f'{cls.__name__} {cls.VERSION}'
    yield from (f'**{title}**', '')
    yield from inspect.getdoc(cls).splitlines()
    yield ''
    for event_type, priority in cls.PRIORITIES.items():
        yield f'* ``{event_type}``, priority ``{priority}``'
    yield ''
    for name, field in cls.fields.items():
        if name in cls.MEANING:
            kind = type(field).__name__.removesuffix('Field').lower()
            null = ' or null' if field.nullable else ''
            yield f'``{name}`` -- {kind}{null}'
            yield f'    {cls.MEANING[name]}'
            yield ''


def setup(sphinx):
    """Register the directives. Sphinx calls this."""
    sphinx.setup_extension('cliff.sphinxext')
    for name, directive in (('program-help', ProgramHelp),
                            ('manage-commands', ManageCommands),
                            ('metrics', Metrics), ('errors', Errors),
                            ('payloads', Payloads)):
        sphinx.add_directive(name, directive)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
