"""Configs that change what they inherit, through ``_base_`` or a name for a part of it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_config import Config, ConfigError, ConfigParseError

BASE = """\
train_cfg = dict(max_epochs=100, val_interval=1)
model = dict(type='Net', neck=dict(type='Plain', width=8), dropout=0.1)
loader = dict(
    batch_size=2,
    dataset=dict(
        pipeline=[
            dict(type='Load'),
            dict(type='Flip', prob=0.5),
            dict(type='Pack')]))
custom_hooks = [dict(type='Switch', last=5), dict(type='Average')]
steps = [8, 11]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the base."""
    path = tmp_path_factory.mktemp("configs")
    (path / "base.py").write_text(BASE)
    return path


def both(folder: Path, text: str) -> Config:
    """Return the config that a text gives, after a check that running it makes no difference."""
    path = folder / "child.py"
    path.write_text(f"_base_ = 'base.py'\n{text}")
    ran, followed = Config.fromfile(path), Config.fromfile(path, execute=False)
    assert followed == ran
    assert followed.origins() == ran.origins()
    return ran


def place(cfg: Config, key_path: str) -> str:
    origin = cfg.origin(key_path)
    return f"{Path(origin.file).name}:{origin.line}"


def types(cfg: Config) -> list[str]:
    return [step.type for step in cfg.loader.dataset.pipeline]


@pytest.mark.parametrize(
    ("change", "key_path", "value"),
    [
        ("_base_.train_cfg.max_epochs = 7", "train_cfg.max_epochs", 7),
        ("_base_['train_cfg']['max_epochs'] = 7", "train_cfg.max_epochs", 7),
        ("_base_.train_cfg.update(dict(max_epochs=200))", "train_cfg.max_epochs", 200),
        ("_base_.custom_hooks[0].last = 15", "custom_hooks.0.last", 15),
        ("_base_.train_cfg.max_epochs += 5", "train_cfg.max_epochs", 105),
        ("hook = _base_.custom_hooks[-1]\nhook['late'] = True", "custom_hooks.1.late", True),
        (
            "for hook in _base_.custom_hooks:\n    hook.update(late=True)",
            "custom_hooks.1.late",
            True,
        ),
        ("_base_.steps[0] = 4", "steps.0", 4),
        ("_base_.steps.append(14)", "steps.2", 14),
        ("_base_.steps += [14]", "steps.2", 14),
        ("_base_.steps.sort(reverse=True)", "steps.0", 11),
        ("_base_.model.setdefault('head', dict(k=1))", "model.head.k", 1),
        ("_base_.new = dict(k=1)", "new.k", 1),
        ("if _base_.model.type == 'Net':\n    _base_.model.neck.width = 4", "model.neck.width", 4),
    ],
)
def test_change_in_place_is_inherited_with_its_line(
    folder: Path, change: str, key_path: str, value: object
) -> None:
    cfg = both(folder, change)
    found: Any = cfg
    for key in key_path.split("."):
        found = found[int(key) if key.isdigit() else key]
    assert found == value
    assert place(cfg, key_path) == f"child.py:{len(change.splitlines()) + 1}"


def test_pipeline_changed_through_a_name_is_inherited(folder: Path) -> None:
    cfg = both(
        folder,
        "pipe = _base_.loader.dataset.pipeline\n"
        "pipe += [dict(type='Last')]\n"
        "pipe.insert(0, dict(type='First'))\n"
        "pipe[-1]['keys'] = ('a', 'b')\n"
        "del pipe[1]\n",
    )
    assert types(cfg) == ["First", "Flip", "Pack", "Last"]
    assert cfg.loader.dataset.pipeline[-1]["keys"] == ("a", "b")
    assert cfg.pipe == cfg.loader.dataset.pipeline
    lines = [place(cfg, f"loader.dataset.pipeline.{index}") for index in range(4)]
    assert lines == ["child.py:4", "base.py:8", "base.py:9", "child.py:3"]
    assert place(cfg, "loader.dataset.pipeline.3.keys") == "child.py:5"


def test_removed_keys_are_not_inherited(folder: Path) -> None:
    cfg = both(
        folder,
        "_base_.model.pop('dropout')\ndel _base_.model.neck['width']\n_base_.pop('steps')\n"
        "del _base_.custom_hooks\n",
    )
    assert cfg.model == {"type": "Net", "neck": {"type": "Plain"}}
    assert "steps" not in cfg
    assert "custom_hooks" not in cfg


def test_keys_of_the_file_merge_over_its_changes(folder: Path) -> None:
    cfg = both(
        folder,
        "_base_.model.neck.width = 4\n_base_.train_cfg.clear()\n"
        "model = dict(neck=dict(type='Wide'), dropout=0)\n"
        "train_cfg = dict(by='iter')\n"
        "custom_hooks = dict(_append_=[dict(type='Log')])\n"
        "_base_.custom_hooks.pop(0)\n",
    )
    assert cfg.model == {"type": "Net", "neck": {"type": "Wide", "width": 4}, "dropout": 0}
    assert cfg.train_cfg == {"by": "iter"}
    assert [hook.type for hook in cfg.custom_hooks] == ["Average", "Log"]


def test_list_of_the_file_put_into_the_base_stays_one_list_while_it_is_read(folder: Path) -> None:
    cfg = both(
        folder,
        "steps_of_own = [\n    dict(type='A'),\n    dict(type='B')]\n"
        "_base_.loader.dataset.pipeline = steps_of_own\n"
        "steps_of_own.append(dict(type='C'))\n"
        "steps_of_own[0]['k'] = 1\n",
    )
    assert types(cfg) == ["A", "B", "C"]
    assert cfg.loader.dataset.pipeline[0].k == 1
    assert place(cfg, "loader.dataset.pipeline") == "child.py:5"
    assert place(cfg, "loader.dataset.pipeline.1.type") == "child.py:4"
    assert place(cfg, "loader.dataset.pipeline.2.type") == "child.py:6"


def test_value_set_twice_is_two_values_when_merged(folder: Path) -> None:
    cfg = both(
        folder,
        "_base_.a = _base_.model.neck\nb = _base_.model.neck\nmodel = dict(neck=dict(width=1))\n",
    )
    assert (cfg.a.width, cfg.b.width, cfg.model.neck.width) == (8, 8, 1)
    cfg.a.width = 2
    assert cfg.b.width == 8


def test_base_is_unchanged_for_other_files(folder: Path) -> None:
    before = Config.fromfile(folder / "base.py")
    (folder / "one.py").write_text("_base_ = 'base.py'\n_base_.model.pop('neck')\n")
    (folder / "two.py").write_text("_base_ = 'one.py'\n_base_.model.depth = 3\n")
    (folder / "data.yaml").write_text("data: {parts: [{n: 1}]}\n")
    text = "_base_ = ['base.py', 'data.yaml']\n_base_.data.parts[0].n += 1\n"
    (folder / "three.py").write_text(text)
    for _ in range(2):
        assert Config.fromfile(folder / "two.py").model == {
            "type": "Net",
            "dropout": 0.1,
            "depth": 3,
        }
        assert Config.fromfile(folder / "one.py").model == {"type": "Net", "dropout": 0.1}
        assert Config.fromfile(folder / "three.py").data == {"parts": [{"n": 2}]}
        assert Config.fromfile(folder / "base.py") == before


def test_reference_in_braces_is_a_copy_of_the_original(folder: Path) -> None:
    cfg = both(
        folder,
        "_base_.model.neck.width = 1\nkept = {{_base_.model.neck}}\n"
        "_base_.first = {{_base_.steps[0]}}\n_base_.steps.pop(0)\n"
        "_base_.name = 'net_{{_base_.model.neck.width}}'\n",
    )
    assert cfg.kept.width == 8
    assert cfg.model.neck.width == 1
    assert (cfg.first, cfg.name, cfg.steps) == (8, "net_8", [11])


def test_function_of_the_file_changes_the_base(folder: Path) -> None:
    (folder / "child.py").write_text(
        "_base_ = 'base.py'\n"
        "def widen(part, by):\n"
        "    part.width *= by\n"
        "    return part\n"
        "widen(_base_.model.neck, 3)\n"
        "[step.update(seen=True) for step in _base_.loader.dataset.pipeline]\n"
    )
    cfg = Config.fromfile(folder / "child.py")
    assert cfg.model.neck.width == 24
    assert place(cfg, "model.neck.width") == "child.py:3"
    assert all(step.seen for step in cfg.loader.dataset.pipeline)
    assert place(cfg, "loader.dataset.pipeline.2.seen") == "child.py:6"
    with pytest.raises(ConfigParseError, match=r"child\.py:2: `def widen"):
        Config.fromfile(folder / "child.py", execute=False)


@pytest.mark.parametrize(
    "line",
    [
        "_base_.steps[0] = max(_base_.steps)",
        "_base_.steps.sort(key=abs)",
        "_base_.steps[:] = [n for n in _base_.steps]",
        "_base_.model.update(open('x'))",
        "getattr(_base_, 'model').clear()",
        "while _base_.steps: _base_.steps.pop()",
    ],
)
def test_change_that_cannot_be_followed_is_refused_with_its_line(folder: Path, line: str) -> None:
    (folder / "child.py").write_text(f"_base_ = 'base.py'\n\n{line}\n")
    with pytest.raises(ConfigParseError, match=r"child\.py:3: `.*` would have to run"):
        Config.fromfile(folder / "child.py", execute=False)


def test_endless_growth_is_refused_without_running(folder: Path) -> None:
    for line in ("for s in _base_.steps: _base_.steps.append(s)", *GROWING):
        (folder / "child.py").write_text(f"_base_ = 'base.py'\n{line}\n")
        with pytest.raises(ConfigParseError, match=r"child\.py:\d: .*(steps to evaluate|too big)"):
            Config.fromfile(folder / "child.py", execute=False)


GROWING = [
    "a = [0]\nfor i in range(99): a += a\n",
    "b = list(range(9000))\nfor i in range(999999): _base_.steps.append(b.copy())\n",
]


@pytest.mark.parametrize(
    "line",
    [
        "_base_.model.update(_delete_=True, type='Other')",
        "model = _base_.model\nmodel['_delete_'] = True",
        "_base_.steps = dict(_append_=[1])",
        "_base_.pretty_text = 1",
    ],
)
def test_command_for_merging_set_in_place_raises(folder: Path, line: str) -> None:
    for execute in (True, False):
        (folder / "child.py").write_text(f"_base_ = 'base.py'\n{line}\n")
        with pytest.raises(ConfigError, match=r"child\.py:[23]: "):
            Config.fromfile(folder / "child.py", execute=execute)


def test_misspelled_part_of_the_base_names_the_closest(folder: Path) -> None:
    for line in ("_base_.modl.type = 1", "_base_.model.nek.width = 1", "_base_.pop('modle')"):
        for execute in (True, False):
            (folder / "child.py").write_text(f"_base_ = 'base.py'\n{line}\n")
            with pytest.raises(ConfigError, match=r"child\.py:2: .*did you mean '(model|neck)'"):
                Config.fromfile(folder / "child.py", execute=execute)


def test_delete_in_a_new_value_of_the_base_is_removed(folder: Path) -> None:
    cfg = both(folder, "_base_.model.neck = dict(_delete_=True, type='None')\n")
    assert cfg.model.neck == {"type": "None"}


# --- generated programs ------------------------------------------------------------------------

DICTS = ["['model']", "['model']['neck']", "['train_cfg']", "['loader']['dataset']"]
DICTS += ["['custom_hooks'][0]", "['loader']['dataset']['pipeline'][-1]"]
LISTS = ["['steps']", "['custom_hooks']", "['loader']['dataset']['pipeline']"]
KEYS = ["width", "type", "k", "neck"]

scalars = st.sampled_from(["1", "2", "'a'", "None", "0.5", "True", "(1, 2)"])
displays = st.sampled_from(
    ["[3, 4]", "{'k': 1, 'type': 'X'}", "dict(k=dict(width=2))", "[[5], []]"]
)
parts = st.sampled_from([f"_base_{path}" for path in DICTS + LISTS])
names = st.sampled_from(["n0", "n1"])
dicts = st.one_of(st.sampled_from([f"_base_{path}" for path in DICTS]), names)
lists = st.one_of(st.sampled_from([f"_base_{path}" for path in LISTS]), names)
values = st.one_of(scalars, displays, parts, names)
keys = st.sampled_from(KEYS).map(repr)
positions = st.sampled_from(["0", "1", "-1"])


def program(template: str, **choices: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(choices).map(lambda chosen: template.format(**chosen))


statements = st.one_of(
    program("{n} = {v}", n=names, v=st.one_of(parts, displays)),
    program("{d}[{k}] = {v}", d=dicts, k=keys, v=values),
    program("{d}.update(dict(k={v}, width=3))", d=dicts, v=values),
    program("{d}.update({d2})", d=dicts, d2=dicts),
    program("{d}.pop({k})", d=dicts, k=keys),
    program("{d}.pop({k}, None)", d=dicts, k=keys),
    program("{d}.setdefault({k}, {v})", d=dicts, k=keys, v=values),
    program("{d} |= dict(k={v})", d=dicts, v=values),
    program("del {d}[{k}]", d=dicts, k=keys),
    program("{d}.clear()", d=dicts),
    program("{l}.append({v})", l=lists, v=values),
    program("{l}.insert({i}, {v})", l=lists, i=positions, v=values),
    program("{l} += [{v}]", l=lists, v=values),
    program("{l} += {l2}", l=lists, l2=lists),
    program("{l}[{i}] = {v}", l=lists, i=positions, v=values),
    program("{l}[1:] = [{v}, {v}]", l=lists, v=values),
    program("del {l}[{i}]", l=lists, i=positions),
    program("{l}.pop({i})", l=lists, i=positions),
    program("{l}.remove({v})", l=lists, v=values),
    program("{l}.reverse()", l=lists),
    program("{l}.sort()", l=lists),
    program("for s in {l}:\n    s.update(k={v})", l=lists, v=values),
    program("for i, s in enumerate({l}):\n    s['k'] = i", l=lists),
    program("for k, v in {d}.items():\n    {l}.append(k)", d=dicts, l=lists),
    program("if {k} in {d}:\n    {d}[{k}] = {v}", d=dicts, k=keys, v=values),
    program("if {d} == {v} or {l}:\n    n0 = {d}", d=dicts, l=lists, v=values),
    program("model = dict(neck=dict(width={v}), more={v})", v=values),
    program("steps = {v}", v=st.one_of(displays, parts)),
    program("train_cfg = dict(_delete_=True, k={v})", v=values),
)


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Merge as the manual says, on plain values."""
    result = dict(base)
    for key, value in own.items():
        if isinstance(value, dict):
            value = dict(value)
            old = {} if value.pop("_delete_", False) else base.get(key)
            value = merged(old if isinstance(old, dict) else {}, value)
        result[key] = value
    return result


