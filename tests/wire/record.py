"""Write down what this release puts on the wire; see the package."""

import json
import pathlib
import tempfile

import computed
from tests import conftest  # noqa: F401, it chooses threads
from tests.wire import calls
from tests.wire import hosts
from tests.wire import loopback

FOLDER = pathlib.Path(__file__).parent


def record(folder):
    """All that this release puts on the wire, as JSON has it."""
    with loopback.host_side(loopback.Conductor(folder), folder) as api:
        calls.make(api)
    a_host = folder / 'host'
    a_host.mkdir()
    places = {'calls': api._client.seen + api._translator.seen,
              'host_calls': hosts.made(a_host)}
    return {
        'contexts': {meaning: ctxt.to_dict()
                     for meaning, ctxt in calls.contexts().items()},
        **{place: [{'request': request, 'reply': reply}
                   for request, reply in made]
           for place, made in places.items()}}


def main():
    with tempfile.TemporaryDirectory() as folder:
        recorded = record(pathlib.Path(folder))
    path = FOLDER / f'{computed.__version__}.json'
    text = json.dumps(recorded, indent=1, sort_keys=True) + '\n'
    path.write_text(text.replace(folder, '/somewhere'))
    print(f'{path}: {len(recorded["calls"])} calls to a conductor, '
          f'{len(recorded["host_calls"])} to a host')


if __name__ == '__main__':
    main()
