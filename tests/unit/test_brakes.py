from computed import brakes


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_limit_is_a_quarter_of_the_host_but_at_least_ten():
    assert brakes.limit(0, 4) == 10
    assert brakes.limit(0, 100) == 25
    assert brakes.limit(3, 100) == 3


def test_an_hour_has_room_for_so_many_and_frees_it_again():
    clock = Clock()
    hourly = brakes.Hourly(clock)
    assert [hourly.take(2) for _ in range(3)] == [True, True, False]
    assert hourly.room(2) == 0
    clock.now = brakes.HOUR
    assert hourly.room(2) == 2
    assert hourly.take(2)
