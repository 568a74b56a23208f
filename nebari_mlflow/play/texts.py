"""Variables as YAML for Ansible, which evaluates no text in it as a template unless it is a `Template`.

The configuration's texts are data. Ansible itself takes every text of a file of variables for a template, keys
included, except those with the tag `!unsafe`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = "tag:yaml.org,2002:str"
DATA = "!unsafe"


class Template(str):
    """A text that Ansible may evaluate, because it stands in a file of Ansible variables."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Tags every text as data that Ansible would read as a text.

    Ansible forgets the quotes below the tag: with it, the text "123" would become a number.
    """

    def tagged(self, text: str) -> bool:
        return _type_of(self, yaml.ScalarNode, text) == TEXT

    def ignore_aliases(self, _data: Any) -> bool:
        return True


class _Readable(_Dumper):
    """Tags only what could be a template, so that a reviewer reads the rest as usual."""

    def tagged(self, text: str) -> bool:
        return "{" in text


class _Loader(yaml.SafeLoader):
    """Reads a file of Ansible variables: its texts are templates, unless they are tagged as data."""

    below_data = 0


def _type_of(resolver: Any, kind: type[yaml.Node], value: Any) -> str:
    """Return the tag that a value without quotes and tag has."""
    return str(resolver.resolve(kind, value, (True, False)))


def _represent(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(DATA if dumper.tagged(text) else TEXT, text)


def _construct(loader: _Loader, node: yaml.ScalarNode) -> str:
    text = loader.construct_scalar(node)
    return str(text) if loader.below_data else Template(text)


def _construct_data(loader: _Loader, node: yaml.Node) -> Any:
    """Read a value as Ansible reads it below the tag."""
    untagged = copy.copy(node)
    untagged.tag = _type_of(loader, type(node), node.value)
    loader.below_data += 1
    try:
        return loader.construct_object(untagged, deep=True)
    finally:
        loader.below_data -= 1


_Dumper.add_representer(str, _represent)
_Dumper.add_representer(Template, lambda dumper, text: dumper.represent_str(str(text)))
_Loader.add_constructor(TEXT, _construct)
_Loader.add_constructor(DATA, _construct_data)


def dump(variables: Mapping[str, Any], *, readable: bool = False) -> str:
    """Return a file of variables. Their names are never templates, and so need no tag."""
    named = {Template(name): value for name, value in variables.items()}
    return str(
        yaml.dump(
            named, Dumper=_Readable if readable else _Dumper, sort_keys=True, default_flow_style=False, width=2**20
        )
    )


def load(text: str) -> Any:
    """Read a file of Ansible variables."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
