"""What the pages say is what the code does: examples, names, commands."""

import ast
import configparser
import datetime
import io
import re
import shlex
import shutil
import string
import types

import pytest
import yaml
from dulwich import porcelain
from oslo_config import cfg
from oslo_messaging import opts as messaging_opts
from reno import config
from reno import formatter

from computed import conf
from computed import context
from computed import exception
from computed import manager as computed_manager
from computed import states
from computed.cmd.manage import app
from computed.conductor import manager as conductor_manager
from computed.objects import payload as payload_obj
from computed.service import task_endpoint
from computed.service.output import console
from tests.support import documents
from tests.support import driver_contract
from tests.support import waiting

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
PAGES = sorted(documents.SOURCE.rglob('*.rst'))
README = documents.ROOT / 'README.rst'
WIRE = (documents.SOURCE / 'wire.rst').read_text()
# Whatever is filled into a text.
ANYTHING = '.+'


class TestPaperDriver(driver_contract.DriverContract):

    @pytest.fixture
    def driver(self, tmp_path):
        with documents.example('paper') as paper:
            found = paper.PaperDriver(
                types.SimpleNamespace(state_path=str(tmp_path)))
            found.init_host(driver_contract.OWNER)
            yield found
            found.close()

    def test_a_torn_guest_is_unknown_and_not_absent(self, driver, tmp_path):
        guest = self.spawned(driver)
        (tmp_path / 'paper' / f'{guest}.json').write_text('{"power_st')
        assert not driver.list_instances().complete

    def test_a_missing_folder_is_not_an_empty_one(self, driver, tmp_path):
        (tmp_path / 'paper').rmdir()
        assert not driver.list_instances().complete


@pytest.mark.parametrize('found, changed', [
    (True, {}),
    (True, {'launched_at': NOW - datetime.timedelta(seconds=60)}),
    (False, {'launched_at': NOW - datetime.timedelta(seconds=59)}),
    (False, {'launched_at': None}),
    (False, {'vm_state': states.STOPPED}),
])
def test_whose_lease_is_over(found, changed):
    instance = types.SimpleNamespace(**{
        'vm_state': states.ACTIVE,
        'launched_at': NOW - datetime.timedelta(hours=1), **changed})
    with documents.example('leases') as leases:
        assert leases.overdue(instance, NOW, 60) is found


def test_the_wire_page_names_every_key_that_is_ours():
    ctxt = context.new()
    ctxt.tokens.advance('db1', 'i1', 'h1', 1)
    theirs = super(context.RequestContext, ctxt).to_dict()
    reply = conductor_manager.reply(ctxt)
    keys = [*(ctxt.to_dict().keys() - theirs.keys()),
            *ctxt.tokens.to_dict()['db1'], *reply,
            *context.Origin.__dataclass_fields__]
    assert len(keys) > 8
    for key in keys:
        assert f'``{key}``' in WIRE, key


def test_the_wire_page_names_every_method():
    for endpoint in (conductor_manager.ConductorManager,
                     computed_manager.ComputeManager,
                     task_endpoint.TaskEndpoint):
        names = [name for name in dir(endpoint) if getattr(
            getattr(endpoint, name), 'exposed', False)]
        assert names
        for name in names:
            # the operations are all alike
            assert f'``{name}``' in WIRE or '_instance' in name, name


def test_notes_are_found_without_a_history(tmp_path):
    """reno cannot read a shallow clone; the pages are built there too."""
    shutil.copytree(documents.ROOT / 'releasenotes',
                    tmp_path / 'releasenotes')
    with documents.extension('notes') as notes:
        settings = config.Config(str(tmp_path))
        with notes.WorkingCopy(settings) as found:
            text = formatter.format_report(found, settings, found.versions)
    for path in (tmp_path / 'releasenotes/notes').glob('*.yaml'):
        for section in yaml.safe_load(path.read_text()).values():
            for item in [section] if isinstance(section, str) else section:
                assert item.splitlines()[0] in text


