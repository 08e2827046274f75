"""A run that is interrupted anywhere and resumed ends as one that was never interrupted."""

import runpy
from pathlib import Path
from typing import Any

import pytest

RankResults = dict[str, list[dict[str, Any]]]

FILE = Path(__file__).with_name("resume_cases.py")
CASES = runpy.run_path(str(FILE))
SIGNALS = Path(__file__).with_name("signal_resume_cases.py")
SIGNAL_CASES = runpy.run_path(str(SIGNALS))["CASES"]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.filterwarnings("ignore")  # of features that are drawn, such as a schedule that ends
def test_resumed_run_equals_the_uninterrupted_one(seed: int, tmp_path: Path) -> None:
    draw = CASES["Draw"](seed, tmp_path)

    found = CASES["found_differences"](draw)

    assert found == [], "\n".join([*found, draw.describe()])


@pytest.mark.parametrize("case", CASES["CASES"])
def test_resumed_run_of_two_ranks_equals_the_uninterrupted_one(
    rank_results: RankResults, case: str
) -> None:
    assert [results[case] for results in rank_results[FILE.name]] == [[], []]


@pytest.mark.parametrize("case", SIGNAL_CASES)
def test_run_of_two_ranks_that_a_signal_stops_equals_the_uninterrupted_one(
    rank_results: RankResults, case: str
) -> None:
    assert [results[case] for results in rank_results[SIGNALS.name]] == [[], []]


def test_finished_run_that_is_prolonged_equals_one_of_that_length(tmp_path: Path) -> None:
    draw = CASES["Draw"](10, tmp_path)
    steps = [{"type": "StepLR", "step_size": 3, "by_epoch": False}]
    steps.append({"type": "CosineAnnealingLR", "T_max": 9, "by_epoch": False})
    fixed = {"param_scheduler": steps, "optim_wrapper": draw._optimizer(plain=True)}
    data = draw.arguments("whole")["train_dataloader"]
    fixed["train_dataloader"] = {**data, "sampler": {"type": "DefaultSampler", "shuffle": True}}
    lengths = [{"by_epoch": True, "max_epochs": count} for count in (4, 2)]
    whole, state = CASES["train"](draw.arguments("whole", train_cfg=lengths[0], **fixed))
    CASES["train"](draw.arguments("parts", train_cfg=lengths[1], **fixed))

    rest, resumed = CASES["train"](
        draw.arguments("parts", train_cfg=lengths[0], resume=True, **fixed)
    )

    assert [*CASES["differences"](state, resumed)] == []
    assert CASES["records"](rest.work_dir) == CASES["records"](whole.work_dir)
