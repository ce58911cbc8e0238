import os

from computed.claims import journal


def entry(claim_id):
    """A claim on one instance, under way."""
    return journal.Entry(claim_id, 'stop',
                         (journal.Row('instance', 'u1', 'h1'),))


def test_entries_come_back_as_they_were_written(tmp_path):
    kept = journal.Journal(tmp_path)
    begun = entry('c1')
    ended = journal.Entry('c2', 'start', (
        journal.Row('instance', 'u1', 'h1', {'vm_state': 'active'}),
        journal.Row('instance', 'u2', 'h2', {})))
    kept.write(begun)
    kept.write(ended)
    assert journal.Journal(tmp_path).entries() == [begun, ended]


def test_a_later_entry_replaces_the_earlier_of_a_claim(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(entry('c1'))
    kept.write(entry('c1').with_values({'u1': {}}))
    assert [one.ended for one in kept.entries()] == [True]


def test_a_forgotten_claim_is_gone_and_may_be_forgotten_twice(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(entry('c1'))
    kept.forget('c1')
    kept.forget('c1')
    assert kept.entries() == []


def test_a_torn_file_hides_no_other_entry(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(entry('c2'))
    for name, text in (('c0.json', '{"cla'), ('c1.json', '[]'),
                       ('c3.json', '{"strange": 1}')):
        with open(os.path.join(tmp_path, name), 'w') as stream:
            stream.write(text)
    assert [one.claim_id for one in kept.entries()] == ['c2']


def test_what_cannot_be_read_hides_nothing_else(tmp_path, caplog):
    entries = journal.Journal(tmp_path)
    entries.write(entry('c1'))
    (tmp_path / 'broken.json').mkdir()
    assert entries.entries() == [entry('c1')]
    assert 'broken.json' in caplog.text


def test_what_is_acknowledged_while_one_looks_is_no_news(tmp_path, caplog):
    entries = journal.Journal(tmp_path)
    # Listed, and gone when it is opened.
    (tmp_path / 'gone.json').symlink_to('nothing')
    assert entries.entries() == []
    assert caplog.text == ''
