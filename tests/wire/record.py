"""Write down what this release puts on the wire; see the package."""

import json
import pathlib
import tempfile

import computed
from tests import conftest  # noqa: F401, it chooses threads
from tests.wire import loopback

FOLDER = pathlib.Path(__file__).parent


def main():
    with tempfile.TemporaryDirectory() as folder:
        recorded = loopback.record(pathlib.Path(folder))
    path = FOLDER / f'{computed.__version__}.json'
    text = json.dumps(recorded, indent=1, sort_keys=True) + '\n'
    path.write_text(text.replace(folder, '/somewhere'))
    print(f'{path}: {len(recorded["calls"])} calls')


if __name__ == '__main__':
    main()
