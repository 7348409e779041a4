"""Every page in a real browser: no violation of WCAG 2 A and AA, nothing that our own policy forbids, and nothing wider
than a phone.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sqlmodel import Session, select
from werkzeug.serving import make_server

from notifier.adapters.mailbox import Mailbox
from notifier.adapters.sending import Verdict
from notifier.models import Announcement, AnnouncementKind, Delivery, ItemKind, Notice, OverrideKind, Role
from notifier.rules.registry_diff import diff
from notifier.runtime import Runtime, now
from notifier.services import announcements, answers, items, overrides, registry, users, watches, webhooks
from notifier.services.watches import Found
from notifier.worker import Worker
from tests.factories import (
    REASONS,
    make_announcement,
    make_app,
    make_client,
    make_entry,
    make_provider,
    make_runtime,
    make_user,
    make_version,
)
from tests.web.staffing import MOVE, deliver

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
STAFF = (
    "/staff/",
    "/staff/provider",
    "/staff/registry",
    "/staff/registry?on=2030-01-01",
    "/staff/registry/versions/2",
    "/staff/registry/comparison?old=1&new=draft",
    "/staff/registry/completeness",
    "/staff/registry/entries/fibrexemple",
    "/staff/registry/import",
    "/staff/registry/draft",
    "/staff/registry/draft/entries",
    "/staff/registry/draft/entries/equinix",
    "/staff/registry/draft/preview",
    "/staff/registry/draft/preview?kind=emergency",
    "/staff/announcements",
    "/staff/announcements/new",
    "/staff/announcements/new/service",
    "/staff/announcements/new/location",
    "/staff/announcements/new/document",
    "/staff/clients",
    "/staff/clients?sought=acme",
    "/staff/clients/import",
    "/staff/contracts",
    "/staff/watches",
    "/staff/bounces",
    "/staff/sending",
    "/staff/webhooks",
    "/staff/users",
    "/staff/events",
    "/staff/account",
)
LIST = b"Provider,Location,Budget\nEquinix SAS,France,12\nFibrex,Nowhere,3\n,,4\n"
OPEN = ("/subprocessors", "/mailbox", "/nowhere")


class Look(NamedTuple):
    language: str
    scheme: Literal["light", "dark"]
    width: int


LOOKS = (Look("en", "light", 1280), Look("fr", "dark", 320))  # the portal's own tests take the other two


class Site(NamedTuple):
    address: str
    sign_in: str
    pages: tuple[str, ...]


def furnish(runtime: Runtime) -> tuple[str, tuple[str, ...]]:
    """Let everything that a page can show have happened; returns a sign-in link and the pages that this made."""
    with runtime.transaction() as session:
        make_provider(session)
        make_version(session)
        for number, company in enumerate(("Acme", "Globex", "Initech", "Umbrella", "Wayne")):
            services = {"Acme": ["Compute"], "Globex": ["Backup"]}.get(company, [])
            contacts: list[dict[str, str]] | None = [] if company == "Wayne" else None
            client = make_client(session, f"C-{number}", company=company, contacts=contacts, services=services)
        made = make_announcement(session, runtime.desk, now=now())
        make_client(session, "C-9", company="Latecomer")
        hooks = "https://tickets.hosting.example/hooks"
        endpoint, _secret = webhooks.add(session, runtime.desk, url=hooks, kinds=[], by="test", now=now())
        items.open_item(session, ItemKind.ENDPOINT_FAILING, about=endpoint.id, announcement=made.id, now=now())
        limited = replace(make_entry("Nouvelexemple"), services=("Compute",))
        registry.add_entry(session, limited, by="test", now=now())
        former = make_user(session, "zoe@hosting.example")
        users.switch_off(session, former.id, by="test", now=now())
        user = make_user(session, role=Role.ADMINISTRATOR, name="Ana")
        token, client_id = users.sign_in_token(session, user, now=now()), client.id
    deliver(runtime, Verdict.UNKNOWN, limit=1)
    deliver(runtime, Verdict.REFUSED, limit=1, code=550, reply="no such user")
    deliver(runtime, Verdict.DEFERRED, limit=1, code=451, reply="try again later")
    worker = Worker(runtime)
    worker.send_due()
    worker.close()
    link, notice_id = answer(runtime)
    clients = tuple(f"/staff/announcements/{made.id}/clients/{one}" for one in notices(runtime, made))
    own = f"/staff/clients/{client_id}/list?known_on={now().date()}&on={now().date() + timedelta(days=90)}"
    others = (*announce_otherwise(runtime, made), *watch(runtime))
    mail = Mailbox(runtime.mailbox_folder).list()[0].name
    acts = tuple(f"{link}/companies/{notice_id}/{act}" for act in ("objection", "termination", "withdrawal"))
    return f"/sign-in/{token}", (
        f"/staff/announcements/{made.id}",
        own,
        *clients,
        *others,
        f"/mailbox/{mail}",
        link,
        *acts,
    )


def announce_otherwise(runtime: Runtime, made: Announcement) -> tuple[str, ...]:
    """Leave a draft that is too late, a move that waits for consent, and a breach that waits for a second person;
    returns their pages, and those of what can be done to an announcement.
    """
    today = now().date()
    service = dict.fromkeys(("service", "what_en", "what_fr", "impact_en", "impact_fr"), "Storage")
    with runtime.transaction() as session:
        draft = announcements.draft(
            session, kind=AnnouncementKind.SERVICE, aspect="maintenance", facts=service, reasons=REASONS,
            effective_on=today + timedelta(days=2), by="test", now=now(),
        )  # fmt: skip
        move = announcements.draft(
            session, kind=AnnouncementKind.LOCATION, aspect="storage", facts=MOVE, reasons=REASONS, per_client=True,
            effective_on=today + timedelta(days=200), cause={"from": "Upstream", "reference": "UP-7"}, by="test",
            now=now(),
        )  # fmt: skip
        announcements.publish_draft(session, runtime.desk, move.id, by="test", now=now())
        kind = OverrideKind.BREACH
        overrides.ask(session, made.id, kind, reasons=REASONS, measures=REASONS, by="test", now=now())
        asked = session.exec(select(Notice).where(Notice.announcement_id == move.id)).all()
        answers.record_reply(session, asked[0].id, text="They ask when.", by="test", now=now())
        client_id = asked[0].client_id
    of_made, of_draft, of_move = (f"/staff/announcements/{one.id}" for one in (made, draft, move))
    return (
        *(f"{of_made}/{act}" for act in ("correction", "wording", "postponement", "withdrawal", "decisions/breach")),
        *(f"{of_draft}/{page}" for page in ("preview", "draft", "decisions/late")),
        of_move,
        f"{of_move}/clients/{asked[0].id}",
        f"{of_move}/decisions/breach",
        f"/staff/clients/{client_id}/list",
    )


def watch(runtime: Runtime) -> tuple[str, ...]:
    """Leave a list that was seen, that changed in meaning, and that can no longer be read; returns its pages."""
    address = f"https://equinix.example/{'subprocessors-' * 8}.csv"
    with runtime.transaction() as session:
        source = watches.add(session, runtime.desk, entry_key="equinix", address=address, by="test", now=now())
    changes = diff([make_entry("Nuage")], [make_entry("Nuage", country="BE"), make_entry("Courrier")])
    looks = (
        Found(content=b"before", filename="list.csv"),
        Found(content=b"after", filename="list.csv", changes=changes),
        Found(trouble="the address answers 503"),
    )
    for found in looks:
        with runtime.transaction() as session:
            (errand,) = watches.claim(session, limit=1, now=now(), only=source.id)
            watches.settle(session, errand, found, now=now())
    with Session(runtime.engine) as session:
        (opened,) = watches.suggestions(session)
    return f"/staff/watches/{source.id}", f"/staff/watches/suggestions/{opened.id}"


def notices(runtime: Runtime, made: Announcement) -> list[UUID]:
    with Session(runtime.engine) as session:
        return list(session.exec(select(Notice.id).where(Notice.announcement_id == made.id)))


def answer(runtime: Runtime) -> tuple[str, UUID]:
    """Object through the link of the mail that arrived; returns the link."""
    with runtime.transaction() as session:
        told = session.exec(select(Delivery).where(Delivery.state == "accepted", Delivery.letter == "notice")).one()
        token = runtime.desk.keyring.token(told.id, "notice")
        notice_id = answers.open_link(session, token, now=now()).told[0].notice.id
        said = {"name": "Camille Roy", "reasons": "Too far away.", "machine_like": True}
        answers.object_to(session, runtime.desk, token, notice_id, now=now(), **said)  # type: ignore[arg-type] # mixed
    return f"/notice/{token}", notice_id


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> Iterator[Site]:
    runtime = make_runtime(sqlite_url, tmp_path)
    sign_in, pages = furnish(runtime)
    server = make_server("127.0.0.1", 0, make_app(runtime), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}", sign_in, pages)
    server.shutdown()
    thread.join()
    server.server_close()
    runtime.close()


@pytest.fixture
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


def flaws(page: Page, address: str) -> list[str]:
    """Return what is wrong with one page."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(address)
    found = barriers(page)
    forbidden = [text for text in said if "404" not in text]
    elsewhere = [] if page.url == address else [f"leads to {page.url}"]
    return [*found, *forbidden, *elsewhere]


