from computed.db.engine import address


def test_a_timeout_reaches_the_server_unless_the_url_has_its_own():
    query = address.prepare('postgresql://h/x?connect_timeout=9', 2).query
    assert query['connect_timeout'] == '9'
    assert query['options'] == '-c statement_timeout=1800'
    assert 'options' not in address.prepare('postgresql://h/x').query


def test_a_primary_among_several_hosts_is_shown_by_all_of_them():
    url = 'postgresql+psycopg://u:secret@/x?host=a:1&host=b:2'
    assert address.show(url) == 'a:1,b:2/x'
    assert address.server(url) != address.server(
        url.replace('b:2', 'b:3'))
