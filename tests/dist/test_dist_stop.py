"""Ranks stop after the same step, at whatever time and place they are asked to."""

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import FileStore, HashStore  # type: ignore[attr-defined]  # of C++

from engine_dist import RankLost, StopAgreement

STEPS = 400


def _walk(
    agreement: StopAgreement, pace: float, asked_at: int | None, ends: dict[int, int], rank: int
) -> None:
    for step in range(1, STEPS + 1):
        time.sleep(pace)
        if step == asked_at:
            agreement.request(15)
        if agreement.stops_at((step,)):
            ends[rank] = step
            break
    agreement.close()


@pytest.mark.parametrize("seed", range(6))
def test_ranks_of_different_pace_stop_after_the_same_step(seed: int) -> None:
    draw = random.Random(seed)
    store, size = HashStore(), draw.choice([2, 3, 5])
    asked = {draw.randrange(size): draw.randrange(1, 40), draw.randrange(size): 7}
    ends: dict[int, int] = {}
    agreements = [
        StopAgreement("drift", store=store, rank=rank, world_size=size) for rank in range(size)
    ]
    walkers = [
        threading.Thread(
            target=_walk,
            args=(
                agreements[rank],
                draw.choice([0.0005, 0.002, 0.01]),
                asked.get(rank),
                ends,
                rank,
            ),
        )
        for rank in range(size)
    ]
    for walker in walkers:
        walker.start()
    for walker in walkers:
        walker.join(30)

    assert len(set(ends.values())) <= 1, ends
    # None: the fastest rank was through before it was asked, and the others follow it.
    assert len(ends) in (0, size)
    assert {agreement.number for agreement in agreements} == {15}


def test_rank_that_has_left_keeps_no_other_from_its_end(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path / "store"), 2)
    first, second = (StopAgreement("end", store=store, rank=r, world_size=2) for r in range(2))
    first.close()

    second.request(2)
    started = time.monotonic()
    time.sleep(0.5)
    stops = second.stops_at((3,))
    second.close()

    assert not stops
    assert second.number == 2
    assert time.monotonic() - started < 5


def test_failure_of_a_rank_is_raised_on_the_others() -> None:
    store = HashStore()
    first, second = (StopAgreement("fail", store=store, rank=r, world_size=2) for r in range(2))
    first.fail(ValueError("bad sample 7"))
    first.close()

    with pytest.raises(RankLost, match="rank 0 died of ValueError: bad sample 7"):
        _until_it_raises(second)
    second.close()


def test_first_failure_is_the_one_that_is_reported() -> None:
    store = HashStore()
    first, second = (StopAgreement("both", store=store, rank=r, world_size=2) for r in range(2))
    assert first.fail(ValueError("bad sample 7")) is None

    cause = second.fail(RuntimeError("Connection reset by peer"))
    first.close()
    second.close()

    assert isinstance(cause, RankLost)
    assert cause.reasons == {0: "died of ValueError: bad sample 7"}


def test_rank_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine_dist.watch._stop._AGREE_SECONDS", 0.3)
    alone = StopAgreement("silent", store=HashStore(), rank=0, world_size=2)
    alone.request(15)

    with pytest.raises(RankLost, match="rank 1 did not answer the request to stop"):
        _until_it_raises(alone)
    alone.close()


def _until_it_raises(agreement: StopAgreement) -> Any:
    for step in range(1000):
        agreement.stops_at((step,))
        time.sleep(0.01)
