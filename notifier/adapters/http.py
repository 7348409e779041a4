"""The one guarded HTTP client: for web hooks, ticket systems and watched pages, at addresses that people typed in.

A name is resolved once, every address it has is checked, and the connection goes to a checked address
(server-side request forgery; DNS rebinding). No redirect is followed, but for a page that moves within its own host; no
proxy is taken from the environment, and neither the length nor the pace of an answer can hold us: 64 kB are read (of a
page 5 MB), within 15 seconds in all.
"""

import base64
import hashlib
import hmac
import re
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
from ssrfguard import AddressTable, Block, BlockedAddressError, Policy, Reach, Resolver, SSRFGuardError
from ssrfguard.httpx import SafeBackend

Failure = Literal[
    "", "refused_url", "refused_address", "dns", "connection", "tls", "timeout", "protocol", "too_large", "moved"
]

_MOST_BYTES = 65_536
_MOST_OF_A_PAGE = 5_000_000
_MOST_REDIRECTS = 3
_MOVED = frozenset({301, 302, 303, 307, 308})
_MOST_KNOWN = 256  # addresses of which it is kept that they were let through
_HEADERS = MappingProxyType({"accept": "*/*", "accept-encoding": "identity", "user-agent": "notifier"})
_KEPT_HEADERS = frozenset({"content-encoding", "content-type", "etag", "last-modified", "location"})
_LOOKED_AT = _KEPT_HEADERS | {"retry-after"}
_LONGEST_HEADER = 1000
_LONGEST_WAIT = timedelta(hours=24)
_SECRET_SIZES = range(24, 65)  # bytes (Standard Webhooks 1.0.0)
_Scheme = Literal["http", "https"]
_FLAWS = MappingProxyType(
    {
        "scheme": {
            "en": "The address must begin with https:// (http only within the networks that the operator allows).",
            "fr": "L'adresse doit commencer par https:// (http uniquement dans les réseaux permis par l'exploitant).",
        },
        "credentials": {
            "en": "The address must not hold a user name or a password.",
            "fr": "L'adresse ne doit contenir ni nom d'utilisateur ni mot de passe.",
        },
        "port": {
            "en": "The port in this address is not allowed.",
            "fr": "Le port indiqué dans cette adresse n'est pas autorisé.",
        },
        "address": {
            "en": "This address belongs to a private or reserved network.",
            "fr": "Cette adresse appartient à un réseau privé ou réservé.",
        },
        "form": {
            "en": "This is not a complete web address.",
            "fr": "Ceci n'est pas une adresse web complète.",
        },
    }
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one request. Nothing that happens on the network raises."""

    status: int | None
    """The HTTP status, when one came; a redirect is an answer like any other."""
    reason: Failure = ""
    """What went wrong; empty when the whole answer was read. With a status, only the body was cut short."""
    detail: str = ""
    """The failure in words, for a log and for the person who typed in the address."""
    retry_after: timedelta | None = None
    """How long the other side asks us to wait, at most 24 hours."""
    body: bytes = b""
    """At most 64 kB, of a page 5 MB, as sent (never decompressed)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The few that say what the body is and whether it has changed, by their names in small letters."""

    @property
    def ok(self) -> bool:
        return self.status is not None and self.status // 100 == 2  # noqa: PLR2004 - 2xx

    @property
    def excerpt(self) -> str:
        """The beginning of the body in one line, at most 500 characters."""
        return _CONTROL.sub(" ", self.body[:2000].decode("utf-8", "replace")).strip()[:500]


class _Clock(threading.local):
    """When the request of this thread must be over, on the monotonic clock."""

    until: float = float("inf")

    def left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise late("the answer took too long in all")
        return left if timeout is None else min(left, timeout)


class _TimedStream(httpcore.NetworkStream):
    """A connection that ends its reads and writes with the request; httpx itself has no limit for the whole.

    Head and body of a request leave together, when its answer is asked for: one packet for most.
    """

    def __init__(self, stream: httpcore.NetworkStream, clock: _Clock) -> None:
        self._stream, self._clock = stream, clock
        self._unsent = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unsent:
            unsent, self._unsent = self._unsent, b""
            with suppress(httpcore.WriteError):  # whoever hangs up may have answered before, as httpcore itself has it
                self._stream.write(unsent, self._clock.left(timeout, httpcore.WriteTimeout))
        return self._stream.read(max_bytes, self._clock.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._clock.left(timeout, httpcore.WriteTimeout)
        self._unsent += buffer

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _TimedBackend(SafeBackend):
    def __init__(self, policy: Policy, resolver: Resolver | None, clock: _Clock) -> None:
        super().__init__(policy=policy, resolver=resolver)
        self._clock = clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(super().connect_tcp(host, port, left, local_address, socket_options), self._clock)


class _TimedTransport(httpx.HTTPTransport):
    """Connects to checked addresses only. Whether a URL may be asked for at all is the client's to say."""

    def __init__(self, policy: Policy, resolver: Resolver | None, tls: ssl.SSLContext, clock: _Clock) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5,
            network_backend=_TimedBackend(policy, resolver, clock),
        )


