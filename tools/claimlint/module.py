"""A module's functions, and what is known of what goes through them."""

import ast
import dataclasses

NOTHING = frozenset()


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """:ivar function: the one it is in, ``Class.method``
    :ivar sink: the name of what is called
    """

    file: str
    line: int
    function: str
    sink: str
    what: str
    remedy: str

    def __str__(self):
        return f'{self.file}:{self.line}: {self.what}; {self.remedy}'


@dataclasses.dataclass(frozen=True)
class Names:
    """What is called an act.

    :ivar writes: methods of objects that write
    :ivar acts: methods of a driver that change a guest
    """

    writes: frozenset
    acts: frozenset


# Labels: what may be known of a value.

@dataclasses.dataclass(frozen=True)
class Read:
    """A tolerant read in this line found it."""

    line: int


@dataclasses.dataclass(frozen=True)
class Came:
    """The caller of this function passed it."""

    function: ast.AST
    parameter: str


@dataclasses.dataclass(frozen=True)
class Decides:
    """A read found it that is tolerant if the caller passed a true value."""

    function: ast.AST
    parameter: str


@dataclasses.dataclass
class Summary:
    """What a call of a function does with what it is given.

    :ivar returns: labels of its result
    :ivar sinks: ``{(label, line, function's name, sink, what)}``
    :ivar writes: ``{(line, function's name, sink, what)}``: what it does
        without a claim
    """

    returns: frozenset = NOTHING
    sinks: frozenset = NOTHING
    writes: frozenset = NOTHING


def path_of(node):
    """``a.b.c`` as a tuple of names; None if it is anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return (node.id, *reversed(parts))


def called(node):
    """The last name of what is called, or ''."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ''


def parameters(function):
    """``[(name, default or None)]`` in the order of positions."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults))
    found = list(zip((one.arg for one in positional),
                     [*defaults, *given.defaults], strict=True))
    found += zip((one.arg for one in given.kwonlyargs), given.kw_defaults,
                 strict=True)
    return found + [(one.arg, None) for one in (given.vararg, given.kwarg)
                    if one is not None]


def bound(function, node):
    """``{parameter: expression}`` of a call of ``function``."""
    names = parameters(function)
    found = {name: default for name, default in names
             if default is not None}
    positions = [name for name, _ in names]
    if positions[:1] in (['self'], ['cls']) and isinstance(
            node.func, ast.Attribute):
        found[positions[0]] = node.func.value
        positions = positions[1:]
    for index, argument in enumerate(node.args):
        if isinstance(argument, ast.Starred):
            found.update(dict.fromkeys(positions[index:], argument.value))
            break
        if index < len(positions):
            found[positions[index]] = argument
    found.update((word.arg, word.value) for word in node.keywords)
    return found


class Module:
    """The functions of a module and what is known of them so far.

    :ivar fields: ``{(class, attribute): labels}``
    """

    def __init__(self, tree, names):
        """:type names: Names"""
        self.names = names
        self.summaries = {}
        self.fields = {}
        self.found = set()
        self.home = {}          # function: the name of its class, or None
        self._functions = {}    # name, or (class, name): nodes
        self._collect(tree, None)

    def _collect(self, node, owner):
        for child in ast.iter_child_nodes(node):
            inner = owner
            if isinstance(child, ast.ClassDef):
                inner = child.name
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                key = (owner, child.name) if owner else child.name
                self._functions.setdefault(key, []).append(child)
                self.home[child] = owner
                self.summaries[child] = Summary()
                inner = None
            self._collect(child, inner)

    def known(self):
        """All that was found out, to be compared."""
        return ({one: (summary.returns, summary.sinks, summary.writes)
                 for one, summary in self.summaries.items()},
                dict(self.fields))

    def resolve(self, node, owner):
        """The functions of this module that ``node`` names.

        :param owner: the name of the class it stands in, or None
        """
        path = path_of(node)
        if path is None or len(path) > 2:
            return []
        if len(path) == 1:
            return self._functions.get(path[0], [])
        cls = owner if path[0] in ('self', 'cls') else path[0]
        return self._functions.get((cls, path[1])) or (
            self._only_method(path[1]))

    def _only_method(self, name):
        """The method of this name, if one class of the module has one."""
        found = [nodes for key, nodes in self._functions.items()
                 if isinstance(key, tuple) and key[1] == name]
        return found[0] if len(found) == 1 else []