def barriers(page: Page) -> list[str]:
    """Return what keeps somebody from using the page that is open."""
    found = [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in Axe().run(page, options=WCAG).response["violations"]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*found, *([f"{wide} pixels too wide"] if wide > 0 else [])]


def dry_run(page: Page, address: str) -> list[str]:
    """Return what is wrong with the page that shows what a list would change, with every fold open."""
    page.goto(address)
    page.set_input_files("#file", {"name": "list.csv", "mimeType": "text/csv", "buffer": LIST})
    page.locator("main form button").click()
    page.locator("#take").wait_for()
    page.wait_for_load_state()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    return barriers(page)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: "-".join(map(str, look)))
def test_every_page_can_be_used_by_everybody(site: Site, browser: Browser, look: Look) -> None:
    context = browser.new_context(color_scheme=look.scheme, viewport={"width": look.width, "height": 900})
    page = context.new_page()

    def address(path: str) -> str:
        return f"{site.address}{path}{'&' if '?' in path else '?'}lang={look.language}"

    wrong = {path: flaws(page, address(path)) for path in ("/sign-in", site.sign_in)}
    page.get_by_role("button").click()
    page.wait_for_url("**/staff/**")
    wrong |= {path: flaws(page, address(path)) for path in (*STAFF, *OPEN, *site.pages)}
    wrong["dry run"] = dry_run(page, address("/staff/registry/import"))
    context.close()

    assert {path: found for path, found in wrong.items() if found} == {}
