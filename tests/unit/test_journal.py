import os

from computed import journal


def test_entries_come_back_as_they_were_written(tmp_path):
    kept = journal.Journal(tmp_path)
    begun = journal.Entry('c1', 'u1', 'h1', 'stop')
    ended = journal.Entry('c2', 'u2', 'h1', 'start', {'vm_state': 'active'})
    kept.write(begun)
    kept.write(ended)
    assert journal.Journal(tmp_path).entries() == [begun, ended]


def test_a_later_entry_replaces_the_earlier_of_a_claim(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(journal.Entry('c1', 'u1', 'h1', 'stop'))
    kept.write(journal.Entry('c1', 'u1', 'h1', 'stop', {}))
    assert [entry.values for entry in kept.entries()] == [{}]


def test_a_forgotten_claim_is_gone_and_may_be_forgotten_twice(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(journal.Entry('c1', 'u1', 'h1', 'stop'))
    kept.forget('c1')
    kept.forget('c1')
    assert kept.entries() == []


def test_a_torn_file_hides_no_other_entry(tmp_path):
    kept = journal.Journal(tmp_path)
    kept.write(journal.Entry('c2', 'u2', 'h1', 'stop'))
    for name, text in (('c0.json', '{"cla'), ('c1.json', '[]'),
                       ('c3.json', '{"strange": 1}')):
        with open(os.path.join(tmp_path, name), 'w') as stream:
            stream.write(text)
    assert [entry.claim_id for entry in kept.entries()] == ['c2']
