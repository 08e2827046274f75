"""`Config.check` finds all mistakes at once, and builds nothing."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Optional

import pytest

from engine_config import Config, ConfigCheckError, Problem, parse_overrides

Write = Callable[[str, str], Path]


class Net:
    def __init__(
        self,
        depth: int,
        lr: float = 0.1,
        name: str | None = None,
        mode: Literal["a", "b"] = "a",
        sizes: Sequence[int] = (),
        options: dict[str, Any] | None = None,
        old: int | None = None,  # how older code is written
        backbone: Any = None,
        flag: Optional[bool] = None,  # noqa: UP045  # the older spelling is checked too
    ) -> None:
        raise AssertionError("nothing may be built")


class Loose:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...


def make(size: int, *, unit: "NoSuchName" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
    ...


TYPES: dict[object, Callable[..., Any] | None] = {
    "Net": Net,
    "Loose": Loose,
    "make": make,
    "given": functools.partial(Net, depth=1),
    "silent": None,
    "builtin": print,
    "other.Net": make,
}


def seed_everything(*, seed: int | None = None, deterministic: bool = False) -> None: ...


UNTYPED: dict[str, Callable[..., Any]] = {
    "randomness": seed_everything,
    "loops.0": make,
    "model.extras": make,
}


def resolve(type_value: object, key_path: str) -> Callable[..., Any] | None:
    if type_value is None:
        return UNTYPED.get(key_path)
    if callable(type_value):
        return type_value
    if not isinstance(type_value, str):
        raise TypeError(f"a type is a name, not {type_value!r}")
    if type_value not in TYPES:
        raise KeyError(f"there is no {type_value!r} for {key_path}; did you mean 'Net'?")
    return TYPES[type_value]


def found(text: str) -> list[tuple[int, str, str]]:
    problems = Config.fromstring(text, ".py").check(resolve)
    return [(problem.line, problem.key_path, problem.kind) for problem in problems]


def test_check_of_a_correct_config_returns_no_problems() -> None:
    text = """\
model = dict(type='Net', depth=1, lr=1, name=None, mode='b', sizes=[1, 2], options=dict(a=1),
    old=None, backbone=dict(type='Loose', anything=1), flag=None)
hooks = [dict(type='given'), dict(type='silent', x=1), dict(type='make', size=3)]
plain = dict(a=1)
printer = dict(type='builtin', sep='')
"""
    assert found(text) == []


def test_check_returns_all_mistakes() -> None:
    text = """\
model = dict(
    type='Net',
    dept=50,
    lr='fast',
    mode='c',
    backbone=dict(
        type='Nett'))
hooks = [
    dict(type='make'),
    dict(type='Net', depth=1.5, sizes=3,
         options=[1]),
    dict(type='Net', depth=1, sizes=['a'], flag=1, name=2),
    dict(type='Net', depth=1, sizes='12'),
    dict(type=3),
]
"""
    assert found(text) == [
        (3, "model.dept", "unknown argument"),
        (1, "model", "missing argument"),
        (4, "model.lr", "wrong type"),
        (5, "model.mode", "wrong type"),
        (7, "model.backbone.type", "unknown type"),
        (9, "hooks.0", "missing argument"),
        (10, "hooks.1.depth", "wrong type"),
        (10, "hooks.1.sizes", "wrong type"),
        (11, "hooks.1.options", "wrong type"),
        (12, "hooks.2.sizes", "wrong type"),
        (12, "hooks.2.flag", "wrong type"),
        (12, "hooks.2.name", "wrong type"),
        (13, "hooks.3.sizes", "wrong type"),
        (14, "hooks.4.type", "unknown type"),
    ]


def test_messages_name_the_closest_key_and_type() -> None:
    cfg = Config.fromstring("m = dict(type='Net', dept=50)\nn = dict(type='Nett')\n", ".py")
    messages = [str(problem) for problem in cfg.check(resolve)]
    assert messages == [
        "<string>:1: m.dept: Net has no argument 'dept'; did you mean 'depth'?",
        "<string>:1: m: Net needs the argument 'depth'",
        "<string>:2: n.type: there is no 'Nett' for n; did you mean 'Net'?",
    ]


def test_problem_is_where_the_value_was_set(write: Write) -> None:
    write("base.py", "model = dict(type='Net', depth=1)\n")
    cfg = Config.fromfile(write("c.py", "_base_ = 'base.py'\n\nmodel = dict(depht=2)\n"))
    cfg.merge_from_dict(parse_overrides(["model.lr=x"]), origin="--cfg-options")
    first, second = cfg.check(resolve)
    assert (Path(first.file).name, first.line) == ("c.py", 3)
    assert (second.file, second.line) == ("--cfg-options", 0)


def test_dead_delete_is_found(write: Write) -> None:
    write("base.py", "a = dict(b=1)\nn = 3\n")
    text = """\
