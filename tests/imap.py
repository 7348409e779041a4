"""A small IMAP server on this machine, which remembers its mails' flags and can be cut at any command."""

from __future__ import annotations

import base64
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PASSWORD = 'pa"ss\\word'
TOKEN = "token-of-today"


class Mailbox(socketserver.ThreadingTCPServer):
    """Holds the mails of one folder by UID, with their flags, and what was moved away."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, mails: list[bytes], *, capabilities: str = "IMAP4rev1 MOVE UIDPLUS AUTH=XOAUTH2") -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails = {100 + 3 * number: mail for number, mail in enumerate(mails)}
        self.flags: dict[int, set[str]] = {uid: set() for uid in self.mails}
        self.moved: dict[int, str] = {}
        self.capabilities = capabilities
        self.commands: list[str] = []
        self.cut_at: Callable[[str], bool] = lambda _command: False

    @property
    def unread(self) -> list[int]:
        return [uid for uid, flags in self.flags.items() if "\\Seen" not in flags and uid in self.mails]


class _Session(socketserver.StreamRequestHandler):
    server: Mailbox
    timeout = 20

    def handle(self) -> None:
        self._say("* OK ready")
        while line := self.rfile.readline(65536):
            tag, _, command = line.decode().strip().partition(" ")
            self.server.commands.append(command)
            if self.server.cut_at(command):
                return
            if not self._answer(tag, command):
                return

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def _answer(self, tag: str, command: str) -> bool:
        name = command.split(maxsplit=1)[0].upper()
        if name == "UID":
            name = f"UID {command.split()[1].upper()}"
        act: Callable[[str, str], str] = getattr(self, f"_{name.replace(' ', '_').lower()}", self._unknown)
        self._say(f"{tag} {act(tag, command)}")
        return name != "LOGOUT"

    def _unknown(self, _tag: str, _command: str) -> str:
        return "BAD unknown"

    def _capability(self, _tag: str, _command: str) -> str:
        self._say(f"* CAPABILITY {self.server.capabilities}")
        return "OK done"

    def _login(self, _tag: str, command: str) -> str:
        right = command.endswith(' "bounces@hosting.example" "pa\\"ss\\\\word"')
        return "OK in" if right else "NO [AUTHENTICATIONFAILED] bounces@hosting.example is unknown"

    def _authenticate(self, _tag: str, _command: str) -> str:
        self._say("+ ")
        said = base64.b64decode(self.rfile.readline().strip()).decode()
        if said == f"user=bounces@hosting.example\x01auth=Bearer {TOKEN}\x01\x01":
            return "OK in"
        self._say("+ " + base64.b64encode(b'{"status":"401"}').decode())
        assert self.rfile.readline().strip() == b""
        return "NO expired"

    def _select(self, _tag: str, command: str) -> str:
        if command != 'SELECT "Sent back"':
            return "NO no such folder"
        self._say(f"* {len(self.server.mails)} EXISTS")
        return "OK [READ-WRITE] selected"

    def _uid_search(self, _tag: str, _command: str) -> str:
        self._say("* SEARCH " + " ".join(map(str, reversed(self.server.unread))))
        return "OK done"

    def _uid_fetch(self, _tag: str, command: str) -> str:
        uid = int(command.split()[2])
        most = int(re.findall(r"<0\.(\d+)>", command)[0])
        self._say("* 1 FETCH (FLAGS (\\Recent))")  # what nobody asked for may come at any time
        if uid in self.server.mails:
            mail = self.server.mails[uid][:most]
            self.wfile.write(f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(mail)}}}\r\n".encode() + mail + b")\r\n")
        return "OK done"

    def _uid_store(self, _tag: str, command: str) -> str:
        _, _, uid, _, flags = command.split()
        self.server.flags[int(uid)].add(flags.strip("()"))
        return "OK done"

    def _uid_move(self, _tag: str, command: str) -> str:
        uid = int(command.split()[2])
        self.server.moved[uid] = command.split(None, 3)[3]
        del self.server.mails[uid]
        return "OK done"

    def _uid_copy(self, _tag: str, command: str) -> str:
        self.server.moved[int(command.split()[2])] = command.split(None, 3)[3]
        return "OK done"

    def _uid_expunge(self, _tag: str, command: str) -> str:
        self.server.mails.pop(int(command.split()[2]))
        return "OK done"

    def _logout(self, _tag: str, _command: str) -> str:
        self._say("* BYE")
        return "OK bye"


@contextmanager
def serving(*mails: bytes, **options: Any) -> Iterator[Mailbox]:  # noqa: ANN401 - a capability line
    with Mailbox(list(mails), **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(timeout=20)
