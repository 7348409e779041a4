"""Mails that came back, damaged in eight ways, and a reader that says what each cost: for a process of its own."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from notifier.adapters.bounces import read_bounce

EVIL = (
    b"To: " + b"(" * 1000,
    b"To: " + b"a," * 2000,
    b"From: \xff\xfe\x00 <@@>",
    b'Content-Type: multipart/mixed; boundary=""',
    b"Content-Type: multipart/report; boundary=" + b"x" * 300,
    b'Content-Type: text/plain; charset="rot13"',
    b"Content-Type: text/plain; charset*0*=''%00%ff",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: x-uuencode",
    b"Subject: =?utf-8?b?////?= =?x-unknown?q?=ZZ?= =?utf-7?q?+AAA?=",
    b"X-Failed-Recipients: ,,,<>,@,a@,@b",
    b"Return-Path: <>",
    b"Diagnostic-Code: ;;;;",
    b"Final-Recipient: rfc822",
    b"Auto-Submitted: auto-replied",
    b": : :",
)
Mutator = Callable[[random.Random, bytes, bytes], bytes]


def truncate(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    del other
    return mail[: chance.randrange(len(mail) + 1)]


def change_bytes(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    del other
    changed = bytearray(mail)
    for _ in range(chance.randint(1, 50)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def delete_lines(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    del other
    share = chance.random()
    return b"\n".join(line for line in mail.split(b"\n") if chance.random() > share / 2)


def shuffle_lines(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    del other
    lines = mail.split(b"\n")
    start = chance.randrange(len(lines))
    some = lines[start : start + chance.randint(2, 40)]
    chance.shuffle(some)
    return b"\n".join([*lines[:start], *some, *lines[start + len(some) :]])


def splice(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    return mail[: chance.randrange(len(mail) + 1)] + other[chance.randrange(len(other) + 1) :]


def swap_headers(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    heads = [one.partition(b"\n\n")[0].split(b"\n") for one in (mail, other)]
    names = [line.partition(b":")[0] for line in chance.choice(heads)]
    swapped = [chance.choice(names) + b":" + line.partition(b":")[2] for line in heads[0]]
    return b"\n".join(swapped) + b"\n\n" + mail.partition(b"\n\n")[2]


def repeat(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    del other
    start = chance.randrange(len(mail) + 1)
    piece = mail[start : start + chance.randint(1, 400)]
    return mail[:start] + piece * chance.randint(2, 500) + mail[start:]


def add_evil_headers(chance: random.Random, mail: bytes, other: bytes) -> bytes:
    del other
    lines = mail.split(b"\n")
    for _ in range(chance.randint(1, 4)):
        lines.insert(chance.randrange(min(len(lines), 30) + 1), chance.choice(EVIL))
    return b"\n".join(lines)


MUTATORS: Sequence[Mutator] = (
    truncate,
    change_bytes,
    delete_lines,
    shuffle_lines,
    splice,
    swap_headers,
    repeat,
    add_evil_headers,
)


def mutants(mails: Sequence[bytes], number: int, seed: int = 17) -> Iterator[tuple[str, bytes]]:
    """Each mutator in turn, with its name; the same ones for the same seed."""
    chance = random.Random(seed)
    for turn in range(number):
        mutator = MUTATORS[turn % len(MUTATORS)]
        yield mutator.__name__, mutator(chance, chance.choice(mails), chance.choice(mails))


def read_at_cost(data: bytes) -> dict[str, Any]:
    """The kind, and what it took of a processor in seconds."""
    begun = time.process_time()
    found = read_bounce(data)
    seconds = time.process_time() - begun
    return {"kind": found.kind.value, "seconds": seconds}
