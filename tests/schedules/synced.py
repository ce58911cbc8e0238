"""What conductors know of the instances of hosts: I11.

When all is calm, the conductor that a host told last knows its instances.
"""


def problems(network, rows, serving):
    """Yield the hosts whose instances are known wrongly, or not yet.

    :param rows: ``{uuid: row}`` of all instances
    :param serving: ``{host: machine}``
    """
    memories = [endpoint.host_instances
                for server in network.servers.get('conductor', ())
                if server.process.alive
                for endpoint in server.endpoints
                if hasattr(endpoint, 'host_instances')]
    for host in serving:
        known = [found for found in (memory.of(host) for memory in memories)
                 if found is not None]
        if not known:
            yield 'not-synced', f'no conductor knows {host}'
            continue
        last = max(known, key=lambda found: found.heard_at)
        right = {uuid for uuid, row in rows.items()
                 if row['host'] == host and not row['deleted']}
        if last.uuids != right:
            yield 'not-synced', (
                f'{host} has {sorted(uuid[:4] for uuid in right)}, known are '
                f'{sorted(uuid[:4] for uuid in last.uuids)}')