def test_only_a_whole_clone_with_tags_tells_releases(tmp_path):
    whole, shallow = tmp_path / 'whole', tmp_path / 'shallow'
    author = b'a <a@example.org>'
    porcelain.init(str(whole))
    for message in (b'first', b'second'):
        porcelain.commit(str(whole), message=message, author=author,
                         committer=author)
    with documents.extension('notes') as notes:
        assert not notes.tells_releases(whole)      # no tag yet
        porcelain.tag_create(str(whole), b'0.1.0')
        assert notes.tells_releases(whole)
        porcelain.clone(str(whole), str(shallow), errstream=io.BytesIO())
        assert notes.tells_releases(shallow)
        (shallow / '.git/shallow').write_bytes(
            porcelain.open_repo(str(whole)).head() + b'\n')
        assert not notes.tells_releases(shallow)
        assert not notes.tells_releases(tmp_path)


def commands():
    """``(page, words)`` of every computed-manage command on the pages."""
    for page in [*PAGES, README]:
        # A long command goes on in the next line.
        text = re.sub(r' \\\n +', ' ', page.read_text())
        for line in text.splitlines():
            found = re.match(
                r' +(?:\$ )?(?:\S*computed-manage|manage) (?!\.\.\.)(.+)',
                line)
            if found:
                yield page.name, shlex.split(found[1], comments=True)


def test_every_command_on_the_pages_can_be_parsed():
    """By its own parser: no option of an earlier release stays behind."""
    manage = app.ManageApp()
    found = list(commands())
    assert len(found) > 15
    for page, words in found:
        _, rest = manage.parser.parse_known_args(words)
        words = words[words.index(rest[0]):] if rest else words
        command, name, arguments = manage.command_manager.find_command(words)
        parser = command(manage, None).get_parser(name)
        try:
            parser.parse_args(arguments)
        except SystemExit:
            pytest.fail(f'{page}: {words}')


def test_the_tour_makes_another_instance_than_the_first_hint(capsys):
    """Who follows both has two instances, each with a name of its own."""
    found = cfg.ConfigOpts()
    conf.register_opts(found)
    found(['--state-path', '.state'], default_config_files=[])
    console.hello(found, [])
    said = []

    def is_whole():     # a thread prints it
        said.append(capsys.readouterr().out)
        return '--wait' in ''.join(said)
    waiting.wait_for(is_whole)
    hint = ''.join(said).splitlines()[-1].split()
    named = {words[2] for page, words in commands()
             if page == README.name and words[:2] == ['instance', 'create']}
    assert named and hint[hint.index('create') + 1] not in named


def test_the_readme_names_the_packages_that_a_user_needs():
    needed = {line.split()[0] for line in
              (documents.ROOT / 'bindep.txt').read_text().splitlines()
              if re.search(r'\[.*\brun\b.*\]', line)}
    assert needed == {'python3-venv'}
    for name in (*needed, 'iproute2'):
        assert f'``{name}``' in README.read_text()


def test_every_option_on_the_pages_is_one():
    """``[group] name`` in the text; the reference itself is generated."""
    ours = {(group.name if group else 'DEFAULT', option.dest)
            for group, options in conf.list_opts() for option in options}
    library = {('database', 'connection'), ('database', 'slave_connection'),
               *((group or 'DEFAULT', option.dest)
                 for group, options in messaging_opts.list_opts()
                 for option in options)}
    found = {(page.name, group, name) for page in PAGES
             for group, name in re.findall(r'``\[(\w+)\] (\w+)``',
                                           page.read_text())}
    assert found
    for page, group, name in found:
        assert (group, name) in ours | library, page


def test_the_readme_has_the_layers_that_lint_checks():
    parser = configparser.RawConfigParser()
    parser.read(documents.ROOT / 'setup.cfg')
    checked = parser['importlinter:contract:layers']['layers'].split('\n')
    _, _, text = README.read_text().partition(
        '``[importlinter:contract:layers]``)::\n\n')
    shown = [re.split(' {2,}', line.strip())[0]
             for line in text.partition('\n\n')[0].splitlines()]
    assert shown == [layer for layer in checked if layer]


def template(text):
    """A pattern of the texts that ``str.format`` makes of ``text``."""
    return ''.join(re.escape(fixed) + ANYTHING * (field is not None)
                   for fixed, field, _, _ in string.Formatter().parse(text))


