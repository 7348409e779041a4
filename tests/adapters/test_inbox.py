"""A mailbox read by IMAP, from a server that can be cut at any command."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from notifier.adapters import inbox
from notifier.adapters.inbox import Inbox, InboxTrouble, Intake
from tests.imap import PASSWORD, TOKEN, Mailbox, serving


def inbox_of(server: Mailbox, **fields: Any) -> Inbox:  # noqa: ANN401 - fields of any type
    said = {
        "user": "bounces@hosting.example",
        "password": PASSWORD,
        "folder": "Sent back",
        "security": "none",
        **fields,
    }
    return Inbox(host="127.0.0.1", port=server.server_address[1], **said)


def test_unread_mails_are_taken_oldest_first_and_marked() -> None:
    taken: list[bytes] = []
    with serving(b"one\r\n", b"two\r\n)\r\nA1 OK\r\n", b"three\r\n") as server:
        assert inbox_of(server).take_all(taken.append) == 3
        assert server.unread == []
        assert inbox_of(server).take_all(taken.append) == 0

    assert taken == [b"one\r\n", b"two\r\n)\r\nA1 OK\r\n", b"three\r\n"]
    assert server.commands[-1] == "LOGOUT"


def test_a_mail_is_marked_only_after_it_has_been_taken() -> None:
    """Whoever dies while taking has not marked."""
    with serving(b"one", b"two") as server:
        unread_while_taking: list[list[int]] = []
        inbox_of(server).take_all(lambda _content: unread_while_taking.append(server.unread))

    assert unread_while_taking == [[100, 103], [103]]


@pytest.mark.parametrize("command", ["UID SEARCH", "UID FETCH 100", "UID STORE 100", "UID FETCH 103", "UID STORE 103"])
def test_an_intake_that_is_cut_anywhere_reads_again_what_it_had_not_marked(command: str) -> None:
    taken: list[bytes] = []
    with serving(b"one", b"two") as server:
        server.cut_at = lambda said: said.startswith(command)
        with pytest.raises(InboxTrouble, match="does not answer as it should"):
            inbox_of(server).take_all(taken.append)
        server.cut_at = lambda _said: False
        inbox_of(server).take_all(taken.append)

    assert set(taken) == {b"one", b"two"}
    assert len(taken) <= 3  # at most one of them twice, and its bytes have one effect
    assert server.unread == []


@pytest.mark.parametrize(
    ("capabilities", "left"),
    [("IMAP4rev1 MOVE", 0), ("IMAP4rev1 UIDPLUS", 0), ("IMAP4rev1", 2)],
    ids=["move", "copy and expunge", "copy alone"],
)
def test_what_was_taken_is_moved_by_what_the_server_can(capabilities: str, left: int) -> None:
    with serving(b"one", b"two", capabilities=capabilities) as server:
        assert inbox_of(server, done_folder="Taken in").take_all(len) == 2

    assert server.moved == {100: '"Taken in"', 103: '"Taken in"'}
    assert len(server.mails) == left
    assert server.unread == []


def test_a_token_may_stand_in_the_place_of_a_password() -> None:
    with serving(b"one") as server:
        assert inbox_of(server, password="", token=lambda: TOKEN).take_all(len) == 1
        with pytest.raises(InboxTrouble, match="does not let us in"):
            inbox_of(server, password="", token=lambda: "token of yesterday").take_all(len)


def test_what_refuses_is_named_without_naming_anybody() -> None:
    with serving() as server:
        with pytest.raises(InboxTrouble, match="does not let us in: correct user and password") as refused:
            inbox_of(server, password="wrong").take_all(len)
        with pytest.raises(InboxTrouble, match="has no folder Elsewhere"):
            inbox_of(server, folder="Elsewhere").take_all(len)
    with pytest.raises(InboxTrouble, match="ConnectionRefusedError"):
        inbox_of(server).take_all(len)

    assert "@" not in str(refused.value)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "PHASE_SECONDS", 0.2)
    silence = threading.Event()
    with serving(b"one") as server:
        server.cut_at = lambda said: said.startswith("UID FETCH") and silence.wait(timeout=5)
        with pytest.raises(InboxTrouble, match="TimeoutError"):
            inbox_of(server).take_all(len)
        silence.set()


def test_a_mail_that_cannot_be_taken_does_not_keep_the_others_waiting() -> None:
    taken: list[bytes] = []

    def take(content: bytes) -> None:
        if content == b"two":
            raise ValueError
        taken.append(content)

    with serving(b"one", b"two", b"three") as server:
        assert inbox_of(server).take_all(take) == 2
        assert server.unread == [103]


def test_when_nothing_can_be_taken_the_look_ends() -> None:
    tried: list[bytes] = []

    def fail(content: bytes) -> None:
        tried.append(content)
        raise OSError

    with serving(*(b"%d" % number for number in range(10))) as server:
        with pytest.raises(InboxTrouble, match="cannot be taken in"):
            inbox_of(server).take_all(fail)
        assert len(server.unread) == 10

    assert len(tried) == 3


def test_of_a_very_large_mail_as_much_is_read_as_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LARGEST", 1000)
    taken: list[bytes] = []
    with serving(b"x" * 5000) as server:
        inbox_of(server).take_all(taken.append)

    assert list(map(len, taken)) == [1000]


# --- the thread that looks -------------------------------------------------------------------------------------------


class Door:
    def __init__(self, trouble: type[OSError] | None = None) -> None:
        self.trouble = trouble
        self.did: list[str] = []

    def start(self) -> None:
        if self.trouble:
            raise self.trouble
        self.did.append("start")

    def stop(self) -> None:
        self.did.append("stop")


def test_the_intake_looks_again_and_again_and_survives_a_server_that_is_away() -> None:
    taken, all_of_them = list[bytes](), threading.Event()

    def take(content: bytes) -> None:
        taken.append(content)
        if len(taken) == 2:
            all_of_them.set()

    with serving(b"one") as server:
        cuts = iter([True, False])
        server.cut_at = lambda said: said.startswith("UID SEARCH") and next(cuts, False)
        intake = Intake(inbox=inbox_of(server), take=take, seconds=0.02)
        intake.start()
        while not taken:
            all_of_them.wait(0.01)
        server.flags[999] = set()
        server.mails[999] = b"two"
        assert all_of_them.wait(timeout=20)
        intake.close()

    assert taken == [b"one", b"two"]


def test_a_door_that_is_taken_leaves_the_others_open() -> None:
    taken, free = Door(OSError), Door()
    intake = Intake(servers=[taken, free])

    intake.start()
    intake.close()

    assert (taken.did, free.did) == (["stop"], ["start", "stop"])
    assert intake.look() == 0
