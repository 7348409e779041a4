"""What a user installs is not the checkout: the wheel brings its own letters, pages and settings."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_an_installed_wheel_plays_the_whole_story(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    # The dependencies are the tests' own; a .pth file is not read from PYTHONPATH, so the checkout stays out of sight.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")}
    environment = {**clean, "PYTHONPATH": sysconfig.get_path("purelib")}

    where = [python, "-c", "import notifier; print(notifier.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert str(tmp_path / "venv") in found.stdout

    check = [str(tmp_path / "venv" / "bin" / "notifier"), "demo", "--check"]
    played = subprocess.run(
        check, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=90
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "The story went as it should" in played.stdout