_base_ = 'base.py'
a = dict(_delete_=True, c=1)
x = dict(
    _delete_=True, y=1)
n = dict(_delete_=True)
z = [dict(k=dict(_delete_=True))]
"""
    cfg = Config.fromfile(write("c.py", text))
    places = [(problem.line, problem.key_path, problem.kind) for problem in cfg.check(resolve)]
    assert places == [
        (line, key, "dead _delete_") for line, key in [(4, "x"), (5, "n"), (6, "z.0.k")]
    ]
    assert cfg.to_dict() == {"a": {"c": 1}, "n": {}, "x": {"y": 1}, "z": [{"k": {}}]}


def test_misspelled_option_is_found() -> None:
    cfg = Config({"optimizer": {"type": "Loose", "lr": 1}, "train": {"epochs": 1}})
    options = parse_overrides(["optimzer.lr=2", "train.epoch=3", "optimizer.lrr=1", "new=1"])
    cfg.merge_from_dict(options, origin="--cfg-options")
    problems = cfg.check(resolve)
    assert [(problem.key_path, problem.kind) for problem in problems] == [
        ("optimzer", "unknown key"),
        ("train.epoch", "unknown key"),
    ]
    assert "did you mean 'optimizer'?" in problems[0].message


def test_misspelled_option_is_reported_once() -> None:
    def runner(randomness: dict[str, Any] | None = None) -> None: ...

    cfg = Config({"randomness": {"seed": 1}})
    options = parse_overrides(["randomness.sed=2", "randomnes.seed=3"])
    cfg.merge_from_dict(options, origin="--cfg-options")
    assert [(problem.key_path, problem.kind) for problem in cfg.check(resolve, root=runner)] == [
        ("randomnes", "unknown key"),
        ("randomness.sed", "unknown argument"),
    ]
    # Without the root, and with a resolver that returns None, the note of the merge is left.
    assert [problem.key_path for problem in cfg.check(lambda *_: None)] == [
        "randomness.sed",
        "randomnes",
    ]


def test_top_level_keys_are_checked_against_the_root() -> None:
    def runner(
        model: dict[str, Any], work_dir: str, train_cfg: dict[str, Any] | None = None
    ) -> None: ...

    cfg = Config.fromstring("model = {}\ntrain_cgf = {}\nwork_dir = 3\nmy_own = 4\n", ".py")
    problems = cfg.check(resolve, root=runner)
    assert [(problem.key_path, problem.kind) for problem in problems] == [
        ("train_cgf", "unknown key"),
        ("work_dir", "wrong type"),
    ]


def test_top_level_key_similar_to_a_set_argument_is_found() -> None:
    def runner(train_cfg: dict[str, Any] | None = None) -> None: ...

    cfg = Config.fromstring("train_cfg = dict(a=1)\ntrain_cgf = dict(a=2)\nmy_own = 4\n", ".py")
    (problem,) = cfg.check(resolve, root=runner)
    assert (problem.line, problem.key_path, problem.kind) == (2, "train_cgf", "unknown key")
    assert "did you mean 'train_cfg'?" in problem.message


def test_dicts_without_type_are_resolved_by_their_key_path() -> None:
    text = """\
