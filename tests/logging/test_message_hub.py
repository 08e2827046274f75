"""The scalars and runtime info of a run, and their state in a checkpoint."""

import copy
import logging
import threading
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from engine_logging import HistoryBuffer, MessageHub


def test_update_scalar_creates_and_appends() -> None:
    hub = MessageHub.get_instance("task")
    hub.update_scalar("train/loss", 1, 1)
    assert hub.get_scalar("train/loss").current() == 1
    hub.update_scalar("train/loss", 3)
    assert hub.get_scalar("train/loss").mean() == 2


def test_update_scalars_takes_numbers_and_dicts() -> None:
    hub = MessageHub.get_instance("task")
    hub.update_scalars({"a": 1, "b": {"value": 6, "count": 3}, "c": {"value": 2}})
    assert [hub.get_scalar(key).mean() for key in "abc"] == [1, 2, 2]
    assert list(hub.log_scalars) == ["a", "b", "c"]


@pytest.mark.parametrize("entry", [{}, {"count": 1}, {"value": 1, "weight": 2}])
def test_update_scalars_with_a_malformed_dict_raises(entry: dict[str, int]) -> None:
    with pytest.raises(
        ValueError, match='entry of a must have the key "value" and may have "count"'
    ):
        MessageHub("task").update_scalars({"a": entry})


def test_resumed_that_differs_from_an_earlier_call_raises() -> None:
    hub = MessageHub("task")
    hub.update_scalar("loss", 1)
    with pytest.raises(ValueError, match=r"resumed of loss must .* got False after True"):
        hub.update_scalar("loss", 1, resumed=False)
    hub.update_info("iter", 1, resumed=False)
    with pytest.raises(ValueError, match=r"resumed of iter must .* got True after False"):
        hub.update_info("iter", 2)
    assert hub.get_info("iter") == 1


def test_get_info_returns_a_copy_of_the_last_value() -> None:
    hub = MessageHub("task")
    hub.update_info("iter", 1)
    hub.update_info_dict({"iter": 2, "meta": {"classes": ["cat"]}})
    assert hub.get_info("iter") == 2
    hub.get_info("meta")["classes"].append("dog")
    hub.runtime_info["meta"]["classes"].append("dog")
    assert hub.get_info("meta") == {"classes": ["cat"]}


def test_runtime_info_can_be_copied_while_keys_are_added() -> None:
    hub = MessageHub("task")

    class Busy:
        """Add a key while this value is copied, as another thread would."""

        def __deepcopy__(self, memo: object) -> str:
            hub.update_info("later", 1)
            return "copied"

    hub.update_info("busy", Busy())
    hub.update_info("iter", 1)
    assert hub.runtime_info == {"busy": "copied", "iter": 1}


def test_missing_scalar_names_the_closest() -> None:
    hub = MessageHub("task")
    hub.update_scalar("train/loss", 1)
    with pytest.raises(KeyError, match=r"no scalar 'train/los'.*did you mean 'train/loss'"):
        hub.get_scalar("train/los")
    with pytest.raises(KeyError, match=r"no scalar 'x' in this message hub; there are: train/loss"):
        hub.get_scalar("x")


@pytest.mark.parametrize("take", ["get_info", "pop_info"])
def test_missing_info_is_the_default(take: str) -> None:
    hub = MessageHub("task")
    assert getattr(hub, take)("iter") is None
    assert getattr(hub, take)("iter", 0) == 0
    assert getattr(hub, take)("iter", default=0) == 0


def test_pop_info_removes_the_value_and_how_it_is_resumed() -> None:
    hub = MessageHub("task")
    sent = object()
    hub.update_info("sent", sent, resumed=False)
    assert hub.pop_info("sent") is sent
    assert hub.get_info("sent") is None
    hub.update_info("sent", 1)
    assert hub.state_dict()["runtime_info"] == {"sent": 1}
    hub.update_scalar("both", 1, resumed=False)
    hub.update_info("both", 1, resumed=False)
    hub.pop_info("both")
    assert hub.state_dict()["log_scalars"] == {}


@pytest.mark.parametrize(
    "call",
    [
        lambda hub: hub.update_scalar(3, 1),
        lambda hub: hub.update_scalars([1]),
        lambda hub: hub.update_info_dict("iter"),
        lambda hub: hub.load_state_dict([1]),
        lambda hub: hub.__class__("x", log_scalars={"a": [1]}),
        lambda hub: hub.__class__("x", runtime_info=[1]),
    ],
)
def test_wrong_types_raise(call: Any) -> None:
    with pytest.raises(TypeError):
        call(MessageHub("task"))


def test_hub_is_created_from_scalars_and_info() -> None:
    hub = MessageHub(
        "task",
        log_scalars=OrderedDict(loss=HistoryBuffer([1.0], [1])),
        runtime_info=OrderedDict(task="detection"),
        resumed_keys={"loss": False},
    )
    assert hub.get_scalar("loss").current() == 1
    assert hub.get_info("task") == "detection"
    assert list(hub.state_dict()["resumed_keys"]) == ["task"]
    with pytest.raises(ValueError, match=r"resumed_keys must hold keys of .* got other"):
        MessageHub("task", resumed_keys={"other": True})


def test_hubs_do_not_share_values() -> None:
    first, second = MessageHub("first"), MessageHub("second")
    first.update_scalar("a", 1)
    first.update_info("b", 1)
    assert not second.log_scalars
    assert not second.runtime_info


