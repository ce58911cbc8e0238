"""What the pages say of tasks, of states and of the action log."""

import ast
import importlib
import pkgutil
import re

import pytest

from computed import manager
from computed import metrics
from computed import operations
from computed import states
from computed import tasks
from computed.cmd.manage import events as events_command
from computed.db.cell import history
from computed.operations import operation
from computed.operations import recover
from computed.periodic import collect
from computed.repair import policy
from tests.support import documents

TASKS = collect.collect(manager.ComputeManager)
PAGES = documents.SOURCE / 'tasks'
README = (documents.ROOT / 'README.rst').read_text()
LOG = (documents.SOURCE / 'action_log.rst').read_text()


@pytest.mark.parametrize('name', TASKS)
def test_every_task_has_a_page(name):
    text = (PAGES / f'{name}.rst').read_text()
    assert text.splitlines()[1] == f'``{name}``'
    assert f'.. task:: {name}\n' in text
    for heading in ('What it may change', 'What an operator sees',
                    'What nova does otherwise'):
        assert f'\n{heading}\n' in text, heading


def test_every_page_is_of_a_task():
    assert {path.stem for path in PAGES.glob('*.rst')} == {*TASKS, 'index'}


@pytest.mark.parametrize('name', TASKS)
def test_every_read_of_a_task_has_a_class(name):
    """In the code, on its page, and in the table of the README."""
    assert TASKS[name].reads
    with documents.extension('tasks') as extension:
        described = '\n'.join(extension.describe_task(name, ()))
        for what, read_class in TASKS[name].reads.items():
            assert f'{read_class}: {what}. ' in described
    [shown] = re.findall(rf'^``{name}`` +(.+)', README, re.M)
    assert re.findall(r'R\d(?:-light)?', shown) == [
        *dict.fromkeys(TASKS[name].reads.values())]


def test_every_option_that_a_page_lists_is_described():
    with documents.extension('tasks') as extension:
        for name in TASKS:
            [listed] = re.findall(
                rf'task:: {name}\n((?:   :options: .+\n(?: {{10,}}.+\n)*)?)',
                (PAGES / f'{name}.rst').read_text())
            for option in listed.replace(':options:', '').split():
                _, text, _ = extension.describe_option(option)
                assert text.strip(), option


def test_every_metric_on_the_pages_is_one():
    known = set()
    for metric in vars(metrics).values():
        if isinstance(metric, metrics.Metric):
            [family] = metric.current().describe()
            known |= {family.name, f'{family.name}_total'}
    found = {(page.name, name) for page in [
        *PAGES.glob('*.rst'), documents.SOURCE / 'administration.rst']
        for name in re.findall(r'``(computed_[a-z_]+[a-z])``',
                               page.read_text())}
    assert len(found) > 10
    for page, name in found:
        assert name in known, (page, name)


# -- the action log

def modules(package):
    for found in pkgutil.walk_packages(
            package.__path__, f'{package.__name__}.'):
        yield importlib.import_module(found.name)


def logged():
    """The operations that the code can write into the action log."""
    for module in modules(operations):
        for value in vars(module).values():
            if isinstance(value, operation.Operation):
                yield value.name
    for module in modules(tasks):
        for value in vars(module).values():
            if isinstance(value, policy.Policy) and value.operations:
                yield value.name
    writers = {'note', 'begin', 'claim_all', 'amend_claim'}
    for path in (documents.ROOT / 'computed').rglob('*.py'):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(
                    call.func).split('.')[-1] in writers:
                yield from (argument.value for argument in call.args
                            if isinstance(argument, ast.Constant) and
                            isinstance(argument.value, str))


def described(section):
    """The names that a section of the page describes."""
    text = re.split(r'^(\w+)\n=+\n', LOG, flags=re.M)
    text = text[text.index(section) + 1]
    return [name for line in re.findall(r'^``.+', text, re.M)
            for name in re.findall('``(.+?)``', line)]


def test_the_page_has_every_operation_of_the_action_log():
    found = described('Operations')
    assert sorted(found) == sorted(set(found))
    assert set(found) == set(logged())


def test_and_every_result():
    assert set(described('Results')) == {
        'goes on', *(result for result in history.notices.PHASES if result)}


def test_and_every_field():
    assert sorted(described('Fields')) == sorted(events_command.COLUMNS)


# -- the states

def test_the_page_has_every_operation_that_users_request():
    text = (documents.SOURCE / 'states.rst').read_text()
    assert '.. operations::' in text
    with documents.extension('tasks') as extension:
        shown = extension.ALL_OPERATIONS
    assert {one.task_state for one in shown} == {*recover.UNFINISHED}
    for one in shown:
        # The commands of volumes lead from no state to another.
        assert one.name in text or 'volume' in one.name
    for name in states.VM_STATES:
        assert name in text


def test_its_diagram_has_no_state_that_is_none():
    _, diagram, *_ = (documents.SOURCE / 'states.rst').read_text().split(
        '::\n\n')
    boxes = set(re.findall(r'\| ([a-z-]+) +\|', diagram))
    assert boxes == {'building', 'error', 'paused', 'active', 'stopped',
                     'soft-delete', 'deleted'}
    assert boxes <= {*states.VM_STATES}
