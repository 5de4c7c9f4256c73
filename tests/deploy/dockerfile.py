"""Carry a Dockerfile's own steps out in throw-away roots, without an engine, a registry or Buildah.

Every instruction is read from the file: RUN is executed by `sh -c` with a root, an environment and a user of its own,
COPY copies from the context (as `.dockerignore` lets it) or from another stage, the rest makes the configuration that
an engine would keep. In the place of the base image stands this machine's `/usr`, read-only, with Debian's Python and
a pip in `/usr/local`, as in the official image. No step has a network: the wheels that a lock names are fetched before.

Meaning of the instructions: Dockerfile reference, https://docs.docker.com/reference/dockerfile/.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from image_lab import Container, mount_steps

PYTHON = Path("/usr/bin/python3")
PATH = "/usr/local/bin:/usr/bin:/bin"
_FLAG = re.compile(r"--(\w[\w-]*)=(\S+)\s+")


class Step(NamedTuple):
    """One instruction."""

    line: int
    word: str
    flags: Mapping[str, str]
    text: str


class StepFailed(AssertionError):
    """A RUN step that ended with another code than 0, or an instruction that this reader does not know."""


def read(text: str) -> Iterator[Step]:
    """The instructions of a Dockerfile. A comment may stand between the lines of one; a backslash ends no line."""
    whole, begun = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun if whole else number
        if line.endswith("\\"):
            whole += line[:-1]
            continue
        word, _, rest = (whole + line).partition(" ")
        flags: dict[str, str] = {}
        while found := _FLAG.match(rest):
            flags[found[1]] = found[2]
            rest = rest[found.end() :]
        yield Step(begun, word, flags, rest.strip())
        whole = ""


def filled(text: str, variables: Mapping[str, str]) -> str:
    """`${NAME}` replaced, also by nothing."""
    return re.sub(r"\$\{(\w+)\}", lambda found: variables.get(found[1], ""), text)


class Context:
    """A build context: the files below a folder that its `.dockerignore` lets through, the last rule that fits wins."""

    def __init__(self, folder: Path):
        self.folder = folder
        lines = (folder / ".dockerignore").read_text("utf-8").splitlines()
        rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        self._rules = [(rule.startswith("!"), _pattern(rule.removeprefix("!"))) for rule in rules]

    def has(self, path: Path) -> bool:
        """Whether a file below the folder is part of the context."""
        name = path.relative_to(self.folder).as_posix()
        return ([kept for kept, rule in self._rules if rule.match(name)] or [True])[-1]

    def files(self, source: Path) -> Iterable[Path]:
        """A file, or all files below a folder."""
        found = source.rglob("*") if source.is_dir() else [source]
        return [path for path in found if path.is_file() and self.has(path)]


def _pattern(rule: str) -> re.Pattern[str]:
    """A rule also fits everything below what it names."""
    parts = {"**/": "(?:.*/)?", "*": "[^/]*", "[co]": "[co]"}
    text = re.sub(r"\*\*/|\*|\[co\]|.", lambda found: parts.get(found[0], re.escape(found[0])), rule)
    return re.compile(f"{text}(?:/.*)?$")


class Base:
    """What stands for the base image: this machine's `/usr`, and a pip that finds the wheels of the locks."""

    def __init__(self, folder: Path):
        self.folder = folder
        subprocess.run([str(PYTHON), "-m", "venv", str(folder / "local")], check=True)
        (folder / "wheels").mkdir()
        self.below = {"/usr": Path("/usr"), "/usr/local": folder / "local"}

    def fetch(self, lock: Path) -> None:
        """Fetch what a lock names, by whatever index this machine's pip is set to."""
        pip = [str(self.folder / "local" / "bin" / "python3"), "-m", "pip", "download", "--quiet", "--no-deps"]
        words = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock), "-d", str(self.folder / "wheels")]
        subprocess.run([*pip, *words], check=True, stdout=subprocess.DEVNULL)

    def root(self, place: Path) -> Path:
        """An empty root above it."""
        for name in ("dev", "etc", "opt", "proc", "root", "tmp", "usr", "var"):
            (place / name).mkdir(parents=True)
        (place / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            (place / name).symlink_to(f"usr/{name}")
        (place / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", "utf-8")
        (place / "etc" / "group").write_text("root:x:0:\n", "utf-8")
        return place


class Stage:
    """One `FROM`: a root, and what is set in it."""

    def __init__(self, place: Path):
        self.place = place
        self.arguments: dict[str, str] = {}
        self.environment = {"PATH": PATH}
        self.user = "0:0"
        self.workdir = "/"
        self.config: dict[str, Any] = {"Labels": {}}

    @property
    def variables(self) -> dict[str, str]:
        """What an instruction sees; the environment wins over arguments."""
        return {**self.arguments, **self.environment}


class Build:
    """One run of one Dockerfile."""

    def __init__(self, base: Base, context: Context, folder: Path, arguments: Mapping[str, str]):
        self._base = base
        self._context = context
        self._folder = folder
        self._given = arguments
        self._global: dict[str, str] = {}
        self._stages: dict[str, Stage] = {}

    def run(self, dockerfile: str) -> Container:
        """All steps; the container of the last stage. Raises StepFailed."""
        stage: Stage | None = None
        for step in read((self._context.folder / dockerfile).read_text("utf-8")):
            if step.word == "FROM":
                stage = self._from(step)
            elif stage is None:
                name, _, default = step.text.partition("=")
                self._global[name] = self._given.get(name, default)
            else:
                method = getattr(self, f"_{step.word.lower()}", None)
                if method is None:
                    raise StepFailed(f"{dockerfile}:{step.line}: {step.word} is not known to this reader")
                method(stage, step)
        if stage is None:
            raise StepFailed(f"{dockerfile}: no FROM")
        stage.config |= {"User": stage.user, "WorkingDir": stage.workdir}
        stage.config["Env"] = [f"{name}={value}" for name, value in stage.environment.items()]
        return Container(stage.place, stage.config, self._base.below)

    def _from(self, step: Step) -> Stage:
        name = step.text.partition(" AS ")[2] or f"stage{len(self._stages)}"
        self._stages[name] = Stage(self._base.root(self._folder / name))
        return self._stages[name]

    def _arg(self, stage: Stage, step: Step) -> None:
        name, given, default = step.text.partition("=")
        value = self._given.get(name, default if given else self._global.get(name))
        if value is not None:
            stage.arguments[name] = value

    def _env(self, stage: Stage, step: Step) -> None:
        for pair in step.text.split():
            name, _, value = filled(pair, stage.variables).partition("=")
            stage.environment[name] = value

    def _label(self, stage: Stage, step: Step) -> None:
        pairs = re.findall(r'(\S+)="([^"]*)"', filled(step.text, stage.variables))
        stage.config["Labels"].update(pairs)

    def _user(self, stage: Stage, step: Step) -> None:
        stage.user = filled(step.text, stage.variables)

    def _workdir(self, stage: Stage, step: Step) -> None:
        stage.workdir = filled(step.text, stage.variables)
        (stage.place / stage.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _volume(self, stage: Stage, step: Step) -> None:
        stage.config["Volumes"] = {step.text: {}}

    def _expose(self, stage: Stage, step: Step) -> None:
        stage.config["ExposedPorts"] = {f"{step.text}/tcp": {}}

    def _stopsignal(self, stage: Stage, step: Step) -> None:
        stage.config["StopSignal"] = step.text

    def _entrypoint(self, stage: Stage, step: Step) -> None:
        stage.config["Entrypoint"] = json.loads(step.text)

    def _cmd(self, stage: Stage, step: Step) -> None:
        stage.config["Cmd"] = json.loads(step.text)

    def _healthcheck(self, stage: Stage, step: Step) -> None:
        kind, _, rest = step.text.partition(" ")
        stage.config["Healthcheck"] = {"Test": ["NONE"] if kind == "NONE" else [kind, *json.loads(rest)]}

    def _copy(self, stage: Stage, step: Step) -> None:
        *sources, target = filled(step.text, stage.variables).split()
        for name in sources:
            origin = self._stages[step.flags["from"]].place if "from" in step.flags else self._context.folder
            source = origin / name.lstrip("/")
            place = stage.place / target.lstrip("/")
            if "from" in step.flags and source.is_dir():
                shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
                continue
            files = self._context.files(source) if "from" not in step.flags else [source]
            if not files:
                raise StepFailed(f"line {step.line}: the context has no {name}")
            for path in files:
                inside = place / path.relative_to(source) if source.is_dir() else place
                inside.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, inside)
                if "chmod" in step.flags:
                    inside.chmod(int(step.flags["chmod"], 8))

    def _run(self, stage: Stage, step: Step) -> None:
        wheels = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PIP_CONFIG_FILE": "/dev/null"}
        variables = {"HOME": "/root", **wheels, **stage.variables}
        user, group = stage.user.split(":")
        (stage.place / "wheels").mkdir(exist_ok=True)
        below = {**self._base.below, "/wheels": self._base.folder / "wheels"}
        script = "\n".join(["set -eu", *mount_steps(stage.place, below), 'exec "$@"'])
        inner = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        inner += ["sh", "-c", f'cd {stage.workdir} && exec sh -c "$1"', "sh", step.text]
        drop = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
        words = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script, "sh"]
        done = subprocess.run(
            [*words, "chroot", str(stage.place), *drop, *inner],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        (stage.place / "wheels").rmdir()
        if done.returncode:
            raise StepFailed(f"line {step.line}: RUN ended with {done.returncode}: {done.stdout}{done.stderr}")
