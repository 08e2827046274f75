"""`Config.origin` returns the line that set a value."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from engine_config import Config, ConfigKeyError, Origin, parse_overrides

Write = Callable[[str, str], Path]


def where(cfg: Config, key_path: str) -> str:
    origin = cfg.origin(key_path)
    return f"{Path(origin.file).name}:{origin.line}"


@pytest.fixture
def chain(write: Write) -> Path:
    write(
        "base.py",
        "model = dict(\n    type='R',\n    backbone=dict(depth=50,\n        width=1))\nlr = 1\n",
    )
    write("middle.py", "_base_ = 'base.py'\nmodel = dict(backbone=dict(depth=101))\n")
    return write(
        "top.py",
        "_base_ = ['middle.py']\n"
        "steps = [\n"
        "    1,\n"
        "    2,\n"
        "    dict(a=3,\n"
        "         b=4),\n"
        "]\n"
        "model = dict(head=dict(_delete_=True, n=1))\n",
    )


@pytest.mark.parametrize(
    ("key_path", "place"),
    [
        ("model", "top.py:8"),
        ("model.type", "base.py:2"),
        ("model.backbone", "middle.py:2"),
        ("model.backbone.depth", "middle.py:2"),
        ("model.backbone.width", "base.py:4"),
        ("model.head.n", "top.py:8"),
        ("lr", "base.py:5"),
        ("steps", "top.py:2"),
        ("steps.1", "top.py:4"),
        ("steps.2", "top.py:5"),
        ("steps.2.b", "top.py:6"),
        ("steps.-1.b", "top.py:6"),
    ],
)
def test_origin_is_the_last_assignment(chain: Path, key_path: str, place: str) -> None:
    assert where(Config.fromfile(chain), key_path) == place


def test_origin_shows_file_line_and_text(chain: Path) -> None:
    cfg = Config.fromfile(chain)
    base = str(chain.parent / "base.py")
    assert cfg.origin("lr") == Origin(file=base, line=5, text="lr = 1")
    assert str(cfg.origin("lr")) == f"{base}:5"


def test_keys_with_dots_are_found() -> None:
    cfg = Config.fromstring("a = {\n 'b.c': {\n  'd.e.f': 1,\n  'd': {'e': 2}}}\n", ".py")
    origins = cfg.origins()
    assert origins["a.b.c.d.e.f"].line == 3
    assert {key: cfg.origin(key) for key in origins} == origins


def test_imported_values_have_the_line_of_the_import() -> None:
    assert Config.fromstring("a = 1\nfrom math import pi\n", ".py").origin("pi").line == 2


def test_origins_lists_every_key_in_order(chain: Path) -> None:
    cfg = Config.fromfile(chain)
    origins = cfg.origins()
    assert list(origins)[:4] == ["model", "model.type", "model.backbone", "model.backbone.depth"]
    assert {key: cfg.origin(key) for key in origins} == origins


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", '{\n "a": {\n  "b\\/c": 1,\n  "d": [1,\n   2]}, "e": true\n}'),
        ("c.yaml", "# words\na:\n  b/c: 1\n  d: [1,\n   2]\ne: yes\n"),
    ],
)
def test_origin_of_json_and_yaml_has_lines(write: Write, name: str, text: str) -> None:
    cfg = Config.fromfile(write(name, text))
    places = [where(cfg, key).split(":")[1] for key in ("a", "a.b/c", "a.d", "a.d.1")]
    assert places == ["2", "3", "4", "5"]


def test_yaml_alias_has_the_line_of_its_anchor(write: Write) -> None:
    cfg = Config.fromfile(write("c.yaml", "a: &x\n  k: 1\nb: *x\nc:\n  <<: *x\n  l: 2\n"))
    assert [where(cfg, key) for key in ("b", "b.k", "c.k", "c.l")] == [
        "c.yaml:3",
        "c.yaml:2",
        "c.yaml:2",
        "c.yaml:6",
    ]


PROGRAM = """\
a = dict(x=1,
         y=dict(z=2))
b = a
b['y']['z'] = 3
c = dict(
    a,
    w=4,
    **b['y'])
d = [dict(k=1)]
d.append(dict(
    k=2))
d += [3]
d.insert(0, 0)
e, f = 1, \\
    2
g = {}
g.update(h=1)
g.update({'i': 2,
          'j': 3})
for number in (1, 2):
    if number == 2:
        k = dict(v=number)
    else:
        k = dict(v=0)
def make():
    return dict(n=1)
m = make()
o = [make() for _ in range(2)]
p: dict = dict(q=1)
try:
    r = missing
except NameError:
    r = dict(
        s=1)
