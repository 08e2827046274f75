"""Instances found again by their name."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from engine_utils import ManagerMeta, ManagerMixin


class Recorder(ManagerMixin):
    def __init__(self, name: str, value: int = 0) -> None:
        super().__init__(name)
        self.value = value


class Other(Recorder):
    pass


@pytest.fixture(autouse=True)
def _release() -> Iterator[None]:
    yield
    for kind in (Recorder, Other):
        kind._instance_dict.clear()


def test_get_instance_creates_once() -> None:
    first = Recorder.get_instance("task", value=50)
    assert Recorder.get_instance("task") is first
    assert (first.instance_name, first.value) == ("task", 50)
    assert Recorder.check_instance_created("task")
    assert not Recorder.check_instance_created("other")


def test_get_current_instance_is_the_one_created_last() -> None:
    Recorder.get_instance("first")
    second = Recorder.get_instance("second")
    Recorder.get_instance("first")
    assert Recorder.get_current_instance() is second


def test_get_current_instance_before_any_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"no Recorder yet: call Recorder\.get_instance"):
        Recorder.get_current_instance()


def test_get_instance_refuses_arguments_for_an_existing_one() -> None:
    Recorder.get_instance("task", value=1)
    with pytest.raises(ValueError, match="'task' was created before, so value cannot be set"):
        Recorder.get_instance("task", value=1)


@pytest.mark.parametrize("name", [3, None, ["task"]])
def test_get_instance_refuses_a_name_that_is_no_string(name: object) -> None:
    with pytest.raises(TypeError, match="name of an instance is a string"):
        Recorder.get_instance(name)  # type: ignore[arg-type]  # the mistake under test


def test_instance_needs_a_name() -> None:
    with pytest.raises(ValueError, match="non-empty string, not ''"):
        Recorder.get_instance("")


def test_classes_do_not_share_instances() -> None:
    assert Recorder.get_instance("task") is not Other.get_instance("task")


def test_class_without_the_parameter_name_is_refused() -> None:
    with pytest.raises(TypeError, match=r"takes \(self\).*needs a parameter called `name`"):

        class Nameless(metaclass=ManagerMeta):
            def __init__(self, *args: object, **kwargs: object) -> None:
                self.args = args


def test_release_forgets_and_frees_the_instance() -> None:
    first = Recorder.get_instance("first")
    second = weakref.ref(Recorder.get_instance("second"))
    assert Recorder.release_instance("second")
    gc.collect()
    assert second() is None
    assert Recorder.get_current_instance() is first
    assert not Recorder.release_instance("second")


class Slow(Recorder):
    made = 0

    def __init__(self, name: str) -> None:
        time.sleep(0.02)
        super().__init__(name)
        Slow.made += 1


def test_threads_get_one_instance() -> None:
    found: list[Slow] = []
    threads = [
        threading.Thread(target=lambda: found.append(Slow.get_instance("task"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    Slow.release_instance("task")
    assert Slow.made == 1
    assert len(set(map(id, found))) == 1