class GuardedClient:
    """One shared client; may be used by several threads.

    `allowed_networks` (as `10.20.0.0/16`) and `allowed_ports` are the operator's: within these networks private
    addresses and plain http are let through, elsewhere it is https to public addresses. `ca_file` is trusted
    besides the public authorities. `transport` and `resolver` are for tests.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        allowed_networks: Collection[str] = (),
        allowed_ports: Collection[int] = (),
        ca_file: Path | None = None,
        connect_seconds: float = 5,
        total_seconds: float = 15,
        transport: httpx.BaseTransport | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._now, self._total = now, total_seconds
        self._clock = _Clock()
        self._policies = _policies(allowed_networks, allowed_ports)
        tls = httpx.create_ssl_context(trust_env=False)
        if ca_file:
            tls.load_verify_locations(ca_file)
        # Without httpx.Client: its cookies, redirects, proxies and authentication are all that we do not want of it.
        self._transports = {
            scheme: transport or _TimedTransport(policy, resolver, tls, self._clock)
            for scheme, policy in self._policies.items()
        }
        self._extensions = {"timeout": httpx.Timeout(total_seconds, connect=connect_seconds).as_dict()}
        self._checked = lru_cache(_MOST_KNOWN)(self._check)

    def check_url(self, url: str, language: Literal["en", "fr"] = "en") -> str | None:
        """A sentence when this URL can never be right, whatever its name resolves to."""
        try:
            self._policy(url).check_url(url)
        except SSRFGuardError as refused:
            return _FLAWS[_flaw(url, self._policy(url), refused)][language]
        return None

    def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Answer:
        return self.request("POST", url, content=content, headers=headers)

    def get(self, url: str, *, etag: str = "", last_modified: str = "") -> Answer:
        """Fetch a page of at most 5 MB; while it is what these validators name, the answer is 304 without a body.

        At most three redirects are followed, within the same host and scheme, each checked as the first address was.
        """
        validators = {"if-none-match": etag, "if-modified-since": last_modified}
        headers = {name: said for name, said in validators.items() if said}
        with self._within(self._total):
            for _ in range(_MOST_REDIRECTS + 1):
                answer = self._exchange("GET", url, b"", headers, most_bytes=_MOST_OF_A_PAGE)
                if answer.status not in _MOVED:
                    return _in_clear(answer)
                there = _joined(url, answer.headers.get("location", ""))
                if _origin(there) != _origin(url):
                    return replace(answer, reason="moved", detail=f"the page has moved to {_host(there)}")
                url = there
        return replace(answer, reason="moved", detail="the page is moved on again and again")

    def request(self, method: str, url: str, *, content: bytes = b"", headers: Mapping[str, str]) -> Answer:
        """One exchange, without following what it answers. Never raises for what the network or the far side does."""
        with self._within(self._total):
            return self._exchange(method, url, content, headers, most_bytes=_MOST_BYTES)

    def _exchange(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str], *, most_bytes: int
    ) -> Answer:
        status: int | None = None
        retry_after: timedelta | None = None
        body = bytearray()
        kept: Mapping[str, str] = {}
        reason: Failure = ""
        detail = ""
        try:
            target = self._checked(url)
            request = httpx.Request(
                method,
                target,
                headers={"host": target.netloc.decode(), **_HEADERS, **headers, **_length(method, content)},
                stream=httpx.ByteStream(content),  # given as what it is, for httpx takes its time to find that out
                extensions=self._extensions,
            )
            response = self._transports[_scheme(url)].handle_request(request)
            stream = cast("httpx.SyncByteStream", response.stream)  # iter_raw() refuses what a stand-in answers
            with closing(stream):
                status, said = response.status_code, _said(response.headers)
                retry_after, kept = self._retry_after(said.get("retry-after", "")), _kept(said)
                for piece in stream:
                    body += piece[: most_bytes - len(body)]
                    self._clock.left(None, httpcore.ReadTimeout)
                    if len(body) == most_bytes:
                        reason, detail = "too_large", f"the answer goes on beyond {most_bytes} bytes"
                        break
        except (httpx.HTTPError, httpx.InvalidURL, httpcore.TimeoutException, SSRFGuardError) as trouble:
            reason, detail = _named(trouble), _words(trouble)
        return Answer(
            status=status, reason=reason, detail=detail, retry_after=retry_after, body=bytes(body), headers=kept
        )

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()

    def _policy(self, url: str) -> Policy:
        return self._policies[_scheme(url)]

    def _check(self, url: str) -> httpx.URL:
        """The URL, once it is let through as it was typed and as httpx reads it. Nothing is asked of the network, so
        what was let through once is let through again: a name's addresses are checked at each connection.
        """
        policy = self._policy(url)
        policy.check_url(url)
        parsed = httpx.URL(url)
        policy.check_url(str(parsed))
        return parsed

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        self._clock.until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._clock.until = float("inf")

    def _retry_after(self, said: str) -> timedelta | None:
        """RFC 9110 10.2.3: seconds or a date. What cannot be read, or lies in the past, asks for nothing."""
        said = said.strip()
        if not said:
            return None
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", said, re.ASCII):
            return min(timedelta(seconds=float(said)), _LONGEST_WAIT)
        try:
            at = parsedate_to_datetime(said)
            wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - self._now()
        except (ValueError, OverflowError):
            return None
        return min(wait, _LONGEST_WAIT) if wait > timedelta(0) else None


def sign(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks 1.0.0, version v1.

    While a secret is being changed, `secret` holds the new and the old one, separated by a space: both sign.
    Raises ValueError for a secret that is not `whsec_` and 24 to 64 bytes in base64, or an id with a dot in it.
    """
    if not message_id or not message_id.isascii() or "." in message_id:
        raise ValueError("a message id is ASCII, without dots: a dot would end it early in what is signed")
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    keys = [_key(one) for one in secret.split() or [""]]
    signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:  # binascii.Error, or a letter beyond ASCII
        raise ValueError("a webhook secret is base64") from None
    if len(key) not in _SECRET_SIZES:
        raise ValueError("a webhook secret has 24 to 64 bytes")
    return key


