"""Dicts that a call returns, and that a config puts into ``_base_``."""

from pathlib import Path

import pytest

from engine_config import Config

BASE = "model = dict(type='Net')\ncustom_hooks = [dict(type='Switch')]\n"


@pytest.mark.parametrize(
    "line",
    [
        "data = json.loads(source)",
        "data = (lambda: json.loads(source))()",
        "data = OrderedDict(json.loads(source))",
        "data = [json.loads(source)][0]",
        "data = copy.deepcopy(json.loads(source))",
    ],
)
def test_dict_of_a_call_put_into_the_base_stays_one_dict(tmp_path: Path, line: str) -> None:
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "child.py").write_text(
        "_base_ = 'base.py'\n"
        "import copy, json\nfrom collections import OrderedDict\n"
        f'source = \'{{"a": {{"b": 1}}, "items": [{{"n": 1}}]}}\'\n\n{line}\n'
        "_base_.model.extra = data\n_base_.model.parts = dict(inner=data['a'])\n"
        "_base_.custom_hooks += data['items']\n"
        "data['a']['b'] = 2\ndata['items'].append({'n': 2})\ndata['items'][0]['n'] = 3\n"
        "_base_.model.extra.late = True\nglobals()['own'] = 4\n"
    )
    cfg = Config.fromfile(tmp_path / "child.py")
    assert cfg.model.extra == {"a": {"b": 2}, "items": [{"n": 3}, {"n": 2}], "late": True}
    assert cfg.model.parts == {"inner": {"b": 2}}
    assert cfg.custom_hooks[-1] == {"n": 3}
    assert cfg.data == cfg.model.extra
    assert cfg.own == 4
    assert cfg.origin("model.extra.a.b").line == 10


def test_call_that_returns_one_dict_twice_gives_one_dict(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "child.py").write_text(
        "_base_ = 'base.py'\n"
        "import operator\nkept = [dict(n=1)]\n"
        "def find():\n    return operator.itemgetter(0)(kept)\n"
        "_base_.model.first = find()\nfind()['n'] = 2\n_base_.model.second = find()\n"
    )
    cfg = Config.fromfile(tmp_path / "child.py")
    assert (cfg.model.first.n, cfg.model.second.n, cfg.kept[0].n) == (2, 2, 2)
