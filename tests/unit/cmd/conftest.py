import io
import types

import pytest

from computed.cmd.manage import app
from computed.objects import base
from tests.support import deployment as fake


@pytest.fixture
def deployment():
    found = fake.Deployment()
    before = base.use_conductor(found)
    yield found
    base.use_conductor(before)


@pytest.fixture
def manage(deployment):
    """Runs one command; returns its exit status and what it printed."""
    def run(*argv, out=io.StringIO):
        out = out()
        program = app.ManageApp(stdout=out)
        program.options = program.parser.parse_args([])
        program.conf = types.SimpleNamespace(
            host='here', service_down_time=60)
        program.session = deployment
        return program.run_subcommand(list(argv)), out.getvalue()
    return run
