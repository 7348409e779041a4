"""A browser of sixty lines, without scripts: what it can do, every client's browser can do."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from typing import Any

SECONDS = 15


@dataclass(slots=True)
class Form:
    """One form of a page: where it goes, and what it holds before anybody types."""

    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What came back: the status, the address after redirects, the text, and the forms."""

    status: int
    url: str
    text: str
    forms: Sequence[Form]

    def form(self, action: str) -> Form:
        """Return the one form whose address holds this; LookupError where there is none."""
        for one in self.forms:
            if action in one.action:
                return one
        raise LookupError(
            f"{self.url} ({self.status}) has no form for {action}, only {[one.action for one in self.forms]}"
        )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(action=said.get("action", ""), method=said.get("method", "get").lower()))
        elif tag == "input" and self.forms and "name" in said:
            chosen = said.get("type") not in {"checkbox", "radio"} or "checked" in said
            if chosen:
                self.forms[-1].fields.setdefault(said["name"], []).append(said.get("value", ""))


class Browser:
    """Keeps cookies and follows redirects, like a person's."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def get(self, address: str) -> Page:
        return self._open(urllib.request.Request(self._absolute(address)))  # noqa: S310 - our own loopback address

    def head(self, address: str) -> Page:
        return self._open(urllib.request.Request(self._absolute(address), method="HEAD"))  # noqa: S310 - our own loopback address

    def submit(self, page: Page, action: str, values: Mapping[str, str | Sequence[str]]) -> Page:
        """Fill in the form of a page and send it."""
        form = page.form(action)
        typed = {name: [value] if isinstance(value, str) else list(value) for name, value in values.items()}
        body = urllib.parse.urlencode({**form.fields, **typed}, doseq=True).encode()
        target = urllib.parse.urljoin(page.url, form.action)
        parts = urllib.parse.urlsplit(page.url)
        headers = {"Origin": f"{parts.scheme}://{parts.netloc}"}
        return self._open(urllib.request.Request(target, data=body, headers=headers))  # noqa: S310 - our own loopback address

    def _absolute(self, address: str) -> str:
        return urllib.parse.urljoin(self._base_url, address)

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            answer: Any = self._opener.open(request, timeout=SECONDS)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            text = answer.read().decode("utf-8", "replace")
            reader = _Reader()
            reader.feed(text)
            return Page(status=answer.status, url=answer.url, text=text, forms=reader.forms)
