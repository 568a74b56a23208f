"""Conditions of role assignments, as far as one on role assignments needs them.

https://learn.microsoft.com/azure/role-based-access-control/conditions-format
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping

Attributes = Mapping[str, str]  # of @Request[...] and @Resource[...], by their whole text
TOKEN = re.compile(r"\s*(@\w+\[[^\]]+\]|\{[^}]*\}|[()!]|&&|\|\||[\w:]+)")
COMPARE: dict[str, Callable[[str, str], bool]] = {
    "ForAnyOfAnyValues:GuidEquals": lambda found, wanted: found.lower() == wanted.lower(),
    "ForAnyOfAnyValues:StringEqualsIgnoreCase": lambda found, wanted: found.lower() == wanted.lower(),
}


def evaluate(condition: str, action: str, attributes: Attributes) -> bool:
    """Check that an action with these attributes is allowed; a condition that is not understood is an error."""
    tokens = TOKEN.findall(condition)
    if "".join(condition.split()) != "".join("".join(tokens).split()):
        raise NotImplementedError(condition)
    parser = _Parser(tokens, action, attributes)
    result = parser.either()
    if parser.tokens:
        raise NotImplementedError(" ".join(parser.tokens))
    return result


class _Parser:
    def __init__(self, tokens: list[str], action: str, attributes: Attributes) -> None:
        self.tokens = tokens
        self.action = action
        self.attributes = attributes

    def either(self) -> bool:
        result = self.both()
        while self.tokens and self.tokens[0] in ("OR", "||"):
            self.tokens.pop(0)
            result = self.both() or result
        return result

    def both(self) -> bool:
        result = self.term()
        while self.tokens and self.tokens[0] in ("AND", "&&"):
            self.tokens.pop(0)
            result = self.term() and result
        return result

    def term(self) -> bool:
        token = self.tokens.pop(0)
        if token == "!":
            return not self.term()
        if token == "(":
            result = self.either()
            if self.tokens.pop(0) != ")":
                raise NotImplementedError("a bracket is missing")
            return result
        if token == "ActionMatches":
            return any(fnmatch.fnmatchcase(self.action.lower(), each.lower()) for each in self.values())
        if not token.startswith("@"):
            raise NotImplementedError(token)
        compare, found = COMPARE[self.tokens.pop(0)], self.attributes.get(token)
        wanted = self.values()
        return found is not None and any(compare(found, each) for each in wanted)

    def values(self) -> list[str]:
        return [each.strip().strip("'") for each in self.tokens.pop(0).strip("{}").split(",")]
