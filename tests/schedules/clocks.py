"""What conductors make of a database that went back."""


class Clocks:
    """Compares each second that is added with those that were seen.

    Who adds a second has read the one before. So it knows for how long the
    database of this incarnation was used, and which incarnation came later.

    :ivar ended: the incarnations in which a failover lost commits
    """

    def __init__(self, judge):
        self._judge = judge
        self.ended = set()
        # {server: (incarnation, seconds)}
        self._shown = {}
        # {process: {incarnation: seconds}}; the latest stands at the end
        self._seen = {}
        # {process: the incarnation to which it has added last}
        self._added_to = {}

    def has_moved(self):
        """Return whether there was more than one incarnation."""
        return len({name for name, _ in self._shown.values()}) > 1

    def committed(self, server, process, incarnation, seconds):
        """The clock shows this after a commit of ``process``."""
        before = self._shown.get(server)
        self._shown[server] = incarnation, seconds
        if before != (incarnation, seconds - 1):
            return      # nothing was added, or nobody knows to what
        self._judge.looks['second'] += 1
        seen = self._seen.setdefault(process, {})
        if incarnation in seen and (
                seen[incarnation] > before[1] or
                incarnation != list(seen)[-1]):
            self._judge.fail('old-incarnation', f'{process} adds second '
                             f'{seconds} to {incarnation[:4]}, and has seen '
                             f'{seen}')
        # Its first second there may have got no answer.
        if self._added_to.get(process) == incarnation:
            seen[incarnation] = before[1]
        self._added_to[process] = incarnation

    def wrote(self, process, incarnation):
        """A row is written. A new incarnation begins before."""
        if incarnation in self.ended:
            self._judge.fail('old-incarnation', f'{process} writes in '
                             f'{incarnation[:4]}, which has lost commits')

    def is_back(self, incarnation):
        """A dump has it. Only its clock tells that; rows are written before.
        """
        self.ended.discard(incarnation)