randomness = dict(
    sed=1,
    deterministic='yes')
model = dict(type='Loose', extras=dict(size='big'),
    other=dict(a=1))
loops = [dict(_scope_='x'), dict(anything=1)]
"""
    assert found(text) == [
        (2, "randomness.sed", "unknown argument"),
        (3, "randomness.deterministic", "wrong type"),
        (4, "model.extras.size", "wrong type"),
        (6, "loops.0", "missing argument"),
    ]


def test_problems_follow_the_order_of_the_keys_with_and_without_type() -> None:
    text = "b = dict(type='Net')\nrandomness = dict(sed=1)\na = dict(type='make')\n"
    assert [key_path for _, key_path, _ in found(text)] == ["b", "randomness.sed", "a"]


def test_resolver_is_called_for_every_dict_inside_the_config() -> None:
    calls: list[tuple[object, str]] = []

    def record(type_value: object, key_path: str) -> None:
        calls.append((type_value, key_path))

    cfg = Config({"a": {"b": {"type": "X"}, "c": [{"d": 1}]}, "e": {"type": None}, "f": 1})
    assert cfg.check(record) == []
    assert calls == [(None, "a"), ("X", "a.b"), (None, "a.c.0"), (None, "e")]


def test_resolver_may_raise_for_a_missing_type() -> None:
    def needs_type(type_value: object, key_path: str) -> None:
        if type_value is None:
            raise TypeError(f"{key_path} needs a type")

    cfg = Config.fromstring("model = dict(depth=1)\nother = dict(\n    type=None)\n", ".py")
    assert [str(problem) for problem in cfg.check(needs_type)] == [
        "<string>:1: model: model needs a type",
        "<string>:3: other.type: other needs a type",
    ]


def test_lazy_names_fit_every_annotation(write: Write) -> None:
    text = "from yaml import SafeLoader\nm = dict(type='Net', depth=SafeLoader, sizes=[1])\n"
    path = write("c.py", text)
    assert Config.fromfile(path, lazy_import=True).check(resolve) == []
    assert [p.key_path for p in Config.fromfile(path, lazy_import=False).check(resolve)] == [
        "m.depth"
    ]


def test_check_searches_the_scope_first() -> None:
    cfg = Config({"a": {"type": "Net", "_scope_": "other", "size": 1, "b": {"type": "Loose"}}})
    assert [problem.kind for problem in cfg.check(resolve)] == ["unknown argument"]


def test_lazy_types_are_imported_to_be_checked(write: Write) -> None:
    text = "from json import JSONEncoder\nfrom engine_no_such import X\n"
    text += "a = dict(type=JSONEncoder, x=1)\nb = dict(type=X)\n"
    problems = Config.fromfile(write("c.py", text)).check(resolve)
    assert [(problem.line, problem.kind) for problem in problems] == [
        (3, "unknown argument"),
        (4, "unknown type"),
    ]


def test_check_with_raise_error_raises_the_problems() -> None:
    cfg = Config.fromstring("a = dict(type='X')\nb = dict(type='Y')\n", ".py")
    with pytest.raises(ConfigCheckError, match="2 problems in the config") as caught:
        cfg.check(resolve, raise_error=True)
    assert [problem.key_path for problem in caught.value.problems] == ["a.type", "b.type"]
    assert isinstance(caught.value.problems[0], Problem)
    assert "<string>:2: b.type: " in str(caught.value)


def test_annotations_that_can_be_evaluated_are_used() -> None:
    def build(size: "int", other: "NoSuchName") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    cfg = Config({"a": {"type": build, "size": "big", "other": 1}})
    assert [problem.key_path for problem in cfg.check(resolve)] == ["a.size"]


def test_check_does_not_change_the_config() -> None:
    cfg = Config({"a": {"type": "Net", "depth": 1}})
    before = cfg.pretty_text
    cfg.check(resolve)
    assert cfg.pretty_text == before
