from computed import files
from computed.claims import seen


def test_what_cannot_be_kept_is_told_once_a_minute(tmp_path, caplog, minutes):
    path = tmp_path / 'state' / 'seen.json'
    kept = seen.Kept(path)      # there is no such folder
    for second in range(9):
        kept.note('first', second + 1)
        minutes.now += 10
    path.parent.mkdir()
    kept.note('first', 10)
    assert [record.getMessage().partition(': [')[0]
            for record in caplog.records] == [
        'What was seen of the database cannot be written',
        'What was seen of the database could not be written for 60 s',
        'What was seen of the database is written again after 90 s.']
    assert str(path) in caplog.text
    assert files.read_json(str(path)) == {'first': 10}
