"""The directive ``release-notes``: reno's own, or one without a history.

reno finds out from the history which note belongs to which release. Before
the first release there is no tag, a shallow clone has no history, and an
archive is no repository. There the directive shows all notes as one release.
"""

import os
import pathlib

import yaml
from docutils import nodes
from docutils import statemachine
from docutils.parsers import rst
from dulwich import errors
from dulwich import repo
from reno import config
from reno import formatter
from reno import loader
from reno import sphinxext

import computed

ROOT = pathlib.Path(__file__).parents[2]
HEAP = f'Up to {computed.__version__}'


def tells_releases(folder):
    """Return whether ``folder`` is a clone with all commits, and tags."""
    try:
        with repo.Repo(os.fspath(folder)) as found:
            return not found.get_shallow() and any(
                name.startswith(b'refs/tags/') for name in found.refs)
    except errors.NotGitRepository:
        return False


class WorkingCopy(loader.Loader):
    """Load the notes of the working copy as those of one release."""

    def _load_data(self):
        folder = pathlib.Path(self._reporoot) / self._notespath
        contents = {path.name: yaml.safe_load(path.read_text())
                    for path in sorted(folder.glob('*.yaml'))}
        self._cache = {'file-contents': contents}
        self._scanner_output = {HEAP: [(name, None) for name in contents]}
        self._tags_to_dates = {}


class Heap(rst.Directive):
    """Show all notes, without a history that tells their releases."""

    option_spec = sphinxext.ReleaseNotesDirective.option_spec

    def run(self):
        # Their names may change, too.
        self.state.document.settings.env.note_reread()
        settings = config.Config(os.fspath(ROOT))
        with WorkingCopy(settings) as notes:
            text = formatter.format_report(notes, settings, notes.versions)
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(
            statemachine.StringList(text.splitlines(), 'releasenotes'), 0,
            node, match_titles=True)
        return node.children


def setup(sphinx):
    """Register the directive. Sphinx calls this."""
    sphinx.add_directive('release-notes', (
        sphinxext.ReleaseNotesDirective if tells_releases(ROOT) else Heap))
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
