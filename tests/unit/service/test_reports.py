"""Where a report is written."""

import pathlib

from computed.service.output import reports


def test_reports_of_one_second_have_files_of_their_own(tmp_path):
    found = []
    for text in ('one', 'two', 'three'):
        path, descriptor = reports._new_file(str(tmp_path / 'report'))
        with open(descriptor, 'w') as stream:
            stream.write(text)
        found.append(pathlib.Path(path))
    assert [path.read_text() for path in found] == ['one', 'two', 'three']
