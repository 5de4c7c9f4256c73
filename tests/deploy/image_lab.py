"""Build the project's Dockerfiles for real, without a Docker engine or a registry, and run what comes out.

Buildah (Debian) carries every instruction out. What it cannot have here is the base image, so a Debian with Python
takes its place by the `PYTHON_IMAGE` argument. A container is then started the hard way: read-only root, the image's
own user, no capability, no new privileges, and a network with nothing but this machine in it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BASE = "localhost/propolis-test-base"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
SETPRIV = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs")


def ignored(context: Path) -> None:
    """What may lie about in somebody's working copy and must not get into an image."""
    (context / "secrets").mkdir()
    (context / "secrets" / "thehive.key").write_text("canary-key", encoding="utf-8")
    (context / "propolis.yml").write_text("thehive_key: canary-key\n", encoding="utf-8")
    (context / "propolis" / "__pycache__").mkdir(exist_ok=True)
    (context / "propolis" / "__pycache__" / "left.cpython-311.pyc").write_bytes(b"canary-key")


def copy_context(root: Path, target: Path) -> Path:
    """The build context as a clone has it, with a few things in it that do not belong there."""
    for name in ("analyzers", "responders", "propolis", "playbook_service", "deploy"):
        shutil.copytree(root / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", ".dockerignore", "Dockerfile.analyzers", "Dockerfile.service"):
        shutil.copyfile(root / name, target / name)
    ignored(target)
    return target


class Images:
    """A store of images in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._base = (
            "buildah",
            *("--root", str(folder / "root"), "--runroot", str(folder / "run")),
            *("--storage-driver", "vfs"),
        )

    def buildah(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of buildah."""
        done = subprocess.run([*self._base, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, (
            f"buildah {' '.join(words)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done

    def make_base(self) -> None:
        """A small Debian with Python, in the place of the official image."""
        tar = self.folder / "base.tar"
        packages = "--include=python3,python3-venv,python3-pip,ca-certificates"
        slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
        subprocess.run(
            ["mmdebstrap", "--variant=minbase", packages, *slim, "--quiet", "bookworm", str(tar)],
            check=True,
            capture_output=True,
        )
        name = self.buildah("from", "scratch").stdout.strip()
        place = Path(self.buildah("mount", name).stdout.strip())
        subprocess.run(["tar", "-C", str(place), "-xf", str(tar)], check=True)
        if CA_BUNDLE.exists():  # where a company's proxy answers for the registries, its certificate must be known
            shutil.copyfile(CA_BUNDLE, place / CA_BUNDLE.relative_to("/"))
        self.buildah("commit", "--quiet", "--disable-compression", "--rm", name, BASE)
        tar.unlink()

    def build(
        self, context: Path, dockerfile: str, tag: str, check: bool = True, **arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Build one Dockerfile; times are set to 0, as BuildKit does with SOURCE_DATE_EPOCH and rewrite-timestamp."""
        given = {"PYTHON_IMAGE": BASE, **arguments}
        flags = [word for name, value in given.items() for word in ("--build-arg", f"{name}={value}")]
        return self.buildah(
            "bud",
            *("--isolation", "chroot", "--network", "host", "--format", "docker", "--timestamp", "0"),
            *("--pull-never", "-f", str(context / dockerfile), *flags, "-t", tag, str(context)),
            check=check,
        )

    def layers(self, tag: str) -> list[str]:
        """The digests of an image's layers: what is in it, byte for byte."""
        found: list[str] = self._inspect(tag)["OCIv1"]["rootfs"]["diff_ids"]
        return found

    def config(self, tag: str) -> dict[str, Any]:
        """The image's configuration as a Docker engine reads it."""
        found: dict[str, Any] = self._inspect(tag)["Docker"]["config"]
        return found

    def _inspect(self, tag: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", tag).stdout)
        return found

    def open(self, tag: str) -> Container:
        """A container of an image, not yet started."""
        name = self.buildah("from", "--pull-never", tag).stdout.strip()
        return Container(Path(self.buildah("mount", name).stdout.strip()), self.config(tag))


def mount_steps(place: Path, below: Mapping[str, Path]) -> list[str]:
    """Shell lines that make a folder a root of its own, with what lies `below` it mounted read-only.

    The order counts: `/usr` before `/usr/local`. Then `/dev/null`, which a shell wants, and no other device.
    """
    steps = [f"mount --bind {place} {place}"]
    for inside, outside in below.items():
        steps += [f"mount --bind {outside} {place}{inside}", f"mount -o remount,ro,bind {place}{inside}"]
    if below:
        steps += [f"touch {place}/dev/null", f"mount --bind /dev/null {place}/dev/null"]
    return steps


class Container:
    """The root of a container and the image's configuration; `below` is what the root does not hold itself."""

    def __init__(self, place: Path, config: dict[str, Any], below: Mapping[str, Path] | None = None):
        self.place = place
        self.config = config
        self.below = below or {}
        self.user, self.group = (int(number) for number in config["User"].split(":"))

    def folder(self, path: Path, mode: int = 0o700) -> Path:
        """A folder outside that belongs to the image's user, with what is in it."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        for each in (path, *path.rglob("*")):
            os.chown(each, self.user, self.group)
        return path

    def command(
        self, words: list[str], mounts: Mapping[str, Path], environment: Mapping[str, str] | None = None
    ) -> list[str]:
        """The argument list that starts `words` in this container; `mounts` are the only places that can be written."""
        image = dict(entry.split("=", 1) for entry in self.config["Env"])
        variables = [f"{name}={value}" for name, value in {**image, **(environment or {})}.items()]
        steps = ["set -eu", *mount_steps(self.place, self.below)]
        for inside, outside in mounts.items():
            (self.place / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)
            steps.append(f"mount --bind {outside} {self.place}{inside}")
        steps += [f"mount -o remount,ro,bind {self.place}", "ip link set lo up 2>/dev/null || true", 'exec "$@"']
        workdir = self.config.get("WorkingDir") or "/"
        inner = ["env", "-i", *variables, "sh", "-c", f'cd {workdir} && exec "$@"', "sh", *words]
        drop = [*SETPRIV, f"--reuid={self.user}", f"--regid={self.group}", "--clear-groups"]
        return [
            *("unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", "\n".join(steps), "sh"),
            *("chroot", str(self.place), *drop, *inner),
        ]

    def run(
        self, words: list[str], mounts: Mapping[str, Path] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return subprocess.run(
            self.command(words, mounts or {}, environment), capture_output=True, text=True, check=False, timeout=120
        )

    def job(self, folder: Path, content: dict[str, Any]) -> dict[str, Any]:
        """One job as Cortex's Docker runner gives it: the folder at /job (mode 700), `/job` as the argument."""
        (folder / "input").mkdir(parents=True)
        (folder / "output").mkdir()
        (folder / "input" / "input.json").write_text(json.dumps(content), encoding="utf-8")
        self.folder(folder)
        done = self.run([*self.config["Entrypoint"], "/job"], {"/job": folder})
        output = folder / "output" / "output.json"
        assert output.is_file(), f"no report: {done.stdout}{done.stderr}"
        report: dict[str, Any] = json.loads(output.read_text("utf-8"))
        return report

    def health(self, data: Path) -> subprocess.CompletedProcess[str]:
        """The image's own health check before its service listens and after; then the service is told to end.

        Prints the three exit codes."""
        kind, *words = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        script = (
            "import subprocess\n"
            f"health = {words!r}\n"
            "before = subprocess.run(health).returncode\n"
            f"service = subprocess.Popen({[*self.config['Entrypoint'], *self.config['Cmd']]!r}, "
            "stderr=subprocess.PIPE, text=True)\n"
            "for line in service.stderr:\n"
            "    if 'propolis listens on' in line: break\n"
            "after = subprocess.run(health).returncode\n"
            "service.terminate(); service.stderr.read()\n"
            "print(before, after, service.wait(30))\n"
        )
        return self.run(
            ["python3", "-c", script],
            {"/var/lib/propolis": self.folder(data)},
            PROPOLIS_LISTEN="0.0.0.0:8080",
            PROPOLIS_WEBHOOK_TOKEN="t" * 32,
            PROPOLIS_THEHIVE_URL="http://127.0.0.1:9",
            PROPOLIS_THEHIVE_KEY="k" * 32,
        )


def job(data: Any, data_type: str, **config: Any) -> dict[str, Any]:
    """The input of a job as Cortex writes it."""
    return {
        "data": data, "dataType": data_type, "tlp": 2, "pap": 2, "message": "128",
        "parameters": {"organisation": "soc", "user": "analyst"}, "config": config,
    }  # fmt: skip
