"""What pip installs is whole: a wheel in a virtual environment of its own serves, with no clone to fall back upon."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from propolis.clock import SystemClock
from propolis.http import HttpError, session

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("propolis", "playbook_service")
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since building leaves things behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    words = ["wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `propolis` of an environment that has the wheel, and borrows the libraries of this one: named in a
    .pth file, their folder is searched, but what makes this clone importable from there is not read."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    words = ["--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), *words], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home / "bin" / "propolis"


def clean() -> dict[str, str]:
    """The environment without what leads to the clone or to settings."""
    return {name: text for name, text in os.environ.items() if not re.match("PYTHONPATH$|PROPOLIS_", name)}


def test_it_carries_every_file_of_the_packages_that_is_no_python(wheel: Path):
    shipped = set(zipfile.ZipFile(wheel).namelist())
    here = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and not re.search(r"/\.", str(path.relative_to(ROOT)))
    }
    assert {"playbook_service/console/static/console.css", "propolis/sources.yml"} <= here
    assert sorted(here - shipped) == []


def test_it_is_imported_from_where_pip_put_it(installed: Path, tmp_path: Path):
    python = installed.with_name("python")
    code = "import playbook_service, propolis; print(playbook_service.__file__, propolis.__file__)"
    words = [str(python), "-W", "error", "-c", code]
    told = subprocess.run(words, cwd=tmp_path, env=clean(), capture_output=True, text=True, check=True).stdout
    assert all(path.startswith(str(installed.parents[1])) for path in told.split()), told


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of `propolis serve`, with nothing but what it needs to begin; TheHive is away."""
    settings = f"listen: 127.0.0.1:0\ndata_dir: {tmp_path}/data\nthehive_url: http://127.0.0.1:9\nthehive_key: none\n"
    (tmp_path / "propolis.yml").write_text(settings, encoding="utf-8")
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen([str(installed), "serve"], cwd=tmp_path, env=clean(), stderr=stream)
    try:
        yield _address(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text(encoding="utf-8")


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = CLOCK.monotonic() + 60
    while CLOCK.monotonic() < end:
        said = re.search(r"propolis listens on 127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        if said:
            return f"http://127.0.0.1:{said[1]}"
        assert process.poll() is None, log.read_text(encoding="utf-8")
        CLOCK.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def test_it_serves_health_console_and_metrics(served: str):
    with session(served) as client:
        assert client.get("/healthz").json() == {"ok": True}
        assert 'name="secret"' in client.get("/console/sign-in").text
        for name in ("console.css", "console.js", "icon.svg"):
            shipped = (ROOT / "playbook_service" / "console" / "static" / name).read_text(encoding="utf-8")
            assert shipped.strip() in client.get(f"/console/static/{name}").text
        assert "propolis_build_info{" in client.get("/metrics").text
        with pytest.raises(HttpError):
            client.get("/console/static/console.py")


def test_the_rest_of_it_works_without_a_clone_too(installed: Path, tmp_path: Path):
    """What reads shipped files: playbooks, samples, the registry of backends, the sources of verdicts."""
    for words in (["lint"], ["backends"], ["replay", "--samples"], ["attack-coverage", "--help"]):
        done = subprocess.run(
            [str(installed), *words], cwd=tmp_path, env=clean(), capture_output=True, text=True, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        assert done.stdout
