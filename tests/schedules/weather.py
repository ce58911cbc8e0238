"""What goes wrong now and then, for as long as a schedule works."""

from tests.schedules import hub

# The chance of each fault, each time that it could happen.
CHANCES = {
    # A message is lost; a request is up to a minute late, or arrives twice
    # at conductors.
    'lose_request': 0.05, 'lose_reply': 0.05, 'late': 0.05, 'twice': 0.1,
    # A commit gets no answer; a replica gets what was committed up to 12 s
    # later; one replica takes up to 10 s to answer.
    'lose_commit': 0.05, 'lag': 0.3, 'slow_reads': 0.3,
    # The driver fails, or lists nothing and says so; a call hangs for
    # minutes; a list that says that it is complete lacks guests; an act is
    # slow.
    'driver': 0.05, 'hang': 0.02, 'lies': 0.3, 'slow': 0.7,
    # The broker of notifications is away; files of a guest cannot be removed.
    'mute': 0.5, 'files': 0.5}


class Weather:
    """Which of these faults are on in a schedule.

    :ivar strength: by which their chances are multiplied
    """

    hangs_for = 180.0
    strength = 1.0

    def __init__(self, random, looks):
        """:param looks: a counter; counts each fault that happens"""
        self._random, self._looks = random, looks
        self._on = set()

    def begin(self, name):
        self._on.add(name)

    def clear(self):
        """End all of them."""
        self._on.clear()

    def happens(self, name):
        """Return whether a fault happens now."""
        if name not in self._on or (
                self._random.random() >= CHANCES[name] * self.strength):
            return False
        self._looks[f'fault:{name}'] += 1
        return True

    def within(self, seconds):
        return self._random.random() * seconds

    def delay(self):
        """Let the time pass that a call of a driver takes."""
        here = hub.running
        if self.happens('hang'):
            here.tell(f'the driver of {here.current} hangs')
            until = here.now + self.within(self.hangs_for)
            # When all is calm, it answers.
            while 'hang' in self._on and here.now < until:
                here.sleep(1.0)

    def delay_act(self):
        """Let time pass before an act, or after it."""
        self.delay()
        if self.happens('slow'):
            hub.running.sleep(self.within(5.0))
