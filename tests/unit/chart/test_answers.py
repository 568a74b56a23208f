"""Answers are written in one line, and checks of an answer get the message that it was written from."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from nebari_mlflow_server.answers import CHECKS, known_to_checks, without_blanks


class Message:
    """An answer, as protobuf's messages are."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def CopyFrom(self, other: Message) -> None:  # noqa: N802
        self.text = other.text


class OtherMessage(Message):
    """An answer of another kind."""


class Handlers:
    """MLflow's module that writes answers."""

    def message_to_json(self, message: Any, *, pretty: bool = True) -> str:
        return json.dumps({"text": message.text}, indent=2 if pretty else None)


class Response:
    """Flask's, counting how often it is parsed."""

    def __init__(self, data: str) -> None:
        self.data, self.parsed = data, 0

    @property
    def json(self) -> Any:
        self.parsed += 1
        return json.loads(self.data)


class Auth:
    """MLflow's module that takes out of an answer what its reader may not see: the word `secret`."""

    def __init__(self, *, parses: bool = True) -> None:
        for name in CHECKS:
            setattr(self, name, self.check if parses else self.check_of_text)

    def parse_dict(self, values: dict[str, Any], message: Any) -> None:
        message.text = f"parsed {values}"

    def check(self, response: Any, message: Any, parts: Any) -> None:
        if not isinstance(response.json, dict):
            return
        self.parse_dict(response.json, message)
        if "secret" in parts(message):
            response.data = message.text.replace("secret", "")

    def check_of_text(self, response: Any, _message: Any, _parts: Any) -> None:
        if "secret" in response.json.get("text", ""):
            response.data = response.data.replace("secret", "")


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
def auth(handlers: Handlers) -> Auth:
    made = Auth()
    known_to_checks(made, handlers)
    return made


def test_answers_are_written_in_one_line(handlers: Handlers) -> None:
    without_blanks(handlers)
    assert handlers.message_to_json(Message("a")) == '{"text": "a"}'


def test_an_mlflow_that_only_indents_is_left_alone() -> None:
    older = SimpleNamespace(message_to_json=lambda message: f"{message.text}!")
    without_blanks(older)
    assert older.message_to_json(Message("a")) == "a!"


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize(("text", "left"), [("a secret run", "a  run"), ("a run", '{\n  "text": "a run"\n}')])
def test_a_check_takes_out_what_one_may_not_read_without_parsing(
    auth: Auth, handlers: Handlers, name: str, text: str, left: str
) -> None:
    response = Response(handlers.message_to_json(Message(text)))
    getattr(auth, name)(response, Message(), lambda message: message.text)
    assert (response.data, response.parsed) == (left, 0)


def test_a_check_of_what_was_not_just_written_parses_it(auth: Auth, handlers: Handlers) -> None:
    response = Response(handlers.message_to_json(OtherMessage("secret")))
    auth._redact_run_response(response, Message(), lambda message: message.text)  # type: ignore[attr-defined]
    assert response.data == "parsed {'text': ''}"
    assert response.parsed


def test_a_check_that_reads_the_answer_itself_gets_it(handlers: Handlers) -> None:
    auth = Auth(parses=False)
    known_to_checks(auth, handlers)
    response = Response(handlers.message_to_json(Message("a secret run")))
    auth._redact_run_response(response, Message(), None)  # type: ignore[attr-defined]
    assert "secret" not in response.data


def test_a_check_of_an_answer_gets_what_was_written(auth: Auth, handlers: Handlers) -> None:
    written, read = Message("a hundred runs"), Message()
    assert handlers.message_to_json(written, pretty=False) == '{"text": "a hundred runs"}'
    auth.parse_dict({"runs": []}, read)
    assert read.text == "a hundred runs"
    read.text = "less"
    assert written.text == "a hundred runs"


def test_what_was_not_just_written_is_parsed(auth: Auth, handlers: Handlers) -> None:
    first, second, other = Message(), Message(), OtherMessage()
    auth.parse_dict({"a": 1}, first)
    handlers.message_to_json(Message("answer"))
    auth.parse_dict({"b": 2}, other)
    auth.parse_dict({"c": 3}, second)
    auth.parse_dict({"d": 4}, second)
    assert [first.text, other.text, second.text] == ["parsed {'a': 1}", "parsed {'b': 2}", "parsed {'d': 4}"]
