"""The expressions of a workflow file, as far as ours uses them: names, a default, a comparison."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from infrastructure.processes import InfrastructureError

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_DEFAULT = re.compile(r"(?P<name>[\w.-]+)\s*\|\|\s*'(?P<text>[^']*)'")
_COMPARISON = re.compile(r"(?P<name>[\w.-]+)\s*(?P<operator>==|!=)\s*'(?P<text>[^']*)'")


@dataclass(slots=True)
class Values:
    """What expressions may name. As on GitHub, a secret or an output that is not there is empty.

    Attributes:
        env: Of the job.
        outputs: Of each step with an id that the job has, by that id.
    """

    secrets: dict[str, str]
    run_number: int
    env: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def text(self, written: str) -> str:
        """Return a text with its expressions replaced by their values.

        Raises:
            InfrastructureError: One is none that we know; the message names it.

        >>> Values({"AT": "here"}, 7).text("${{ secrets.AT }}: ${{github.run_number}}")
        'here: 7'
        >>> Values({}, 7).text("${{ secrets.AT || 'there' }}")
        'there'
        """
        return _EXPRESSION.sub(lambda found: self._value(found[1].strip()), written)

    def holds(self, condition: str) -> bool:
        """Say whether the `if` of a step holds.

        Raises:
            InfrastructureError: It is none that we know.

        >>> Values({}, 7, outputs={"gate": {"verdict": "passed"}}).holds(
        ...     "steps.gate.outputs.verdict == 'passed'"
        ... )
        True
        """
        whole = _EXPRESSION.fullmatch(condition.strip())
        found = _COMPARISON.fullmatch((whole[1] if whole else condition).strip())
        if found is None:
            raise InfrastructureError(f"`if: {condition}` can't be judged here")
        return (self._named(found["name"]) == found["text"]) == (found["operator"] == "==")

    def _value(self, expression: str) -> str:
        found = _DEFAULT.fullmatch(expression)
        if found is None:
            return self._named(expression)
        return self._named(found["name"]) or found["text"]

    def _named(self, name: str) -> str:
        match name.split("."):
            case ["secrets", key]:
                return self.secrets.get(key, "")
            case ["env", key]:
                return self.env.get(key, "")
            case ["github", "run_number"]:
                return str(self.run_number)
            case ["steps", step, "outputs", key] if step in self.outputs:
                return self.outputs[step].get(key, "")
        raise InfrastructureError(f"the expression `{name}` is not known here")