def _policies(networks: Collection[str], ports: Collection[int]) -> Mapping[_Scheme, Policy]:
    """By scheme: https to public addresses and the operator's networks, http to the operator's networks only."""
    nowhere_else = AddressTable(
        tuple(
            Block(ip_network(every), "outside the allowed networks", "", Reach.DENIED)
            for every in ("0.0.0.0/0", "::/0")
        )
    )
    # At most two addresses of a name are tried, or the waits for each would add up.
    shared = Policy(allowed_networks=tuple(map(ip_network, networks)), max_connection_attempts=2)
    https = replace(shared, allowed_schemes=frozenset({"https"}), allowed_ports=frozenset({443, *ports}))
    http = replace(
        shared,
        allowed_schemes=frozenset({"http"}),
        allowed_ports=frozenset({80, *ports}),
        denied_networks=nowhere_else,
    )
    return {"https": https, "http": http if networks else https}


def _scheme(url: str) -> _Scheme:
    """Anything that is not http meets the policy of https, which says what is wrong with it."""
    return "http" if url[:5].lower() == "http:" else "https"


def _length(method: str, content: bytes) -> Mapping[str, str]:
    """RFC 9110 8.6: an empty POST says so, while a GET has nothing to say."""
    return {"content-length": str(len(content))} if content or method != "GET" else {}


