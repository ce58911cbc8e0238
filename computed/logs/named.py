"""How a log line names an instance: by its name and its uuid."""


def instance(name: str, uuid: str) -> str:
    """Return ``name (uuid)``; just the uuid if the name is not known."""
    return uuid if name in ('', uuid) else f'{name} ({uuid})'
