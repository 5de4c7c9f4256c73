"""What a set of playbooks looks at in an alert, read as one hashable value.

Most alerts have hardly any of the fields that playbooks ask about. So a field is looked up in full only where the first
two steps of its path are there, or where a key with a dot in it might stand for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from playbook_service.playbook.field import Context, Lookup, compile_field


class Projection:
    """Fields of an alert, by their paths (`alert.rule.level`, `alert.data.aws.type`)."""

    def __init__(self, paths: Iterable[str]):
        self._shallow: list[tuple[str, str, Lookup]] = []
        self._deep: dict[tuple[str, str], list[Lookup]] = {}
        self._others: list[Lookup] = []
        for path in sorted(set(paths)):
            _, *steps = path.split(".")
            if len(steps) == 2:
                self._shallow.append((steps[0], steps[1], compile_field(path)))
            elif len(steps) > 2:
                self._deep.setdefault((steps[0], steps[1]), []).append(compile_field(path))
            else:
                self._others.append(compile_field(path))

    def of(self, fields: dict[str, Any]) -> tuple[Any, ...]:
        """The values. Equal values mean that the playbooks see the same alert; it may not be hashable."""
        context = {"alert": fields}
        values = [self._value(fields, step, name, look, context) for step, name, look in self._shallow]
        for (step, name), lookups in self._deep.items():
            node = fields.get(step)
            if type(node) is not dict or name in node or "." in "".join(node):
                values.append(tuple([tuple(look(context)) for look in lookups]))
            else:
                values.append(None)
        values += [tuple(look(context)) for look in self._others]
        return tuple(values)

    @staticmethod
    def _value(fields: dict[str, Any], step: str, name: str, look: Lookup, context: Context) -> Any:
        node = fields.get(step)
        if type(node) is not dict:
            return tuple(look(context))
        value = node.get(name)
        return tuple(value) if type(value) is list else value
