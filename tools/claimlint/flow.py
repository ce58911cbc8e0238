"""Follow what a lag-tolerant read found to where it is acted on.

Pure: the text of a module comes in, findings go out. Functions of the module
that call one another are looked into; what is imported is taken to hand on
what it was given.
"""

import ast

from tools.claimlint import acts
from tools.claimlint import module as modules
from tools.claimlint.module import NOTHING
from tools.claimlint.module import path_of

# Methods that put an argument into what they are called on.
COLLECTS = frozenset(['add', 'append', 'appendleft', 'extend', 'insert',
                      'put', 'setdefault', 'update'])
# What leaves a block: the rest of it runs only if this did not.
LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
# Each look at a module knows a little more of its functions.
LOOKS = 20


def findings(source, file, names):
    """What in a module acts on a tolerant read, or without a claim.

    :param source: its text
    :param file: its name, as findings shall have it
    :type names: tools.claimlint.module.Names
    :returns: a sorted list of :class:`tools.claimlint.module.Finding`
    """
    tree = ast.parse(source)
    module = modules.Module(tree, names)
    before = None
    for _ in range(LOOKS):
        if before == (before := module.known()):
            break
        module.found = set()
        Walk(module, None, '<module>').run(tree.body)
    return sorted(modules.Finding(file, *rest) for rest in module.found)


class Walk(acts.Expressions):
    """One function, statement by statement."""

    def run(self, body):
        """Follow these statements, one after the other."""
        for statement in body:
            handler = getattr(self, f'on_{type(statement).__name__}', None)
            if handler is not None:
                handler(statement)
                continue
            for child in ast.iter_child_nodes(statement):
                if isinstance(child, ast.expr):
                    self.labels(child)

    def on_FunctionDef(self, node):
        name = node.name if self.name == '<module>' else (
            f'{self.name}.{node.name}')
        inner = Walk(self.module, node, name, self.module.home[node], self)
        inner.run(node.body)

    on_AsyncFunctionDef = on_FunctionDef

    def on_ClassDef(self, node):
        Walk(self.module, None, node.name, node.name, self).run(node.body)

    def on_Assign(self, node):
        found = self.labels(node.value)
        for target in node.targets:
            self.bind(target, found, node.value)

    def on_AnnAssign(self, node):
        if node.value is not None:
            self.bind(node.target, self.labels(node.value), node.value)

    def on_AugAssign(self, node):
        self.bind(node.target, self.labels(node.value) |
                  self.labels(node.target))

    def on_Return(self, node):
        if node.value is not None:
            found = self.labels(node.value)
            self.returned(found if self.is_claim(node.value)
                          else found | self.control)

    def on_If(self, node):
        self.branch(self.labels(node.test), [node.body, node.orelse])

    def on_Match(self, node):
        guards = NOTHING.union(*(self.labels(case.guard)
                                 for case in node.cases if case.guard))
        self.branch(self.labels(node.subject) | guards,
                    [case.body for case in node.cases])

    def on_While(self, node):
        for _ in range(2):
            self.branch(self.labels(node.test), [node.body, []])
        self.run(node.orelse)

    def on_For(self, node):
        found = self.labels(node.iter)
        for _ in range(2):
            self.bind(node.target, found)
            self.branch(found, [node.body, []])
        self.run(node.orelse)

    on_AsyncFor = on_For

    def on_With(self, node):
        for item in node.items:
            found = self.labels(item.context_expr)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, found, item.context_expr)
        self.run(node.body)

    on_AsyncWith = on_With

    def on_Try(self, node):
        before, self.reads = self.reads, NOTHING
        self.run(node.body)
        # That a read failed is an answer, too: "not found".
        refused, self.reads = self.reads, before | self.reads
        self.branch(refused, [*(one.body for one in node.handlers), []])
        self.run(node.orelse)
        self.run(node.finalbody)

    def branch(self, test, bodies):
        """Run each of ``bodies``, and know afterwards what any of them
        knew.
        """
        outer, inner = self.control, self.control | test
        env, claims = self.env, self.claims
        ends = []
        for body in bodies:
            self.env, self.claims = dict(env), dict(claims)
            self.control = inner
            self.run(body)
            ends.append((self.env, self.claims))
            if any(isinstance(one, LEAVES) for one in body):
                outer |= test
        self.env = {
            path: NOTHING.union(*(one.get(path, NOTHING) for one, _ in ends))
            for path in set().union(*(one for one, _ in ends))}
        self.claims = {
            path: all(one.get(path, acts.sounds_like_claim(path))
                      for _, one in ends)
            for path in set().union(*(one for _, one in ends))}
        self.control = outer

    def bind(self, target, found, value=None):
        """Have ``target`` hold what is labelled ``found``."""
        if isinstance(target, (ast.Tuple, ast.List)):
            for one in target.elts:
                self.bind(one, found)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, found)
        elif isinstance(target, ast.Subscript):
            self.put(path_of(target.value), found)
        elif isinstance(target, ast.Attribute):
            self.put(path_of(target), found)
            if target.attr == 'lag_tolerant' and value is not None:
                # From now on what is read with it is.
                self.put(path_of(target.value),
                         self.tolerant_if(value, target))
        else:
            path = target.id,
            if isinstance(value, ast.Constant) and value.value in (
                    True, False):
                found |= self.control       # remembers which way was taken
            for known in [one for one in self.env if one[0] == target.id]:
                del self.env[known]
            self.env[path] = found
            self.claims.pop(path, None)
            self.aliases.pop(target.id, None)
            if value is not None:
                self.claims[path] = self.is_claim(value)
                self.drivers[path] = self.is_driver(path_of(value))
                if isinstance(value, ast.Attribute):
                    self.aliases[target.id] = value

    def returned(self, found):
        summary = self.module.summaries.get(self.function)
        if summary is not None:
            summary.returns |= found

    def collect(self, node, name, found):
        """A call may put its arguments into what it is called on."""
        if name in COLLECTS and isinstance(node.func, ast.Attribute):
            self.put(path_of(node.func.value), found | self.control)
