"""The default scope of the process, of a block, per thread and per task."""

import asyncio
import threading

import pytest

from engine_registry import DefaultScope, init_default_scope


def _current() -> str | None:
    current = DefaultScope.get_current_instance()
    return current.scope_name if current else None


def test_default_scope_is_none_at_first() -> None:
    assert DefaultScope.get_current_instance() is None


def test_scope_created_last_is_the_current_one() -> None:
    DefaultScope.get_instance("first", scope_name="alpha")
    DefaultScope.get_instance("second", scope_name="beta")
    assert _current() == "beta"
    assert DefaultScope.get_instance("first").scope_name == "alpha"
    assert DefaultScope.check_instance_created("first")


def test_scope_name_must_be_a_string() -> None:
    with pytest.raises(TypeError, match="scope_name must be a string, got int"):
        DefaultScope.get_instance("task", scope_name=3)


def test_overwrite_lasts_for_the_block_even_if_it_fails() -> None:
    DefaultScope.get_instance("task", scope_name="alpha")
    with pytest.raises(ZeroDivisionError), DefaultScope.overwrite_default_scope("beta"):
        raise ZeroDivisionError(_current())
    assert _current() == "alpha"


def test_overwrite_with_none_changes_nothing() -> None:
    with DefaultScope.overwrite_default_scope(None):
        assert _current() is None


def test_scope_created_inside_an_overwrite_counts_there() -> None:
    with DefaultScope.overwrite_default_scope("beta"):
        DefaultScope.get_instance("task", scope_name="gamma")
        assert _current() == "gamma"
    assert _current() == "gamma"


def test_overwrite_is_not_seen_by_other_threads() -> None:
    DefaultScope.get_instance("task", scope_name="alpha")
    seen: list[str | None] = []
    with DefaultScope.overwrite_default_scope("beta"):
        thread = threading.Thread(target=lambda: seen.append(_current()))
        thread.start()
        thread.join(10)
    assert seen == ["alpha"]


def test_overwrite_is_not_seen_by_other_tasks() -> None:
    async def work(scope: str) -> list[str | None]:
        seen = []
        with DefaultScope.overwrite_default_scope(scope):
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(_current())
        return seen

    async def both() -> list[list[str | None]]:
        return list(await asyncio.gather(work("alpha"), work("beta")))

    assert asyncio.run(both()) == [["alpha"] * 3, ["beta"] * 3]


def test_init_default_scope_makes_a_scope_current_again() -> None:
    init_default_scope("alpha")
    for before, scope in (("alpha", "beta"), ("beta", "alpha")):
        expected = f'The current default scope "{before}" is not "{scope}"'
        with pytest.warns(UserWarning, match=expected):
            init_default_scope(scope)
        assert _current() == scope
    init_default_scope("alpha")
    assert _current() == "alpha"


def test_init_default_scope_of_an_alias_sets_its_name_without_a_warning() -> None:
    init_default_scope("engine")
    init_default_scope("mmengine")
    assert _current() == "mmengine"


def test_init_default_scope_with_a_number_raises() -> None:
    with pytest.raises(TypeError, match="scope must be a non-empty string, got 3"):
        init_default_scope(3)  # type: ignore[arg-type]  # the mistake under test
