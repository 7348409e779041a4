"""An intake of bounces that can be killed at any instant: it reads files and marks each after its commit."""

import multiprocessing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from notifier.adapters.bounces import read_bounce
from notifier.models import BounceDoor
from notifier.runtime import now
from notifier.services import bounces
from tests.factories import make_runtime


def run(database_url: str, data_dir: Path, folder: Path, mail: dict[str, object]) -> None:
    runtime = make_runtime(database_url, data_dir, mail=mail)
    for file in sorted(folder.glob("*.eml")):
        content = file.read_bytes()
        report = read_bounce(content)
        with runtime.transaction() as session:
            bounces.take_in(session, runtime.desk, content, report, how=BounceDoor.FILE, now=now())
        file.rename(file.with_suffix(".done"))
    runtime.close()


def spawn(database_url: str, data_dir: Path, folder: Path, mail: dict[str, object]) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=run, args=(database_url, data_dir, folder, mail), daemon=True)
    process.start()
    return process
