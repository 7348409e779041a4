"""What we serve of others is exactly what was reviewed, and brings its licence along."""

import json
from hashlib import sha256
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "notifier/web/static/vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())


def test_every_vendored_file_is_the_one_in_the_manifest() -> None:
    found = {
        folder.name: {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
        for folder in VENDOR.iterdir()
        if folder.is_dir()
    }

    assert found == {name: entry["sha256"] for name, entry in MANIFEST.items()}


def test_every_vendored_package_brings_its_licence_and_names_its_version() -> None:
    for name, entry in MANIFEST.items():
        assert any(file.startswith("LICENSE") for file in entry["sha256"])
        assert entry["package"].rpartition("@")[2] == name.rpartition("-")[2]


def test_nothing_vendored_fetches_from_elsewhere() -> None:
    stylesheets = [path.read_text() for path in VENDOR.rglob("*.css")]

    assert stylesheets
    assert not any("url(http" in text or "@import" in text or "sourceMappingURL" in text for text in stylesheets)
