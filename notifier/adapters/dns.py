"""What a domain publishes in the DNS."""

from __future__ import annotations

from collections.abc import Callable

import dns.exception
import dns.resolver

Texts = Callable[[str], list[str]]
PATIENCE = 5.0  # seconds


class NoAnswer(Exception):
    """No name server answers; that says nothing of the name."""


def texts_of(resolver: dns.resolver.Resolver | None = None) -> Texts:
    """Return what looks up the TXT records of a name, by the machine's own name servers or by these."""
    asked = resolver or dns.resolver.Resolver()

    def texts(name: str) -> list[str]:
        try:
            answer = asked.resolve(name, "TXT", lifetime=PATIENCE, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as trouble:
            raise NoAnswer(f"no name server answers for {name} ({type(trouble).__name__})") from None
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]

    return texts
