"""What a layer must look like: MITRE's layer file format 4.5 as a JSON schema, and what its text says besides.

Written from https://github.com/mitre-attack/attack-navigator/blob/master/layers/spec/v4.5/layerformat.md.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
NUMBER = {"type": "number"}
COLOUR = {"type": "string", "pattern": "^(#[0-9a-fA-F]{6})?$"}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(required), "additionalProperties": False
    }  # fmt: skip


def _list(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, **more}


DIVIDER = _object(("divider",), divider=FLAG)
METADATA = _list({"anyOf": [_object(("name", "value"), name=TEXT, value=TEXT), DIVIDER]})
URL = {"type": "string", "pattern": "^[a-z]+://"}
LINKS = _list({"anyOf": [_object(("label", "url"), label=TEXT, url=URL), DIVIDER]})
TECHNIQUE = _object(
    ("techniqueID",),
    techniqueID={"type": "string", "pattern": r"^T\d{4}(\.\d{3})?$"}, tactic={"type": "string", "pattern": "^[a-z-]+$"},
    comment=TEXT, enabled=FLAG, score=NUMBER, color=COLOUR, metadata=METADATA, links=LINKS, showSubtechniques=FLAG,
)  # fmt: skip
LAYOUT = _object(
    (), layout={"enum": ["side", "flat", "mini"]}, showID=FLAG, showName=FLAG, showAggregateScores=FLAG,
    countUnscored=FLAG, aggregateFunction={"enum": ["average", "min", "max", "sum"]},
    expandedSubtechniques={"enum": ["none", "all", "annotated"]},
)  # fmt: skip
LAYER = _object(
    ("name", "domain"),
    versions=_object(("navigator", "layer"), attack=TEXT, navigator=TEXT, layer={"const": "4.5"}),
    name=TEXT, description=TEXT, domain={"enum": ["enterprise-attack", "mobile-attack", "ics-attack"]},
    customDataURL=TEXT, filters=_object((), platforms=_list(TEXT)), sorting={"enum": [0, 1, 2, 3]}, layout=LAYOUT,
    hideDisabled=FLAG, techniques=_list(TECHNIQUE),
    gradient=_object(("colors", "minValue", "maxValue"), colors=_list(COLOUR, minItems=2), minValue=NUMBER,
                     maxValue=NUMBER),
    legendItems=_list(_object(("label", "color"), label=TEXT, color=COLOUR)), showTacticRowBackground=FLAG,
    tacticRowBackground=COLOUR, selectTechniquesAcrossTactics=FLAG, selectSubtechniquesWithParent=FLAG,
    selectVisibleTechniques=FLAG, metadata=METADATA, links=LINKS,
)  # fmt: skip


def faults(layer: dict[str, Any]) -> list[str]:
    """What is wrong with a layer; empty where it is as the format says."""
    found = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(LAYER).iter_errors(layer)]
    gradient, version = layer["gradient"], layer["versions"]["navigator"]
    if gradient["maxValue"] <= gradient["minValue"]:
        found.append("maxValue must be above minValue")
    if tuple(int(part) for part in version.split(".")) < (4, 9, 0):
        found.append(f"navigator must be at least 4.9.0, not {version}")
    shown = [(entry["techniqueID"], entry.get("tactic")) for entry in layer["techniques"]]
    return found + [f"{key} stands twice" for key in {key for key in shown if shown.count(key) > 1}]
