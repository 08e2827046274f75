"""RecordStore and the memory below it."""

import ast
import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_dataset._buffer import SharedBuffer, SharedIntegers
from engine_dataset._records import RecordStore

# A few characters of one to four bytes: hypothesis needs seconds to load its table of them all.
_TEXT = st.text(alphabet=st.sampled_from("a \0\n\u00e9\u4e2d\U0001f600"))
_Leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT
_Record = st.recursive(
    _Leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
)


@settings(max_examples=25)
@given(st.lists(_Record, max_size=8))
def test_store_reads_like_a_list_of_its_records(records: list[Any]) -> None:
    store = RecordStore(records)
    assert list(store) == records
    assert len(store) == len(records)


@given(st.lists(st.integers(), min_size=1, max_size=8), st.data())
def test_selection_equals_that_of_a_list(records: list[int], data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(-len(records), len(records) - 1)))
    store = RecordStore(records).select(positions)
    assert list(store) == [records[position] for position in positions]


def test_selection_shares_the_bytes() -> None:
    store = RecordStore(range(10))
    assert store.select(slice(2, 4))._content is store._content
    assert copy.deepcopy(store)._content is store._content


def test_store_raises_for_positions_outside() -> None:
    with pytest.raises(IndexError, match="record 3 of a store of 3"):
        RecordStore("abc")[3]
    with pytest.raises(IndexError):
        RecordStore("abc").select([3])


def test_store_larger_than_a_chunk_keeps_every_record() -> None:
    records = [bytes([number]) * (1 << 20) for number in range(40)]
    store = RecordStore(records)
    assert [record[0] for record in store] == list(range(40))
    assert store.nbytes > 40 << 20


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.bfloat16, torch.bool, torch.complex64, torch.float8_e5m2],
    ids=str,
)
def test_store_keeps_tensors(dtype: torch.dtype) -> None:
    tensor = torch.ones(2, 3).to(dtype)
    (found,) = RecordStore([tensor])
    assert found.dtype == dtype
    assert torch.equal(found.to(torch.complex64), tensor.to(torch.complex64))
    found[0] = 0  # each read returns a new object


def test_store_keeps_a_view_without_its_storage() -> None:
    whole = torch.arange(1_000_000.0)
    store = RecordStore([whole[:3], whole[::500_000], whole[:2].to(torch.bfloat16)])
    assert store.nbytes < 2000
    assert [tensor.tolist() for tensor in store] == [[0, 1, 2], [0, 500_000], [0, 1]]


def test_store_keeps_flags_of_tensors() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    grown, conjugate = RecordStore([weight, torch.tensor([1j]).conj()])
    assert grown.requires_grad
    assert conjugate.tolist() == [-1j]


def test_store_in_a_plain_pickle_contains_its_bytes() -> None:
    store = RecordStore([{"a": 1}, {"b": 2}]).select([1])
    assert list(pickle.loads(pickle.dumps(store))) == [{"b": 2}]


def test_buffer_is_the_chunks_together() -> None:
    assert bytes(SharedBuffer([b"ab", b"", b"c"]).view) == b"abc"
    assert len(SharedBuffer([])) == 0
    assert SharedBuffer([b"ab"]).view.readonly


def test_integers_are_copied_by_pickle() -> None:
    integers = pickle.loads(pickle.dumps(SharedIntegers(torch.arange(-2, 2).numpy())))
    assert list(integers.view) == [-2, -1, 0, 1]


@pytest.mark.slow
def test_workers_map_the_same_memory() -> None:
    script = Path(__file__).with_name("shared_memory_script.py")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    in_trainer, *workers = map(ast.literal_eval, done.stdout.splitlines())
    assert [entry.rpartition(":")[2] for entry in in_trainer] == ["r--s", "r--s"]
    assert workers == [
        (method, list(range(8)), in_trainer) for method in ("fork", "spawn", "forkserver")
    ]


def test_small_buffers_take_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    stores = [RecordStore(range(100)).select([1]) for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before
    large = RecordStore([bytes(1 << 20)])
    assert len(os.listdir("/proc/self/fd")) > before
    assert (stores[0][0], len(large[0])) == (1, 1 << 20)
    del large
    assert len(os.listdir("/proc/self/fd")) == before
