"""Guards around tests and doctests, and the programs and processes that several folders use.

A guard restores what a test changed in the process, or fails the test.
"""

import json
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, on slow machines too, so that a failure of the gate is never chance.
# --hypothesis-profile=default searches for new examples.
settings.register_profile(
    "gate",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gate")


TESTS = Path(__file__).parent / "tests"
# The Debian packages of programs that have other names.
PACKAGES = {"chromedriver": "chromium-driver"}
FORWARDED = Path(__file__).parent / "packages/engine-compat/src/mmengine"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Exclude modules from the search for doctests, which imports them and all of their names.

    These are the programs that tests start, and the modules of engine-compat, which forward names.
    """
    if collection_path.suffix != ".py":
        return None
    is_program = TESTS in collection_path.parents and not collection_path.name.startswith("test_")
    forwards = FORWARDED in collection_path.parents and collection_path.name != "_only_here.py"
    return True if is_program or forwards else None


@pytest.fixture(autouse=True, scope="session")
def _handle_signals() -> Iterator[None]:
    """Handle what a shell lets its background jobs ignore, and ``nohup`` its program.

    The programs that tests start inherit what is ignored; of a handler they get the default.
    """
    handlers = {"SIGINT": signal.default_int_handler, "SIGHUP": lambda number, frame: None}
    numbers = {getattr(signal, name): handlers[name] for name in handlers if hasattr(signal, name)}
    ignored = [number for number in numbers if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, numbers[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def _restore_environment() -> Iterator[None]:
    before, folder, path = dict(os.environ), os.getcwd(), list(sys.path)
    yield
    os.chdir(folder)
    sys.path[:] = path
    for name in set(os.environ) - set(before) - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _restore_random_state() -> Iterator[None]:
    state = random.getstate()
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    numpy_state = numpy.random.get_state() if numpy else None
    torch_state = torch.random.get_rng_state() if torch else None
    yield
    random.setstate(state)
    if numpy:
        numpy.random.set_state(numpy_state)
    if torch:
        torch.random.set_rng_state(torch_state)
        if torch.are_deterministic_algorithms_enabled():  # setting it imports the compiler
            torch.use_deterministic_algorithms(False)


@pytest.fixture(autouse=True)
def _restore_loggers() -> Iterator[None]:
    disabled = _disabled_loggers()
    _detach_loggers()  # also one of a fixture of the module, whose lines a doctest would print
    yield
    _detach_loggers()
    # `logging.config` disables the loggers that exist, as a program such as import-linter asks it.
    for logger in _disabled_loggers() - disabled:
        logger.disabled = False


def _detach_loggers() -> None:
    """Let the records of the packages go to the root logger, from which `caplog` takes them."""
    engine = logging.getLogger("engine")
    engine.handlers.clear()
    engine.propagate = True
    engine.setLevel(logging.NOTSET)


def _disabled_loggers() -> set[logging.Logger]:
    found = logging.root.manager.loggerDict.values()
    return {one for one in found if isinstance(one, logging.Logger) and one.disabled}


@pytest.fixture(autouse=True)
def _restore_registries() -> Iterator[None]:
    """Remove what the test registered in the root registries, but not what packages registered."""
    roots = sys.modules.get("engine_registry._roots")
    registries = roots.ROOTS.values() if roots else ()
    before = [
        (registry, dict(registry.module_dict), dict(registry.children)) for registry in registries
    ]
    yield
    for registry, modules, children in before:
        for name, found in list(registry.module_dict.items()):
            if name in modules:
                registry.module_dict[name] = modules[name]
            elif not getattr(found, "__module__", "").startswith(("engine_", "torch")):
                del registry.module_dict[name]
        registry.children.clear()
        registry.children.update(children)


@pytest.fixture(autouse=True)
def _restore_default_scope() -> Iterator[None]:
    before = set(_scopes())
    yield
    for name in set(_scopes()) - before:
        sys.modules["engine_registry._scope"].DefaultScope.release_instance(name)


def _scopes() -> dict[str, Any]:
    module = sys.modules.get("engine_registry._scope")
    instances: dict[str, Any] = module.DefaultScope._instance_dict if module else {}
    return instances


@pytest.fixture(autouse=True)
def _no_process_group_left() -> Iterator[None]:
    yield
    torch = sys.modules.get("torch")
    if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        pytest.fail("the test left a process group; destroy it in the test")


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return a function from the name of a system program to its path.

    Without the program the test skips. In CI it fails: .ci/run installs what the tests need.
    """

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            package = PACKAGES.get(name, name)
            message = f"{name} is not installed; run: apt-get install {package}"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)
        return path

    return find