def test_every_error_on_the_pages_is_one():
    """``PROGRAM: TEXT``, as a program prints an error of ours."""
    texts = [template(error.__doc__) for error in vars(exception).values()
             if isinstance(error, type)]
    found = {(page.name, text) for page in [*PAGES, README]
             for text in re.findall(
                 r'^ +computed(?:-\w+)?: (.+)$', page.read_text(), re.M)}
    assert len(found) > 3
    for page, text in found:
        assert any(re.fullmatch(known, text) for known in texts), (page, text)


def literals(path):
    """A pattern of each text in a module; values in it may be anything.

    Without a word of its own a text would fit all others.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr | ast.Constant):
            parts = [getattr(part, 'value', None) if isinstance(
                part, ast.Constant) else None for part in (
                    node.values if isinstance(node, ast.JoinedStr)
                    else [node])]
            if re.search('[a-z]{3}', ' '.join(
                    part for part in parts if isinstance(part, str))):
                yield ''.join(ANYTHING if part is None else re.escape(
                    str(part)) for part in parts).removesuffix('\\\n')


@pytest.mark.parametrize('shown, least, rooms', [
    (r' +\| (?:Check|Details): (.+?) *\|', 10, ['cmd']),
    (r' +\| note +\| (.+?) *\|', 1, ['tasks', 'repair']),
    (r' +\| age_measured_by +\| (h.+?) *\|', 1, ['cmd/manage']),
    (r' +(There are more.*)', 1, ['cmd/manage']),
    (r' +(This may be .*)', 1, ['cmd/manage']),
])
def test_every_line_shown_on_the_pages_is_one(shown, least, rooms):
    """Of what programs print besides tables and errors."""
    texts = [text for room in rooms
             for path in (documents.ROOT / 'computed' / room).rglob('*.py')
             for text in literals(path)]
    found = {(page.name, text) for page in PAGES
             for text in re.findall(f'^{shown}$', page.read_text(), re.M)}
    assert len(found) >= least
    for page, text in found:
        assert any(re.fullmatch(known, text) for known in texts), (page, text)


def columns():
    """``(page, name)`` of each column or field of the tables shown."""
    for page in PAGES:
        if page.name == 'states.rst':
            continue    # its boxes are no tables
        for table in re.findall(r'(?:^ +[+|].*[+|]\n)+', page.read_text(),
                                re.M):
            header, *rows = [
                [cell.strip() for cell in line.strip(' |').split(' | ')]
                for line in table.splitlines() if '|' in line]
            if header == ['Field', 'Value']:
                header = [row[0] for row in rows]
            yield from ((page.name, name) for name in header
                        if header != ['Upgrade Check Results'])


def test_every_column_shown_on_the_pages_is_one():
    names = {name for room in ('cmd/manage', 'objects', 'periodic', 'virt')
             for path in (documents.ROOT / 'computed' / room).rglob('*.py')
             for name in re.findall(r'\w+', path.read_text())}
    found = set(columns())
    assert len(found) > 50
    for page, name in found:
        assert name in names or name.startswith('reads of '), (page, name)


def test_every_path_on_the_pages_exists():
    folders = 'computed|doc|etc|examples|releasenotes|tests|tools'
    found = {(page.name, path) for page in [*PAGES, README]
             for path in re.findall(rf'``((?:{folders})/[\w./-]*)``',
                                    page.read_text())}
    assert len(found) > 50
    for page, path in found:
        # what make docs builds is not there before
        assert (documents.ROOT / path).exists() or path.startswith(
            'doc/build/'), (page, path)


def test_the_page_describes_every_field_of_every_payload():
    with documents.extension('reference') as reference:
        described = '\n'.join(reference.Payloads.lines(None))
    classes = payload_obj.Payload.__subclasses__()
    assert classes
    for cls in classes:
        assert set(cls.MEANING) == set(cls.fields), cls
        # Else it is a part of another one.
        assert cls.PRIORITIES or 'key' not in cls.fields, cls
        assert f'{cls.__name__} {cls.VERSION}' in described
        for name in cls.fields:
            assert f'``{name}`` -- ' in described
