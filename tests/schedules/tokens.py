"""Console tokens: what users are told of them, and what is left: I10.

A token that was just made admits, unless its instance is deleted. One whose
time is over does not. None is left of a deleted instance, and none that has
expired long ago.
"""

import datetime

from computed import context as computed_context
from computed.objects import console_token as token_obj
from tests.schedules import hub
from tests.schedules import wishes

# Seconds that a token is valid, and after which none is left that expired.
TTL, LONG_AGO = 10, 60
# A jump of the clock of the database, or another server, explains anything.
EXCUSES = ('wall_db', 'fail_over', 'switch_over', 'fail_back',
           'wrong_database', 'second', 'clone', 'lose_state')


class Tokens:
    """The tokens of all users."""

    def __init__(self, cell):
        self._cell, self._number = cell, 0

    def use(self, guest, ask):
        """A user makes a token, uses it, and tries it again later.

        :param ask: calls a function; returns what its user is told
        """
        self._number += 1
        token = f'{self._number:064x}'
        began = hub.running.now
        if ask(lambda: token_obj.ConsoleToken.create(
                computed_context.new(), guest.uuid, token, TTL)) != (
                    wishes.ACCEPTED):
            return
        ended = hub.running.now
        for _ in range(2):
            self._try(ask, guest, token, ended, began + TTL - 1, True)
            hub.running.sleep(TTL - 3.0)
        self._try(ask, guest, token, ended + TTL + 1, float('inf'), False)

    def _try(self, ask, guest, token, begin, until, right):
        """Judge whether a token admits.

        :param begin: from when to when the answer must be ``right``
        """
        found = []
        asked = hub.running.now
        if ask(lambda: found.append(token_obj.ConsoleToken.get_by_hash(
                computed_context.new(), token, use_slave=False)
                is not None)) != wishes.ACCEPTED or self._excused() or (
                    # Its token goes with it.
                    right and guest.wishes & {wishes.GONE, wishes.DELETED}):
            return
        self._cell.judge.looks[f'token:{right}'] += 1
        if begin <= asked and hub.running.now <= until and (
                found != [right]):
            self._cell.judge.fail(
                'token', f'{token[-4:]} of {guest} admits: {found[0]}')

    def _excused(self):
        judge = self._cell.judge
        return bool(judge.losses) or any(judge.looks[f'fault:{name}']
                                         for name in EXCUSES)

    def committed(self, server):
        """Instances have changed: a deleted one has no token now."""
        for token in server.rows(
                'SELECT token_hash FROM console_tokens JOIN instances '
                'ON uuid = instance_uuid WHERE deleted'):
            self._cell.judge.fail('token-left', f'{token["token_hash"][-4:]}'
                                  ' of a deleted instance')

    def problems(self, serving):
        """Yield the tokens that are left.

        :param serving: ``{host: machine}``
        """
        if self._excused():
            return
        server = self._cell.cluster.primary
        now = datetime.datetime.fromtimestamp(
            server.wall() - LONG_AGO, datetime.UTC)
        for token in server.rows('SELECT * FROM console_tokens'):
            if token['host'] in serving and (
                    token['expires'] < f'{now:%Y-%m-%d %H:%M:%S}'):
                yield 'token-left', f'{token["token_hash"][-4:]} has expired'