try: s = 1; s = missing
except NameError: pass
d[0] = 7
"""


@pytest.mark.parametrize(
    ("key_path", "line"),
    [
        ("a.x", 1),
        ("a.y.z", 4),
        ("b", 3),
        ("b.x", 1),
        ("c.x", 1),
        ("c.w", 7),
        ("c.z", 4),
        ("d.0", 37),
        ("d.1.k", 9),
        ("d.2.k", 11),
        ("d.3", 12),
        ("e", 14),
        ("g.h", 17),
        ("g.j", 19),
        ("number", 20),
        ("k.v", 22),
        ("m.n", 27),
        ("o.1.n", 28),
        ("p.q", 29),
        ("r.s", 34),
        ("s", 35),
    ],
)
def test_origin_follows_the_program(write: Write, key_path: str, line: int) -> None:
    cfg = Config.fromfile(write("c.py", PROGRAM))
    assert where(cfg, key_path) == f"c.py:{line}"


def test_origin_of_a_copied_base_value_is_the_base(chain: Path, write: Write) -> None:
    text = "_base_ = 'middle.py'\na = _base_.model\na.new = 1\na.backbone.update(depth=2)\n"
    text += "b = {{_base_.model}}\n"
    cfg = Config.fromfile(write("c.py", text))
    keys = ("a", "a.type", "a.new", "a.backbone.width", "a.backbone.depth", "b", "b.backbone.depth")
    assert [where(cfg, key) for key in keys] == [
        "c.py:2",
        "base.py:2",
        "c.py:3",
        "base.py:4",
        "c.py:4",
        "c.py:5",
        "middle.py:2",
    ]


def test_origin_of_an_option_has_its_name(chain: Path) -> None:
    cfg = Config.fromfile(chain)
    cfg.merge_from_dict(
        parse_overrides(["model.backbone.depth=18", "steps.0=9"]), origin="--cfg-options"
    )
    origin = cfg.origin("model.backbone.depth")
    assert (origin.file, origin.line) == ("--cfg-options", 0)
    assert str(origin) == "--cfg-options model.backbone.depth=18"
    assert str(cfg.origin("steps.0")) == "--cfg-options steps.0=9"
    assert where(cfg, "steps.1") == "top.py:4"
    assert where(cfg, "model.backbone.width") == "base.py:4"


def test_origin_exists_for_every_key_and_nested_dict(write: Write) -> None:
    write("base.py", "train_cfg = dict(\n    max_epochs=3,\n    stop=dict(\n        patience=1))\n")
    cfg = Config.fromfile(
        write("c.py", "_base_ = 'base.py'\nrandomness = dict(seed=1)\nx = None\n")
    )
    options = ["train_cfg.stop.patience=2", "env_cfg.dist.timeout=9", "randomness.seed=4"]
    cfg.merge_from_dict(parse_overrides(options), origin="--cfg-options")

    assert {key: str(cfg.origin(key)).rpartition("/")[2] for key in cfg.origins()} == {
        "train_cfg": "--cfg-options train_cfg.stop.patience=2",
        "train_cfg.max_epochs": "base.py:2",
        "train_cfg.stop": "--cfg-options train_cfg.stop.patience=2",
        "train_cfg.stop.patience": "--cfg-options train_cfg.stop.patience=2",
        "randomness": "--cfg-options randomness.seed=4",
        "randomness.seed": "--cfg-options randomness.seed=4",
        "x": "c.py:3",
        "env_cfg": "--cfg-options env_cfg.dist.timeout=9",
        "env_cfg.dist": "--cfg-options env_cfg.dist.timeout=9",
        "env_cfg.dist.timeout": "--cfg-options env_cfg.dist.timeout=9",
    }


def test_values_set_by_the_program_name_its_line(chain: Path) -> None:
    cfg = Config.fromfile(chain)
    cfg.model.backbone.depth = 5  # this line
    cfg["lr"] = dict(x=1)  # and this one  # noqa: C408
    origins = [cfg.origin("model.backbone.depth"), cfg.origin("lr"), cfg.origin("lr.x")]
    assert [Path(origin.file).name for origin in origins] == [Path(__file__).name] * 3
    assert "# this line" in origins[0].text
    assert origins[1].line == origins[2].line == origins[0].line + 1


def test_config_made_by_the_program_names_its_line() -> None:
    cfg = Config({"a": {"b": 1}})
    assert where(cfg, "a.b").startswith(Path(__file__).name)
    cfg.merge_from_dict({"a.c": 2})
    assert "merge_from_dict" in cfg.origin("a.c").text


def test_origins_survive_copies_and_pickling(chain: Path) -> None:
    cfg = Config.fromfile(chain)
    for other in (copy.copy(cfg), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
        assert other == cfg
        assert other.origins() == cfg.origins()
        assert (other.filename, other.text) == (cfg.filename, cfg.text)


def test_copies_are_independent(chain: Path) -> None:
    cfg = Config.fromfile(chain)
    deep = copy.deepcopy(cfg)
    deep.model.backbone.depth = 1
    assert cfg.model.backbone.depth == 101
    assert where(cfg, "model.backbone.depth") == "middle.py:2"


@pytest.mark.parametrize(
    ("key_path", "message"),
    [
        ("modle", "did you mean 'model'"),
        ("model.backbone.dept", "did you mean 'depth'"),
        ("steps.9", "a list of 3 elements"),
        ("steps.x", "a list of 3 elements"),
        ("lr.x", "lr is a value"),
    ],
)
def test_unknown_key_path_raises(chain: Path, key_path: str, message: str) -> None:
    with pytest.raises(ConfigKeyError, match=message) as caught:
        Config.fromfile(chain).origin(key_path)
    assert caught.value.key_path == key_path
