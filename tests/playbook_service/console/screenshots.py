#!/usr/bin/env python3
"""Take the pictures of the console that stand in the documentation, of a fortnight that is the same each time.

    python tests/playbook_service/console/screenshots.py [--out docs/screenshots] [name ...]

PNG with a palette of at most 256 colours each, so that they stay small; needs Chromium and the development tools.
"""

from __future__ import annotations

import argparse
import base64
import struct
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "playbook_service" / "feedback"), str(Path(__file__).parent)]

from browser import NARROW, WIDE, Someone, launched, lived_in, places  # noqa: E402
from console_house import ORGADMIN, House  # noqa: E402
from playwright.sync_api import Page  # noqa: E402

OUT = ROOT / "docs" / "screenshots"
TALLEST = {"light": 1400, "dark": 1000, "narrow": 1500}
_COLOURS = """async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const data = new Uint32Array(pen.getImageData(0, 0, image.width, image.height).data.buffer);
  const often = new Map();
  for (const one of data) often.set(one, (often.get(one) || 0) + 1);
  const palette = [...often].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([one]) => one);
  const parts = palette.map((one) => [one & 255, (one >> 8) & 255, (one >> 16) & 255]);
  const nearest = new Map(palette.map((one, at) => [one, at]));
  const find = (one) => {
    const [r, g, b] = [one & 255, (one >> 8) & 255, (one >> 16) & 255];
    let best = 0, least = Infinity;
    parts.forEach(([x, y, z], at) => {
      const far = (x - r) ** 2 + (y - g) ** 2 + (z - b) ** 2;
      if (far < least) [best, least] = [at, far];
    });
    nearest.set(one, best);
    return best;
  };
  const places = Uint8Array.from(data, (one) => nearest.get(one) ?? find(one));
  const whole = await new Response(places).blob();
  const text = await new Promise((done) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.split(",")[1]);
    reader.readAsDataURL(whole);
  });
  return {width: image.width, height: image.height, palette: parts, places: text};
}"""


class Shot(NamedTuple):
    """A picture: its name, whose page it shows (`browser.places`), and how."""

    name: str
    place: str
    how: str = "light"


SHOTS = (
    Shot("sign-in", "sign-in"), Shot("now", "now"), Shot("leases", "leases"), Shot("lease", "lease"),
    Shot("approvals", "approvals"), Shot("decisions", "decisions"), Shot("decision", "decision"),
    Shot("observe", "observe"), Shot("sources", "sources"), Shot("false-positives", "false-positives"),
    Shot("playbooks", "playbooks"), Shot("playbook", "playbook"), Shot("playbook-try", "playbook-try"),
    Shot("audit", "audit"),
    Shot("now-dark", "now", "dark"), Shot("leases-dark", "leases", "dark"), Shot("decision-dark", "decision", "dark"),
    Shot("now-narrow", "now", "narrow"), Shot("leases-narrow", "leases", "narrow"),
    Shot("decision-narrow", "decision", "narrow"),
)  # fmt: skip


def take(shots: Sequence[Shot]) -> Iterator[tuple[Shot, bytes]]:
    """The pictures, each a PNG."""
    with House(lived_in()) as house, launched() as browser:
        _work_out(house)
        someone, nobody = Someone(house, browser).visit(ORGADMIN), Someone(house, browser)
        drawer = browser.new_page()
        for shot in shots:
            page = nobody.page if shot.place == "sign-in" else someone.page
            address = {**places(house.world), "sign-in": "/sign-in", "audit": "/audit"}[shot.place]
            yield shot, small(drawer, _picture(page, address, shot.how))


def _work_out(house: House) -> None:
    """What pages show only after somebody asked for it."""
    admin = house.visitor(ORGADMIN)
    for page in ("observe", "sources"):
        admin.get(f"/console/{page}")
    admin.press(admin.get("/console/audit"), "/console/audit/verify")
    trial = "/console/playbooks/malicious-ip/try"
    page = admin.get(trial)
    text = page.form(trial)["text"].replace("mode: observe", "mode: approve", 1)
    admin.press(page, trial, text=text, days="30")
    house.errands.join()
    admin.get("/console")  # what acts said was shown, and is not on the pictures


def _picture(page: Page, address: str, how: str) -> bytes:
    size = NARROW if how == "narrow" else WIDE
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="dark" if how == "dark" else "light", reduced_motion="reduce")
    page.goto(f"/console{address}")
    page.evaluate("document.activeElement.blur()")
    whole = int(page.evaluate("document.querySelector('footer').getBoundingClientRect().bottom"))
    clip: Any = {"x": 0, "y": 0, "width": size["width"], "height": min(max(whole, 500), TALLEST[how])}
    return page.screenshot(full_page=True, clip=clip)


def small(drawer: Page, png: bytes) -> bytes:
    """The same picture in 256 colours at most; a colour that is left out becomes the nearest."""
    found = drawer.evaluate(_COLOURS, "data:image/png;base64," + base64.b64encode(png).decode())
    width, height, pixels = found["width"], found["height"], base64.b64decode(found["places"])
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    palette = bytes(part for colour in found["palette"] for part in colour)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("names", nargs="*", help="only these")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    total = 0
    for shot, png in take([shot for shot in SHOTS if not arguments.names or shot.name in arguments.names]):
        (arguments.out / f"{shot.name}.png").write_bytes(png)
        total += len(png)
        print(f"{shot.name}.png: {len(png) / 1024:.0f} KB")
    print(f"{total / 1024:.0f} KB in all, in {arguments.out}")


if __name__ == "__main__":
    main()