def _said(headers: httpx.Headers) -> Mapping[str, str]:
    """The headers that are looked at, by their names in small letters; most answers have none."""
    there = _LOOKED_AT.intersection(name.decode("ascii", "ignore").lower() for name, _ in headers.raw)
    return {name: headers[name] for name in there}


def _kept(said: Mapping[str, str]) -> Mapping[str, str]:
    """What an answer carries of them; one that is absurdly long says nothing."""
    return {name: text for name, text in said.items() if name in _KEPT_HEADERS and 0 < len(text) < _LONGEST_HEADER}


def _in_clear(answer: Answer) -> Answer:
    """The same answer, unless somebody compressed it although we asked for it plain."""
    if answer.ok and not answer.reason and answer.headers.get("content-encoding", "identity").lower() != "identity":
        return replace(answer, reason="protocol", detail="the answer is compressed, and we had asked for it plain")
    return answer


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location  # no address at all: it is of another origin


def _origin(url: str) -> tuple[str, str]:
    """Scheme, host and port; the host with and without its `www.` is one."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.lower().removeprefix("www.")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "nowhere"
    except ValueError:
        return "nowhere"


def _flaw(url: str, policy: Policy, refused: SSRFGuardError) -> str:
    """Which of `_FLAWS` it is: the library tells them apart only in prose."""
    try:
        parts = urlsplit(url)
        port_may_pass = parts.port is None or parts.port in policy.allowed_ports
    except ValueError:
        return "form"
    address_is_inside = isinstance(refused.__cause__, BlockedAddressError)
    if parts.scheme not in policy.allowed_schemes or (parts.scheme == "http" and address_is_inside):
        return "scheme"
    if parts.username is not None or parts.password is not None:
        return "credentials"
    if address_is_inside:
        return "address"
    return "form" if port_may_pass else "port"


def _words(trouble: Exception) -> str:
    """Without the URL that the library repeats: it may hold a password."""
    said = getattr(trouble, "reason", "") or str(trouble) or type(trouble).__name__
    return _CONTROL.sub(" ", str(said))[:500]


def _named(trouble: Exception) -> Failure:
    """The failure's name, from the exception and from what caused it."""
    causes = list(_causes(trouble))
    by_class: dict[type[BaseException], Failure] = {
        BlockedAddressError: "refused_address",
        SSRFGuardError: "refused_url",
        httpx.InvalidURL: "refused_url",
        httpx.UnsupportedProtocol: "refused_url",
        httpx.TimeoutException: "timeout",
        httpcore.TimeoutException: "timeout",
        socket.gaierror: "dns",
        ssl.SSLError: "tls",
        httpx.ProtocolError: "protocol",
    }
    names = (name for kind, name in by_class.items() if any(isinstance(cause, kind) for cause in causes))
    return next(names, "connection")


def _causes(trouble: BaseException | None) -> Iterator[BaseException]:
    while trouble:
        yield trouble
        trouble = trouble.__cause__ or trouble.__context__