def test_get_current_instance_creates_a_hub_if_there_is_none() -> None:
    hub = MessageHub.get_current_instance()
    assert hub.instance_name == "engine"
    assert MessageHub.get_current_instance() is hub
    assert MessageHub.get_instance("task") is MessageHub.get_current_instance()


def test_released_hub_is_freed() -> None:
    hub = MessageHub.get_instance("task")
    hub.update_scalar("loss", 1.0)
    gone, buffer_gone = weakref.ref(hub), weakref.ref(hub.get_scalar("loss"))
    del hub
    MessageHub.release_instance("task")
    assert gone() is None
    assert buffer_gone() is None


def test_state_is_plain_and_restores_the_hub() -> None:
    hub = MessageHub("task")
    hub.update_scalar("train/loss", 1.5, 2)
    hub.update_scalar("train/time", 0.1, resumed=False)
    hub.update_info("iter", np.int64(7))
    hub.update_info("meta", {"names": ("a", "b"), "sizes": [1, 2.5, None, True]})
    hub.update_info("start", 1.0, resumed=False)
    state = hub.state_dict()
    assert state == {
        "log_scalars": {
            "train/loss": {"log_history": [1.5], "count_history": [2], "max_length": 1000000}
        },
        "runtime_info": {
            "iter": 7,
            "meta": {"names": ("a", "b"), "sizes": [1, 2.5, None, True]},
        },
        "resumed_keys": {"train/loss": True, "iter": True, "meta": True},
    }
    assert type(state["runtime_info"]["iter"]) is int

    other = MessageHub("other")
    other.update_info("kept", 1)
    before = copy.deepcopy(state)
    other.load_state_dict(state)
    other.update_scalar("train/loss", 0.5, 2)
    assert other.get_scalar("train/loss").mean() == 0.5
    assert other.get_info("iter") == 7
    assert other.get_info("kept") == 1
    assert state == before


def test_state_is_small_after_many_updates() -> None:
    hub = MessageHub("task")
    for number in range(30_000):
        hub.update_scalar("loss", float(number))
    saved = hub.state_dict()["log_scalars"]["loss"]
    assert len(saved["log_history"]) == len(saved["count_history"]) == 10_000
    assert saved["log_history"][-1] == 29_999.0


def test_state_skips_values_that_are_not_plain_with_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    hub = MessageHub("task")
    hub.update_info("hook", {"a": [object()]})
    for _ in range(2):
        assert "hook" not in hub.state_dict()["runtime_info"]
    assert caplog.messages == [
        "hook is not saved: it holds builtins.object in ['a'][0], and a checkpoint holds plain "
        "data only. Pass resumed=False to update_info if it need not be saved."
    ]


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"log_scalars": {}, "runtime_info": {}},
    ],
)
def test_load_of_a_state_that_lacks_a_part_raises(state: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match=r"the state of a message hub has no .*resumed_keys"):
        MessageHub("task").load_state_dict(state)


def test_load_of_a_scalar_that_is_not_a_mapping_raises() -> None:
    state = {"log_scalars": {"loss": 3}, "runtime_info": {}, "resumed_keys": {}}
    with pytest.raises(TypeError, match=r"of the scalar loss must be a mapping .* got int"):
        MessageHub("task").load_state_dict(state)


def test_load_of_a_scalar_that_lacks_a_key_raises() -> None:
    entries = {"loss": {"log_history": [1.0]}}
    state = {"log_scalars": entries, "runtime_info": {}, "resumed_keys": {}}
    with pytest.raises(KeyError, match="the scalar loss has no count_history, max_length"):
        MessageHub("task").load_state_dict(state)


@pytest.mark.parametrize("part", ["log_scalars", "runtime_info", "resumed_keys"])
def test_load_of_a_part_of_a_wrong_type_raises(part: str) -> None:
    state: dict[str, Any] = {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}, part: 3}
    with pytest.raises(TypeError, match=f"{part} must be a mapping, got int"):
        MessageHub("task").load_state_dict(state)


def test_get_info_of_a_value_that_cannot_be_copied_raises() -> None:
    hub = MessageHub("task")
    hub.update_info("batches", (batch for batch in "ab"))
    with pytest.raises(TypeError, match=r"the info 'batches' cannot be copied: .*generator"):
        hub.get_info("batches")


def test_load_from_a_hub_copies_everything() -> None:
    source, hub = MessageHub("source"), MessageHub("task")
    source.update_scalar("loss", 1.0, resumed=False)
    source.update_info("anything", {"a": {1, 2}})
    hub.load_state_dict(source)
    hub.update_scalar("loss", 2.0, resumed=False)
    assert hub.get_info("anything") == {"a": {1, 2}}
    assert len(source.get_scalar("loss")) == 1
    assert len(hub.get_scalar("loss")) == 2


def test_update_scalar_by_several_threads_creates_one_scalar() -> None:
    hub = MessageHub("task")
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait(60)
        for key in range(200):
            hub.update_scalar(str(key), 1.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [len(hub.get_scalar(str(key))) for key in range(200)] == [8] * 200


def test_get_current_instance_returns_the_hub_of_the_block() -> None:
    hub = MessageHub("unnamed")
    with hub.as_current():
        assert MessageHub.get_current_instance() is hub
    assert MessageHub.get_current_instance().instance_name == "engine"