Ended = subprocess.CompletedProcess[str]


class Scripts:
    """Python scripts, each run in a process of its own that has torch loaded from the start.

    For scripts that use torch, and tests for which it does not matter when torch is loaded. A
    script gets the environment of the test. Its stderr is a part of ``stdout`` of the result. With
    ``strict`` each warning is an error, otherwise only what its own code deprecates.
    """

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self._folder = folder

    def run(
        self, script: str | Path, *arguments: object, folder: Path, strict: bool = False
    ) -> Ended:
        """Run a script in a folder."""
        return self.run_at_once([(script, *arguments)], folder=folder, strict=strict)[0]

    def run_ranks(
        self,
        script: str | Path,
        *arguments: object,
        folder: Path,
        size: int = 2,
        strict: bool = False,
    ) -> list[Ended]:
        """Run ``size`` copies of a script at once: ``script RANK SIZE ARGUMENTS``."""
        commands = [(script, rank, size, *arguments) for rank in range(size)]
        return self.run_at_once(commands, folder=folder, strict=strict)

    def run_at_once(
        self, commands: Sequence[tuple[object, ...]], *, folder: Path, strict: bool = False
    ) -> list[Ended]:
        """Run several scripts at once; a command is a script and its arguments."""
        outputs = [self._folder / f"{number}.txt" for number in range(len(commands))]
        requests = [
            {
                "script": str(script),
                "arguments": [str(argument) for argument in arguments],
                "folder": str(folder),
                "environment": dict(os.environ),
                "output": str(output),
                "strict": strict,
            }
            for (script, *arguments), output in zip(commands, outputs, strict=True)
        ]
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps(requests) + "\n")
        self._process.stdin.flush()
        codes = json.loads(self._process.stdout.readline())
        return [
            subprocess.CompletedProcess(
                [str(part) for part in command], code, output.read_text(errors="replace")
            )
            for command, code, output in zip(commands, codes, outputs, strict=True)
        ]


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripts]:
    """Return what runs Python scripts in processes that have torch loaded."""
    with subprocess.Popen(
        [sys.executable, TESTS / "fork_scripts.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # read when torch is loaded
        text=True,
    ) as process:
        yield Scripts(process, tmp_path_factory.mktemp("scripts"))
        process.communicate(timeout=60)  # closes its input, with which it ends


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Start a moto server in a process of its own, and return its endpoint."""
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "serve_s3.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    address = process.stdout.readline().strip()
    yield f"http://{address}"
    process.kill()
    process.communicate(timeout=60)


@pytest.fixture(scope="session")
def s3_options(s3_server: str) -> dict[str, str]:
    """Return arguments with which S3Backend reaches the test server."""
    return {
        "endpoint_url": s3_server,
        "region_name": "us-east-1",
        "aws_access_key_id": "AKIDEXAMPLE",
        "aws_secret_access_key": "wJalrXUtnFEMI-secret",
    }


@pytest.fixture(scope="session")
def s3_client(s3_options: dict[str, str]) -> Iterator[Any]:
    """Return a boto3 client for the test server."""
    import boto3  # it takes a second, which the other tests need not wait for

    client = boto3.session.Session().client("s3", **s3_options)
    yield client
    client.close()


@pytest.fixture
def bucket(s3_client: Any) -> str:
    """Create an empty bucket, and return its name."""
    name = f"bucket-{uuid.uuid4().hex}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def unused_port() -> Iterator[int]:
    """Reserve a loopback port without a listener, and return it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
