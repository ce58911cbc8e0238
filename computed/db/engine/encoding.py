"""Whether a database keeps every text, whatever its letters are."""

import sqlalchemy as sa

# MariaDB: the set of characters of the connection, and the first of our
# columns that has another one. Its "utf8" lacks letters of four bytes.
MYSQL = """SELECT @@character_set_client, (
    SELECT CONCAT(table_name, '.', column_name, ' has the character set ',
                  character_set_name)
    FROM information_schema.columns WHERE table_schema = DATABASE()
    AND table_name <> 'alembic_version' AND character_set_name <> 'utf8mb4'
    ORDER BY table_name, column_name LIMIT 1)"""
POSTGRESQL = """SELECT current_setting('client_encoding'),
    current_setting('server_encoding')"""


def problem(connection: sa.Connection) -> str | None:
    """Return why the database cannot keep every text, and what to do.

    :returns: None: it can. SQLite always can.
    """
    kind = connection.dialect.name
    if kind == 'sqlite':
        return None
    asked = MYSQL if kind in ('mysql', 'mariadb') else POSTGRESQL
    client, found = connection.execute(sa.text(asked)).one()
    if asked is MYSQL:
        if client != 'utf8mb4':
            return (f'the connection has the character set {client}. Leave '
                    'charset out of the URL')
        return found and (f'{found}. Convert each such table with ALTER TABLE '
                          'table CONVERT TO CHARACTER SET utf8mb4 COLLATE '
                          'utf8mb4_bin')
    if client != 'UTF8':
        return (f'the connection has the encoding {client}. Leave '
                'client_encoding out of the URL and of the account')
    return None if found == 'UTF8' else (
        f"it has the encoding {found}. Make another one with CREATE DATABASE "
        "name ENCODING 'UTF8' TEMPLATE template0")
