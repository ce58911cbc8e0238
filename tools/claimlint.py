"""Refuse acts without a claim; part of ``make lint``.

``python -P tools/claimlint.py [ROOT]`` looks at the code and the examples
below ROOT, by default here, and exits with 1 if it finds anything. It checks
what the code cannot check itself while it runs: only ``computed/claims`` makes
a claim or asks the primary for one, and each call of a driver's method that
changes a guest passes a claim.
"""

import ast
import pathlib
import sys
from collections import abc

FOLDERS = ('computed', 'examples', 'doc/examples')
CLAIMS = 'computed/claims/'
# Where claims, grants and drivers are written. They may name themselves.
DEFINED = ('computed/objects/grant.py', 'computed/db/', 'computed/virt/')


def functions(path: pathlib.Path) -> list[ast.FunctionDef]:
    """Return the functions in a file."""
    return [node for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.FunctionDef)]


def grants(root: pathlib.Path) -> set[str]:
    """Return the names of the calls that grant, adopt or settle claims."""
    return {function.name
            for function in functions(root / 'computed/objects/grant.py')
            if function.name.endswith('_claim')}


def changes(root: pathlib.Path) -> set[str]:
    """Return the names of the driver's methods that take a claim."""
    return {function.name
            for function in functions(root / 'computed/virt/driver.py')
            if [one.arg for one in function.args.args][1:2] == ['claim']}


def is_claim(node: ast.expr) -> bool:
    """Return whether an expression is a claim, by its name.

    A claim is called ``claim``, or is ``claim.of(row)``.
    """
    match node:
        case ast.Name(id='claim') | ast.Attribute(attr='claim'):
            return True
        case ast.Call(func=ast.Attribute(attr='of', value=whole)):
            return is_claim(whole)
    return False


def problems(tree: ast.Module, granting: set[str],
             changing: set[str]) -> abc.Iterator[tuple[int, str]]:
    """Return ``(line, problem)`` of every call that is not allowed."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = (node.func.attr if isinstance(node.func, ast.Attribute)
                else getattr(node.func, 'id', None))
        if name == 'Claim':
            yield node.lineno, ('only computed/claims makes a claim: use '
                                '`claims.claimed(...)`')
        elif name in granting:
            yield node.lineno, (f'only computed/claims calls {name}: use '
                                '`claims.claimed(...)`')
        elif name in changing and _is_driver(node.func) and not any(
                map(is_claim, [*node.args[:1], *(
                    word.value for word in node.keywords
                    if word.arg == 'claim')])):
            yield node.lineno, (f'{name} changes a guest: pass the claim '
                                'first, by the name `claim`')


def _is_driver(function: ast.expr) -> bool:
    """Return whether a method is one of something called ``driver``."""
    owner = getattr(function, 'value', None)
    name = getattr(owner, 'attr', getattr(owner, 'id', ''))
    return name.strip('_') == 'driver'


def check(root: pathlib.Path) -> list[str]:
    """Return what is wrong below ``root``, as lines."""
    granting, changing = grants(root), changes(root)
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob('*.py')):
            file = path.relative_to(root).as_posix()
            if not file.startswith((CLAIMS, *DEFINED)):
                found += [f'{file}:{line}: {problem}' for line, problem in
                          problems(ast.parse(path.read_text()), granting,
                                   changing)]
    return found


if __name__ == '__main__':
    lines = check(pathlib.Path(sys.argv[1] if sys.argv[1:] else '.').resolve())
    print(*lines, sep='\n', end='\n' if lines else '')
    sys.exit(1 if lines else 0)
