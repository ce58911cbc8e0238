from computed.virt.process import counters

TEXT = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes
    lo:     180       3    0    0    0     0          0         0 181 4 0 0 0
cmp0123456789ab:12345678901234567 5 0 0 0 0 0 0 7 8 0 0 0 0 0 0
"""


def test_devices_are_read_with_columns_of_any_width():
    assert counters.parse(TEXT) == {
        'lo': (180, 3, 181, 4),
        'cmp0123456789ab': (12345678901234567, 5, 7, 8)}


def test_an_empty_file_has_no_devices():
    assert counters.parse('') == {}
