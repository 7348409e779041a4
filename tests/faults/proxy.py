"""A proxy on 127.0.0.1 that cuts, delays or drops what passes through it, for tests of lost connections and answers."""

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CHUNK = 65_536
COMMIT = b"COMMIT\x00"  # as psycopg says it: a simple query, or the text of a parse message; both end in NUL


@dataclass
class Mischief:
    """What goes wrong from now on.  Each `…_after` counts bytes of one connection; `None` is never.

    `cut_on` is a sequence of bytes from the client: once it has been passed on whole, the connection is cut before any
    answer comes back; `times` says how often.  `drop_on` keeps back, once, the answer that follows such a sequence, and
    leaves the connection open.
    """

    cut_up_after: int | None = None
    cut_down_after: int | None = None
    delay: float = 0
    cut_on: bytes = b""
    times: int = 0
    skips: int = 0
    drop_on: bytes = b""
    drops: int = 0


class Proxy:
    """Passes connections on to `target`, a port or a socket of this machine.  `cuts` counts what went wrong."""

    def __init__(self, target: int | Path) -> None:
        self.target, self.port = target, 0
        self.mischief = Mischief()
        self.cuts = self.drops = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="proxy", daemon=True)
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop
        assert self._stop
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def cut_all(self) -> None:
        """Cut every connection there is."""
        assert self._loop
        self._loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._abort_all()
        await asyncio.sleep(0.05)  # what is passed on notices

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, Path):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def _pass_on(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await self._connect()
        except OSError:
            to_client.transport.abort()
            return
        way = _Way(self, to_client, to_server)
        self._open |= {to_client, to_server}
        await asyncio.gather(way.up(client), way.down(server), return_exceptions=True)
        self._open -= {to_client, to_server}


class _Way:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> None:
        self._proxy, self._to_client, self._to_server = proxy, to_client, to_server
        self._sent_up = self._sent_down = 0
        self._drops_next = False

    async def up(self, client: asyncio.StreamReader) -> None:
        last = b""
        while data := await self._next(client):
            mischief = self._proxy.mischief
            cuts = mischief.times > 0 and _says(mischief.cut_on, last, data)
            if cuts and mischief.skips:
                mischief.skips, cuts = mischief.skips - 1, False
            if mischief.drops > 0 and _says(mischief.drop_on, last, data):
                mischief.drops -= 1
                self._proxy.drops += 1
                self._drops_next = True
            if cuts:  # whoever listens on the other side must still get it: a close in order, and not a reset
                mischief.times -= 1
                self._proxy.cuts += 1
                self._to_client.transport.abort()
            self._sent_up, last = self._sent_up + len(data), (last + data)[-64:]
            self._to_server.write(data)
            await self._to_server.drain()
            if cuts or self._over(mischief.cut_up_after, self._sent_up):
                break
        self._end()

    async def down(self, server: asyncio.StreamReader) -> None:
        while data := await self._next(server):
            if self._drops_next:
                self._drops_next = False
                continue
            self._sent_down += len(data)
            self._to_client.write(data)
            await self._to_client.drain()
            if self._over(self._proxy.mischief.cut_down_after, self._sent_down):
                break
        self._end()

    async def _next(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(CHUNK)
        if delay := self._proxy.mischief.delay:
            await asyncio.sleep(delay)
        return data

    def _over(self, limit: int | None, sent: int) -> bool:
        if limit is None or sent < limit:
            return False
        self._proxy.cuts += 1
        return True

    def _end(self) -> None:
        self._to_client.close()
        self._to_server.close()


def _says(words: bytes, before: bytes, data: bytes) -> bool:
    """Whether these words end in `data`; they may have begun in what came before it."""
    return bool(words) and (before + data).find(words, max(0, len(before) - len(words) + 1)) >= 0
