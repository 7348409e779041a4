"""A web process that can be killed at any instant, forked from a server that has imported everything."""

import multiprocessing
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from waitress.server import create_server

from tests.factories import make_app, make_runtime


def run(database_url: str, data_dir: Path, port: int) -> None:
    app = make_app(make_runtime(database_url, data_dir))
    create_server(app, host="127.0.0.1", port=port, threads=4, ident=None).run()


def spawn(database_url: str, data_dir: Path, port: int) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=run, args=(database_url, data_dir, port), daemon=True)
    process.start()
    return process
