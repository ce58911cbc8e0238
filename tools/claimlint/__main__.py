"""Refuse acts that rest on a replica's word; part of ``make lint``.

``python -m tools.claimlint [ROOT]`` looks at the code and the examples below
ROOT, by default here, and exits with 1 if anything is found.
"""

import ast
import pathlib
import sys

from tools.claimlint import acts
from tools.claimlint import flow
from tools.claimlint import module

FOLDERS = ('computed', 'examples', 'doc/examples')
# The only one that may grant claims.
DOOR = 'computed/claims/'
# What is right all the same: (file, function, what it calls) and why. One
# that allows nothing any more is an error.
ALLOWED = {
    ('computed/tasks/power_states/task.py', 'record', 'record_power_states'):
        'destroys nothing, and each row is guarded in the WHERE by all it '
        'was judged by',
}


def names(root):
    """What the code itself says an act is.

    :rtype: tools.claimlint.module.Names
    """
    writes = {'save', 'destroy', 'create'}
    for path in sorted((root / 'computed/objects').glob('*.py')):
        writes |= {function.name for function in functions(path) if any(
            ast.unparse(one).endswith('remotable')
            for one in function.decorator_list)}
    driver = root / 'computed/virt/driver.py'
    return module.Names(
        frozenset(writes) - acts.GRANTS,
        frozenset(function.name for function in functions(driver)
                  if [one.arg for one in function.args.args][1:2] == [
                      'claim']))


def functions(path):
    """The functions in a file."""
    return [node for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef)]


def check(root):
    """What is wrong below ``root``, as lines."""
    known = names(root)
    found, used = [], set()
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob('*.py')):
            file = path.relative_to(root).as_posix()
            for one in flow.findings(path.read_text(), file, known):
                key = one.file, one.function, one.sink
                if key in ALLOWED:
                    used.add(key)
                elif not file.startswith(DOOR) or (
                        one.remedy != acts.THE_ONE_DOOR):
                    found.append(str(one))
    return found + [
        f'tools/claimlint/__main__.py: {file} has no {sink}() in {function} '
        'that needs to be allowed; take it out of ALLOWED'
        for file, function, sink in sorted(ALLOWED.keys() - used)]


def main(argv):
    lines = check(pathlib.Path(argv[0] if argv else '.').resolve())
    for line in lines:
        print(line)
    return 1 if lines else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
