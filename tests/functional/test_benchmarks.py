"""The benchmarks still run; what they print is nobody's business here."""

from tests.benchmarks import databases
from tests.benchmarks import lists


def test_a_round_of_the_smallest(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, 'SIZES', (10,))
    with databases.sqlite(tmp_path) as database:
        [row] = list(lists.measured(database, rounds=1))
    assert row[:2] == ('SQLite', 10)
    assert float(row[-1]) > 0