def expected(text: str) -> dict[str, Any] | None:
    """Return what Python itself makes of a program, or None if it fails."""
    base: dict[str, Any] = {}
    exec(BASE, base)
    del base["__builtins__"]
    space: dict[str, Any] = {"_base_": base}
    try:
        exec(text, space)
        own = {key: value for key, value in space.items() if not key.startswith("_")}
        text = repr(merged(base, own))
        # As a tree: shared parts become separate, and a circle cannot be written.
        return None if "..." in text else eval(text)
    except Exception:
        return None


def with_attributes(text: str) -> str:
    """Write some of the parts of ``_base_`` as attributes."""
    return text.replace("['model']['neck']", ".model.neck").replace("['dataset']", ".dataset")


def read(path: Path, execute: bool) -> Config | None:
    try:
        return Config.fromfile(path, execute=execute)
    except ConfigError:
        return None


@settings(max_examples=100, deadline=None)
@given(lines=st.lists(statements, min_size=1, max_size=8))
def test_generated_changes_equal_those_of_python(folder: Path, lines: list[str]) -> None:
    text = "\n".join(["n0 = [1, 2]", "n1 = {'k': 1}", *lines])
    path = folder / "generated.py"
    path.write_text(f"_base_ = 'base.py'\n{with_attributes(text)}\n")
    ran, followed, right = read(path, True), read(path, False), expected(text)
    if right is None:
        assert ran is None
        assert followed is None
        return
    assert ran is not None
    assert followed is not None
    assert ran.to_dict() == right
    assert followed.to_dict() == right
    assert followed.origins() == ran.origins()
