"""What a look at an installation finds, and what the records of a mail domain are worth to those who get its mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, and will cause trouble
    FAILED = "failed"  # something does not work, or a promise does not hold


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it."""

    what: str
    level: Level
    said: str
    todo: str = ""


def fine(what: str, said: str) -> Finding:
    return Finding(what, Level.OK, said)


def warning(what: str, said: str, todo: str) -> Finding:
    return Finding(what, Level.WARNING, said, todo)


def failed(what: str, said: str, todo: str) -> Finding:
    return Finding(what, Level.FAILED, said, todo)


def judge_spf(domain: str, texts: Sequence[str]) -> Finding:
    """Judge the policy on who may send for a domain (RFC 7208), by the TXT records of the domain itself."""
    what = f"SPF of {domain}"
    found = [text for text in texts if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]
    if not found:
        return warning(what, "no record", "publish a TXT record such as “v=spf1 include:<your relay> -all”")
    if len(found) > 1:
        todo = "leave one: receivers take several for an error (RFC 7208, 4.5)"
        return failed(what, f"{len(found)} records", todo)
    terms = found[0].lower().split()[1:]
    if {"+all", "all"} & set(terms):
        return failed(what, found[0], "end it with -all or ~all: as it is, anybody may send in this name")
    if not any(term.endswith("all") or term.startswith("redirect=") for term in terms):
        return warning(what, found[0], "end it with -all or ~all, so that mail from elsewhere is told apart")
    return fine(what, found[0])


def judge_dkim(name: str, texts: Sequence[str]) -> Finding:
    """Judge a key by which signatures are checked (RFC 6376, 3.6.1): TXT of <selector>._domainkey.<domain>."""
    what = f"DKIM {name}"
    tags = _tags("".join(texts))
    if not texts:
        return failed(what, "no record", "publish the public key that your relay names, or correct the selector")
    if "p" not in tags:
        return failed(what, "the record holds no key", "publish the record as your relay writes it")
    if not tags["p"]:
        return failed(what, "the key is revoked", "publish the key of the selector that is in use")
    if "y" in tags.get("t", "").split(":"):
        return warning(what, "the key is marked as a test", "take “t=y” out of the record")
    return fine(what, f"a key ({tags.get('k', 'rsa')})")


def judge_dmarc(domain: str, texts: Sequence[str]) -> Finding:
    """Judge what receivers are asked to do with mail that fails both (RFC 7489): TXT of _dmarc.<domain>."""
    what = f"DMARC of {domain}"
    found = [text for text in texts if text.replace(" ", "").lower().startswith("v=dmarc1")]
    if not found:
        todo = f"publish a TXT record at _dmarc.{domain}, such as “v=DMARC1; p=quarantine”: large receivers ask for one"
        return warning(what, "no record", todo)
    if len(found) > 1:
        return failed(what, f"{len(found)} records", "leave one: receivers take several for none")
    policy = _tags(found[0]).get("p", "").lower()
    if policy not in {"none", "quarantine", "reject"}:
        return failed(what, found[0], "write p=none, p=quarantine or p=reject")
    if policy == "none":
        todo = "once reports show that your own mail passes, write p=quarantine or p=reject"
        return warning(what, found[0], todo)
    return fine(what, found[0])


def parents(domain: str) -> list[str]:
    """Return a domain and those above it that may speak for it, the nearest first; no top-level domain."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, equals, value in pairs if equals}
