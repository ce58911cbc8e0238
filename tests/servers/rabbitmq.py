"""A private RabbitMQ broker on loopback, in a folder that is thrown away."""

import contextlib
import pathlib
import shutil
import signal
import ssl
import subprocess

import amqp
import trustme

from tests import servers
from tests.support import waiting

# Not the wrappers of /usr/sbin: they change the user.
SCRIPTS = '/usr/lib/rabbitmq/bin:/usr/lib/rabbitmq/sbin'
USER, PASSWORD = 'computed', 's3cret-pa55'

# Names a broker that runs already, see Running.
RUNNING = 'COMPUTED_TESTS_RABBITMQ'
CONFIG = """
listeners.tcp.default = 127.0.0.1:{port}
listeners.ssl.default = 127.0.0.1:{tls_port}
ssl_options.cacertfile = {folder}/ca.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
default_user = {user}
default_pass = {password}
loopback_users = none
log.console = false
# the default of RabbitMQ 4; before, it was 128 MiB
max_message_size = {max_message_size}
"""
MAX_MESSAGE_SIZE = 16 << 20


def program(name):
    """The path of one of RabbitMQ's own programs, see servers.program."""
    return shutil.which(name, path=SCRIPTS) or servers.program(name)


class RabbitMQ:
    """One broker, stopped until :meth:`start`; what is durable stays."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700)
        self.port, self.tls_port = servers.free_port(), servers.free_port()
        self._epmd_port = servers.free_port()
        self._script = program('rabbitmq-server')
        self._ctl = program('rabbitmqctl')
        self._epmd = servers.program('epmd')
        self._erl_call = servers.program('erl_call')
        self.process = self._names = None
        self._has_app = False
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = authority.issue_cert('localhost', '127.0.0.1')
        certificate.cert_chain_pems[0].write_to_path(
            self.folder / 'server.pem')
        certificate.private_key_pem.write_to_path(self.folder / 'server.key')
        (self.folder / 'rabbitmq.conf').write_text(CONFIG.format(
            port=self.port, tls_port=self.tls_port, folder=self.folder,
            user=USER, password=PASSWORD,
            max_message_size=MAX_MESSAGE_SIZE))
        (self.folder / 'plugins').write_text('[].')

    @property
    def ca_file(self):
        """The authority that signed the certificate of the TLS port."""
        return self.folder / 'ca.pem'

    def _environment(self):
        return {
            'PATH': servers.PATH, 'LANG': 'C.UTF-8',
            'HOME': str(self.folder),
            'RABBITMQ_NODENAME': f'computed-{self.port}@localhost',
            'RABBITMQ_DIST_PORT': str(self._dist_port),
            'RABBITMQ_MNESIA_BASE': str(self.folder / 'data'),
            'RABBITMQ_LOG_BASE': str(self.folder / 'logs'),
            'RABBITMQ_CONFIG_FILE': str(self.folder / 'rabbitmq.conf'),
            'RABBITMQ_CONF_ENV_FILE': '/dev/null',
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(self.folder / 'plugins'),
            'RABBITMQ_ALLOW_INPUT': '1',    # the script becomes the broker
            # idle schedulers sleep: the machine has other work
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '+sbwt none +sbwtdcpu none +sbwtdio none -noinput',
            'ERL_EPMD_PORT': str(self._epmd_port),
            'ERL_EPMD_ADDRESS': '127.0.0.1',
            'ERL_CRASH_DUMP': '/dev/null',
            'RABBITMQ_LOGS': str(self.folder / 'rabbit.log'),
        }

    def start(self, seconds=20):
        """Start, on the same ports as before, and wait until it answers.

        Call it from the main thread, as :meth:`servers.MariaDB.launch`.
        """
        if self._runs:
            self.evaluate('rabbit:start()')
        else:
            self._start_erlang()
        self._has_app = True
        try:
            waiting.wait_for(self._answers, seconds,
                             f'RabbitMQ {self.folder}')
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.log()}') from None

    def _start_erlang(self):
        # Chosen as late as possible: only the broker's own tools use it.
        self._dist_port = servers.free_port()
        if self._names is None:     # else the broker leaves one behind
            self._names = self._run(self._epmd, '-port',
                                    str(self._epmd_port))
        self.process = self._run(self._script)

    def _run(self, *command):
        with (self.folder / 'out').open('a') as out:
            return subprocess.Popen(
                [servers.program('setpriv'), '--pdeathsig=KILL', *command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=self._environment(), start_new_session=True)

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f'rabbitmq-server ended with '
                                 f'{self.process.returncode}:\n{self.log()}')
        try:
            with self.channel():
                return True
        except (OSError, amqp.AMQPError):
            return False

    def log(self):
        """The end of what the broker itself wrote, for a failure."""
        return ''.join(
            path.read_text(errors='replace')[-4000:]
            for path in (self.folder / 'out', self.folder / 'rabbit.log')
            if path.exists())

    @property
    def _runs(self):
        return self.process is not None and self.process.poll() is None

    @property
    def is_running(self):
        return self._runs and self._has_app

    def stop_app(self):
        """Stop all but the Erlang under it, which takes long to start.

        Clients see the same: connections are closed and ports are shut.
        What is not durable is lost.
        """
        self._has_app = False
        self.evaluate('rabbit:stop()')

    @contextlib.contextmanager
    def away(self):
        """Stop it as :meth:`stop_app` does; after the body it runs again.

        So it does if it could not be stopped: others use it, too.
        """
        try:
            self.stop_app()
            yield
        finally:
            self.start()

    def stop(self, seconds=30):
        """End it in order; harmless when it has ended."""
        if self._runs:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(seconds * waiting.PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        """Stop it, and all that it needed, for good."""
        self.stop()
        if self._names is not None:
            self._names.kill()
            self._names.wait()

    def url(self, vhost='', user=USER, password=PASSWORD, port=None,
            options=''):
        """For ``transport_url``."""
        return (f'rabbit://{user}:{password}@127.0.0.1:{port or self.port}/'
                f'{vhost}{options}')

    @contextlib.contextmanager
    def channel(self, vhost='/'):
        """A channel of one's own, to look at queues."""
        connection = amqp.Connection(
            f'127.0.0.1:{self.port}', USER, PASSWORD, virtual_host=vhost,
            connect_timeout=5)
        connection.connect()
        try:
            yield connection.channel()
        finally:
            connection.close()

    def ctl(self, *words):
        """Run ``rabbitmqctl``; returns what it printed."""
        done = subprocess.run(
            [self._ctl, '--quiet', *words], capture_output=True, text=True,
            env=self._environment(), timeout=60 * waiting.PATIENCE)
        if done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return done.stdout

    def evaluate(self, expressions):
        """Let the broker evaluate Erlang; returns what that printed.

        ``rabbitmqctl`` takes a second of one core, for it starts an Erlang
        of its own. This takes a hundredth of that.

        :raises AssertionError: not all was evaluated
        """
        end = '~end~'
        cookie = (self.folder / '.erlang.cookie').read_text()
        done = subprocess.run(
            [self._erl_call, '-address', f'127.0.0.1:{self._dist_port}',
             '-c', cookie, '-e', '-fetch_stdout', '-no_result_term'],
            input=f'{expressions}, io:put_chars("{end}").\n',
            capture_output=True, text=True, timeout=60 * waiting.PATIENCE)
        if not done.stdout.endswith(end):
            raise AssertionError(f'{expressions}: {done}')
        return done.stdout.removesuffix(end)

    def add_vhost(self, name):
        self.evaluate(
            f'ok = rabbit_vhost:add(<<"{name}">>, <<"tests">>), '
            f'ok = rabbit_auth_backend_internal:set_permissions(<<"{USER}">>, '
            f'<<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>)')

    def queues(self, vhost='/'):
        """``{name: type}`` of every queue."""
        lines = self.evaluate(
            '[io:format("~s ~s~n", [N, T]) || [{name, {_, _, _, N}}, '
            '{type, T}] <- rabbit_amqqueue:info_all'
            f'(<<"{vhost}">>, [name, type])]').splitlines()
        return dict(line.rsplit(' ', 1) for line in lines)

    def consumers(self, queue, vhost='/'):
        """How many listen to a queue; 0 if there is no such queue."""
        with self.channel(vhost) as channel:
            try:
                return channel.queue_declare(
                    queue, passive=True).consumer_count
            except amqp.NotFound:
                return 0

    def tls_answers(self):
        """Whether the TLS port shows a certificate of our authority."""
        connection = amqp.Connection(
            f'127.0.0.1:{self.tls_port}', USER, PASSWORD, connect_timeout=5,
            ssl={'ca_certs': str(self.ca_file), 'server_hostname':
                 '127.0.0.1', 'cert_reqs': ssl.CERT_REQUIRED})
        connection.connect()
        connection.close()
        return True

    def named(self):
        """Return the variable by which another process finds it."""
        return {RUNNING: f'{self.port} {self.tls_port} {self._dist_port} '
                         f'{self.folder}'}


class Running(RabbitMQ):
    """A broker of the process that started this one; it is not stopped."""

    def __init__(self, name):
        """:param name: the value of ``RUNNING``"""
        *ports, folder = name.split(' ', 3)
        self.port, self.tls_port, self._dist_port = map(int, ports)
        self.folder = pathlib.Path(folder)
        self._erl_call = servers.program('erl_call')
