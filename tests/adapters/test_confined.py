from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from notifier.adapters.confined import Reader, TooCostly
from tests.adapters.kept_readers import obey


@pytest.fixture
def reader() -> Iterator[Reader]:
    with Reader(obey, seconds=2, megabytes=128, messages=5) as made:
        yield made


def test_one_process_reads_message_after_message(reader: Reader) -> None:
    assert reader.read(b"process") == reader.read(b"process")


def test_a_message_larger_than_any_pipe_is_read_whole(reader: Reader) -> None:
    assert reader.read(b"x" * 5_000_000) == 5_000_000


def test_an_empty_message_is_a_message(reader: Reader) -> None:
    assert reader.read(b"") == 0


def test_the_process_is_replaced_after_so_many_messages(reader: Reader) -> None:
    assert len({reader.read(b"process") for _ in range(10)}) == 2


@pytest.mark.parametrize("trouble", [b"die", b"spin"])
def test_after_a_failure_the_next_message_is_read(reader: Reader, trouble: bytes) -> None:
    with pytest.raises(TooCostly):
        reader.read(trouble)

    assert reader.read(b"next") == 4


def test_what_a_reader_prints_is_not_taken_for_its_answer(reader: Reader) -> None:
    assert reader.read(b"chatter") == 7
    assert reader.read(b"next") == 4


@pytest.mark.parametrize("trouble", [b"recurse", b"hoard"])
def test_a_reader_that_raises_costs_this_message_and_not_the_process(reader: Reader, trouble: bytes) -> None:
    before = reader.read(b"process")
    with pytest.raises(TooCostly):
        reader.read(trouble)

    assert reader.read(b"process") == before


def test_a_stuck_process_is_killed_in_time_and_replaced(reader: Reader) -> None:
    reader.read(b"warm")
    begun = time.monotonic()
    with pytest.raises(TooCostly):
        reader.read(b"spin")

    assert time.monotonic() - begun < 10
    assert reader.read(b"next") == 4


def test_a_process_that_died_between_two_messages_is_replaced(reader: Reader) -> None:
    with pytest.raises(TooCostly):
        reader.read(b"die")
    reader.close()

    assert reader.read(b"next") == 4


def test_closing_twice_is_no_trouble(reader: Reader) -> None:
    reader.read(b"x")
    reader.close()
    reader.close()
