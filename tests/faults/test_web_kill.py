"""Row 3 of the fault matrix: the web process is killed while an answer is on its way; the client tries again."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from sqlmodel import Session, select

from notifier.models import Answer, Delivery, Event, EventKind
from notifier.runtime import now
from tests.factories import make_runtime
from tests.faults.figures import TIME_OUT, say, times
from tests.faults.ground import owe
from tests.faults.harness import answers, free_port, wait_for
from tests.faults.web import spawn
from tests.services.stories import send_due
from tests.web.visiting import Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIME_OUT), pytest.mark.usefixtures("swept")]
SIGNED = {"name": "Camille Roy", "choice": "yes"}


class MortalWeb:
    """Pages on one port, by one process after the other."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.port, self.kills = free_port(), 0
        self._given = (database_url, folder, self.port)
        self._process = spawn(*self._given)

    def await_it(self) -> None:
        wait_for(lambda: answers(self.port), seconds=30, else_say="the web process does not answer")

    def kill_in(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._kill)
        timer.start()
        return timer

    def _kill(self) -> None:
        self._process.kill()
        self.kills += 1

    def begin_anew(self) -> None:
        self._process.join(10)
        self._process.close()
        self._process = spawn(*self._given)
        self.await_it()

    def end(self) -> None:
        self._process.kill()
        self._process.join(10)


@pytest.fixture
def links(database_url: str, tmp_path: Path) -> Mapping[str, str]:
    """The path in each client's mail, by address."""
    with closing(make_runtime(database_url, tmp_path)) as runtime:
        owe(runtime, times(8, 500))
        with runtime.transaction() as session:
            send_due(session, runtime.desk, now=now())
            told = session.exec(select(Delivery)).all()
            keyring = runtime.desk.keyring
            return {row.address: f"/notice/{keyring.token(row.id, 'notice', key=row.key_id)}" for row in told}


@pytest.fixture
def web(database_url: str, tmp_path: Path, links: Mapping[str, str]) -> Iterator[MortalWeb]:
    del links  # they are made before anybody asks for a page
    web = MortalWeb(database_url, tmp_path)
    web.await_it()
    yield web
    web.end()


def answer(web: MortalWeb, path: str, chance: random.Random) -> int:
    """Fill in the form; when the connection breaks, send the same once more.  Returns how often it was sent."""
    with httpx.Client(base_url=f"http://127.0.0.1:{web.port}", timeout=20, trust_env=False) as browser:
        page = browser.get(path)
        assert page.status_code == HTTPStatus.OK
        form = Page(page.text).forms[0]
        filled = {**dict(form.fields), **SIGNED}
        timer = web.kill_in(chance.choice([0, chance.uniform(0, 0.03), chance.uniform(0, 0.3)]))
        sent = 0
        while True:
            sent += 1
            try:
                taken = browser.post(form.action, data=filled)
            except httpx.TransportError:
                timer.join()
                web.begin_anew()
                continue
            assert taken.status_code == HTTPStatus.SEE_OTHER, taken.text
            break
        timer.join()
        if sent == 1:  # it was killed after it had answered
            web.begin_anew()
        seen = browser.get(taken.headers["location"])
        assert seen.status_code == HTTPStatus.OK
    return sent


def test_an_answer_that_meets_a_dying_server_is_kept_once(
    database_url: str, tmp_path: Path, web: MortalWeb, links: Mapping[str, str]
) -> None:
    chance, start = random.Random(3), time.monotonic()

    tries = Counter(answer(web, path, chance) for path in links.values())

    with closing(make_runtime(database_url, tmp_path)) as runtime, Session(runtime.engine) as session:
        kept = Counter(session.exec(select(Answer.notice_id)).all())
        told = session.exec(select(Event).where(Event.kind == EventKind.ANSWER_RECORDED)).all()
        receipts = Counter(session.exec(select(Delivery.address).where(Delivery.letter == "receipt")).all())
    repeated = sum(count for times_sent, count in tries.items() if times_sent > 1)
    say("web killed", kills=web.kills, sent_again=repeated, seconds=time.monotonic() - start)
    assert len(kept) == len(links)
    assert set(kept.values()) == {1}
    assert len(told) == len(links)
    assert set(receipts.values()) == {1}
    assert receipts.keys() == links.keys()
    assert repeated
