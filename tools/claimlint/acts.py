"""Expressions: what is known of their values, and which of them act."""

import ast
import contextlib
import itertools

from tools.claimlint import module as modules
from tools.claimlint.module import NOTHING
from tools.claimlint.module import path_of

# Methods of a host's claims: what they return rests on the primary.
DOORS = frozenset(['claim', 'claim_all', 'claim_absence', 'adopt'])
# What only computed.claims.claims calls.
GRANTS = frozenset(['grant_claim', 'adopt_claim', 'settle_claim',
                    'grant_guest_claim', 'settle_guest_claim'])

BY_ANY_NAME = ('a method of the driver is called by a name that only the run '
               'knows')
DECIDED_ON_LAG = (
    'claim the row: `claims.claim(context, uuid, operation, {every fact})`, '
    'and go on with claim.instance only')
NEEDS_A_CLAIM = 'take one with `claims.claim(...)` and pass it'
THE_ONE_DOOR = 'leave it to computed/claims/claims.py'


def sounds_like_claim(path):
    """Whether a parameter of this name is taken to be a claim."""
    return path[-1].endswith('claim')


class Expressions:
    """One function: its names, and what its expressions do.

    :ivar env: ``{path: labels}``, what is known of each name here
    :ivar claims: ``{path: whether it is a claim}``
    :ivar drivers: ``{path: whether it is a driver}``
    :ivar aliases: ``{name: the method it stands for}``
    :ivar control: labels of the conditions under which this is reached
    :ivar reads: labels of the tolerant reads made so far
    """

    def __init__(self, module, function, name, owner=None, outer=None):
        """:param owner: the name of the class it stands in, or None
        :param outer: the walk through what it stands in
        """
        self.module = module
        self.function = function
        self.name = name
        self.owner = owner
        self.env = dict(outer.env) if outer else {}
        self.claims = dict(outer.claims) if outer else {}
        self.drivers = dict(outer.drivers) if outer else {}
        self.aliases = dict(outer.aliases) if outer else {}
        self.control = NOTHING
        self.reads = NOTHING
        for parameter, _ in modules.parameters(function) if function else ():
            self.env[parameter,] = frozenset([
                modules.Came(function, parameter)])
            self.claims.pop((parameter,), None)

    def put(self, path, found):
        """Add to what is known of ``path``."""
        if path is None:
            return
        self.env[path] = self.env.get(path, NOTHING) | found
        if path[0] == 'self' and len(path) > 1 and self.owner:
            key = self.owner, path[1]
            self.module.fields[key] = self.module.fields.get(
                key, NOTHING) | {one for one in found
                                 if isinstance(one, modules.Read)}

    def labels(self, node):
        """What is known of the value of an expression."""
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.Lambda):
            return self.applied(node, [])
        if isinstance(node, ast.NamedExpr):
            found = self.labels(node.value)
            self.bind(node.target, found, node.value)
            return found
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            found = self.labels(node.value) if node.value else NOTHING
            self.returned(found)
            return found
        if isinstance(node, (ast.IfExp, ast.BoolOp)):
            return self.choice(node)
        if isinstance(node, (ast.Dict, ast.List, ast.Set, ast.Tuple)):
            self.refuse_acts(node)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp,
                             ast.GeneratorExp)):
            return self.comprehension(node)
        path = path_of(node)
        if path is not None:
            return self.known(path)
        return NOTHING.union(*(
            self.labels(child) for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.expr)))

    @contextlib.contextmanager
    def under(self, test):
        """Within it, what is reached is so because of ``test``."""
        outer, self.control = self.control, self.control | test
        yield
        self.control = outer

    def choice(self, node):
        """``a if b else c``, ``a and b``, ``a or b``."""
        parts = ([node.test, node.body, node.orelse] if isinstance(
            node, ast.IfExp) else node.values)
        found = NOTHING
        for part in parts:
            with self.under(found):
                found |= self.labels(part)
        return found

    def refuse_acts(self, node):
        """Report methods of a driver that are kept in a collection."""
        for one in ast.iter_child_nodes(node):
            path = path_of(one)
            if path and path[-1] in self.module.names.acts and (
                    self.is_driver(path[:-1])):
                self.report(one, path[-1], BY_ANY_NAME, 'name it')

    def known(self, path):
        """Labels of a name and of all that it is a part of."""
        found = NOTHING.union(*(
            self.env.get(path[:length], NOTHING)
            for length in range(1, len(path) + 1)))
        if path[0] == 'self' and len(path) > 1 and self.owner:
            found |= self.module.fields.get((self.owner, path[1]), NOTHING)
        return found

    def comprehension(self, node):
        outer = dict(self.env)
        found = over = NOTHING
        for one in node.generators:
            over |= self.labels(one.iter)
            self.bind(one.target, self.labels(one.iter))
            # What a tolerant test leaves of a strict list is tolerant.
            found = found.union(*map(self.labels, one.ifs))
        with self.under(found | over):
            for part in ([node.key, node.value] if isinstance(
                    node, ast.DictComp) else [node.elt]):
                found |= self.labels(part)
        self.env = outer
        return found

    def applied(self, node, arguments):
        """The labels of a lambda called with these arguments."""
        outer = dict(self.env)
        names = [name for name, _ in modules.parameters(node)]
        for name, value in itertools.zip_longest(
                names, arguments[:len(names)]):
            self.env[name,] = NOTHING if value is None else (
                self.labels(value))
        found = self.labels(node.body)
        self.env = outer
        return found

    # -- calls

    def call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id in self.aliases:
            node = ast.copy_location(ast.Call(
                self.aliases[node.func.id], node.args, node.keywords), node)
        name = modules.called(node)
        arguments = [*node.args, *(word.value for word in node.keywords)]
        given = [self.labels(one) for one in arguments]
        receiver = self.labels(node.func.value if isinstance(
            node.func, ast.Attribute) else node.func)
        found = receiver.union(*given)
        self.check(node, name, arguments, given, receiver)
        self.collect(node, name, found)
        handed = self.handed_on(node)
        if self.is_door(node, name):
            return NOTHING
        functions = self.module.resolve(node.func, self.owner)
        if functions:
            return NOTHING.union(*(
                self.summarised(one, node) for one in functions))
        tolerance = self.tolerance(node, name)
        if tolerance is None:
            return found | handed
        self.reads |= tolerance
        if name == 'refresh':
            self.put(path_of(node.func.value), tolerance)
        return tolerance

    @staticmethod
    def is_door(node, name):
        path = path_of(node.func) or ('?', name)
        return name == 'claimed' or (
            name in DOORS and len(path) > 1 and
            path[-2].lstrip('_') == 'claims')

    def tolerance(self, node, name):
        """Labels of what a call reads, if the call says how tolerantly."""
        words = {word.arg: word.value for word in node.keywords}
        asked = words.get('use_slave', words.get('lag_tolerant'))
        if name == 'tolerating_lag':
            asked = node.args[0] if node.args else words.get('tolerant')
        if asked is None or getattr(asked, 'value', asked) is None:
            return None     # as the context says
        return self.tolerant_if(asked, node)

    def tolerant_if(self, asked, node):
        """Labels of a read that is tolerant if ``asked`` is true."""
        if isinstance(asked, ast.Constant):
            return frozenset([modules.Read(node.lineno)]
                             if asked.value else [])
        # The parameter itself: what a part of one says nobody knows.
        deciding = frozenset(modules.Decides(one.function, one.parameter)
                             for one in self.labels(asked)
                             if isinstance(one, modules.Came) and
                             path_of(asked) == (one.parameter,))
        return deciding or frozenset([modules.Read(node.lineno)])

    def handed_on(self, node):
        """Functions among the arguments are called with what follows."""
        found = NOTHING
        for index, argument in enumerate(node.args):
            rest = node.args[index + 1:]
            if isinstance(argument, ast.Lambda):
                found |= self.applied(argument, rest)
                continue
            made = ast.copy_location(
                ast.Call(argument, rest, node.keywords), node)
            path = path_of(argument)
            if path and len(path) > 1:
                self.check(made, path[-1], rest,
                           [self.labels(one) for one in rest],
                           self.known(path[:-1]))
            for function in self.module.resolve(argument, self.owner):
                found |= self.summarised(function, made)
        return found

    def summarised(self, function, node):
        """What a call of a function of this module returns; its sinks are
        reached with what it is given.
        """
        summary = self.module.summaries[function]
        values = modules.bound(function, node)

        def translated(label):
            if getattr(label, 'function', None) is not function:
                return frozenset([label])
            value = values.get(label.parameter)
            if value is None:
                return NOTHING
            if isinstance(label, modules.Came):
                return self.labels(value)
            return self.tolerant_if(value, node)
        for label, *sink in summary.sinks:
            for one in translated(label):
                self.reached(one, *sink)
        for sink in summary.writes:
            self.decided(*sink)
        found = NOTHING.union(*map(translated, summary.returns))
        self.reads |= {one for one in found if isinstance(one, modules.Read)}
        return found

    # -- acts

    def is_claim(self, node):
        """Whether an expression is a claim, as far as can be seen."""
        if isinstance(node, ast.Call):
            return self.is_door(node, modules.called(node)) or (
                sounds_like_claim((modules.called(node),)))
        if isinstance(node, ast.NamedExpr):
            return self.is_claim(node.value)
        path = path_of(node)
        return path is not None and self.claims.get(
            path, sounds_like_claim(path))

    def is_driver(self, path):
        """Whether this names a driver: ``manager.driver``, ``_driver``."""
        return bool(path) and (path[-1].lstrip('_') == 'driver' or
                               self.drivers.get(path, False))

    def check(self, node, name, arguments, given, receiver):
        """Report what a call does that it may not."""
        path = path_of(node.func) or ('?', name)
        if name in GRANTS:
            self.report(node, name, f'{name}() grants or ends a claim',
                        THE_ONE_DOOR)
        elif path[-2:] == ('permit', 'Claim') or path == ('Claim',):
            self.report(node, name, 'a Claim is made by hand', THE_ONE_DOOR)
        elif name in self.module.names.acts and self.is_driver(path[:-1]):
            self.check_act(node, name, arguments, given)
        elif name == 'getattr' and arguments and self.is_driver(
                path_of(arguments[0])):
            self.report(node, name, BY_ANY_NAME, 'name it')
        elif name in self.module.names.writes and len(path) > 1:
            parts = NOTHING.union(*(
                found for known, found in self.env.items()
                if len(known) == len(path) and known[:-1] == path[:-1]))
            what = f'{name}() writes'
            self.sink(node, name, receiver.union(parts, *given), what)
            self.decided(node.lineno, self.name, name, what)
        elif name in ('settle', 'settle_all') and path[-2:-1] == ('claims',):
            self.sink(node, name, NOTHING.union(*given),
                      'a claim is settled')

    def check_act(self, node, name, arguments, given):
        what = f'driver.{name}() changes a guest'
        if arguments and self.is_claim(arguments[0]):
            self.sink(node, name, NOTHING.union(*given[1:]), what)
            return
        self.report(node, name, f'{what} without a claim', NEEDS_A_CLAIM)
        self.sink(node, name, NOTHING.union(*given), what)
        self.decided(node.lineno, self.name, name, what)

    def decided(self, *sink):
        """What comes to a sink only if conditions hold rests on them, here
        and wherever this function is called.
        """
        for label in self.control:
            self.reached(label, *sink)
        summary = self.module.summaries.get(self.function)
        if summary is not None:
            summary.writes |= {sink}

    def sink(self, node, name, labels, what):
        for label in labels:
            self.reached(label, node.lineno, self.name, name, what)

    def reached(self, label, line, function, sink, what):
        """What has this label comes to a sink, here or in what is called.
        """
        if isinstance(label, modules.Read):
            self.module.found.add((
                line, function, sink, f'{what}, and what it rests on was '
                f'read tolerantly in line {label.line}', DECIDED_ON_LAG))
        else:
            summary = self.module.summaries[label.function]
            summary.sinks |= {(label, line, function, sink, what)}

    def report(self, node, sink, what, remedy):
        self.module.found.add((node.lineno, self.name, sink, what, remedy))
