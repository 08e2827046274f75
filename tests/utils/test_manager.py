"""Instances found again by their name."""

import asyncio
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


def test_get_current_instance_without_any_raises() -> None:
    with pytest.raises(RuntimeError, match=r"no Recorder yet; call Recorder\.get_instance"):
        Recorder.get_current_instance()


def test_get_instance_of_an_existing_one_warns_once_of_ignored_arguments() -> None:
    first = Recorder.get_instance("task", value=1)
    with pytest.warns(UserWarning, match="Recorder 'task' exists, so value of this call are ign"):
        assert Recorder.get_instance("task", value=2) is first
    assert Recorder.get_instance("task", value=3) is first
    assert first.value == 1


@pytest.mark.parametrize("name", [3, None, ["task"]])
def test_get_instance_with_a_name_that_is_not_a_string_raises(name: object) -> None:
    with pytest.raises(TypeError, match="name of a Recorder must be a string, got "):
        Recorder.get_instance(name)  # type: ignore[arg-type]  # the mistake under test


def test_get_instance_with_an_empty_name_raises() -> None:
    with pytest.raises(ValueError, match="non-empty string, got ''"):
        Recorder.get_instance("")


def test_classes_do_not_share_instances() -> None:
    assert Recorder.get_instance("task") is not Other.get_instance("task")


def test_class_without_the_parameter_name_raises() -> None:
    with pytest.raises(TypeError, match=r"must have a parameter `name`, got \(self\)"):

        class Nameless(metaclass=ManagerMeta):
            def __init__(self, *args: object, **kwargs: object) -> None:
                self.args = args


def test_release_removes_and_frees_the_instance() -> None:
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


def test_as_current_ends_with_the_block_after_an_error() -> None:
    first, second = Recorder.get_instance("first"), Recorder.get_instance("second")
    with pytest.raises(ZeroDivisionError), first.as_current() as active:
        raise ZeroDivisionError(active is Recorder.get_current_instance() is first)
    assert Recorder.get_current_instance() is second


def test_as_current_blocks_nest() -> None:
    first, second = Recorder.get_instance("first"), Recorder.get_instance("second")
    with first.as_current():
        with second.as_current(), first.as_current():
            assert Recorder.get_current_instance() is first
        with second.as_current():
            assert Recorder.get_current_instance() is second
        assert Recorder.get_current_instance() is first


def test_as_current_takes_an_instance_without_an_entry_in_the_table() -> None:
    unnamed = Recorder("unnamed")
    with unnamed.as_current():
        assert Recorder.get_current_instance() is unnamed
        assert not Recorder.check_instance_created("unnamed")
    with pytest.raises(RuntimeError, match="no Recorder yet"):
        Recorder.get_current_instance()


def test_as_current_does_not_change_other_classes() -> None:
    first, other = Recorder.get_instance("first"), Other.get_instance("other")
    Recorder.get_instance("second")
    with first.as_current(), Other("unnamed").as_current():
        assert Recorder.get_current_instance() is first
        assert Other.get_current_instance() is not other


def test_instance_created_in_a_block_is_current_for_the_rest_of_it() -> None:
    first, second = Recorder.get_instance("first"), Recorder.get_instance("second")
    with first.as_current():
        with second.as_current():
            third = Recorder.get_instance("third")
            Recorder.get_instance("first")
            assert Recorder.get_current_instance() is third
        assert Recorder.get_current_instance() is first
    assert Recorder.get_current_instance() is third


def test_release_in_a_block_makes_the_one_before_current() -> None:
    first, second = Recorder.get_instance("first"), Recorder.get_instance("second")
    with first.as_current():
        third = Recorder.get_instance("third")
        assert Recorder.get_current_instance() is third
        Recorder.release_instance("third")
        assert Recorder.get_current_instance() is first
        Recorder.release_instance("first")
        assert Recorder.get_current_instance() is second


def test_as_current_does_not_keep_the_instance_alive() -> None:
    instance = Recorder("unnamed")
    gone = weakref.ref(instance)
    with instance.as_current():
        del instance
        gc.collect()
        assert Recorder.get_current_instance() is gone()
    gc.collect()
    assert gone() is None


def test_blocks_of_alternating_generators_end_in_any_order() -> None:
    def work(instance: Recorder) -> Iterator[Recorder]:
        with instance.as_current():
            yield Recorder.get_current_instance()

    last = Recorder.get_instance("last")
    works = [work(Recorder("first")), work(Recorder("second"))]
    for generator in works:
        next(generator)
    for generator in works:
        assert next(generator, None) is None
    assert Recorder.get_current_instance() is last


def test_as_current_is_not_seen_by_other_threads() -> None:
    first, last = Recorder.get_instance("first"), Recorder.get_instance("last")
    seen: list[Recorder] = []
    with first.as_current():
        thread = threading.Thread(target=lambda: seen.append(Recorder.get_current_instance()))
        thread.start()
        thread.join(10)
    assert seen == [last]


def test_threads_that_run_at_once_see_their_own_instance() -> None:
    barrier = threading.Barrier(4)
    wrong: list[str] = []

    def work(name: str) -> None:
        with Recorder.get_instance(name).as_current() as mine:
            for step in range(50):
                barrier.wait(10)
                created = Recorder.get_instance(f"{name} {step}")
                if Recorder.get_current_instance() is not created:
                    wrong.append(name)
                Recorder.release_instance(created.instance_name)
                if Recorder.get_current_instance() is not mine:
                    wrong.append(name)

    threads = [threading.Thread(target=work, args=(f"run {index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_tasks_see_their_own_instance() -> None:
    async def work(instance: Recorder) -> bool:
        with instance.as_current():
            for _ in range(3):
                await asyncio.sleep(0)
                if Recorder.get_current_instance() is not instance:
                    return False
        return True

    async def both() -> list[bool]:
        return list(await asyncio.gather(work(Recorder("first")), work(Recorder("second"))))

    assert asyncio.run(both()) == [True, True]
