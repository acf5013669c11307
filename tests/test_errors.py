from __future__ import annotations

import pickle

from tdseg.errors import MOST_TEXT, ConfigError, shortened, visible


def test_what_steers_a_terminal_is_spelled_out() -> None:
    assert visible("a\x1b[31mb\x07\x9b\u202e\udcff") == "a\\x1b[31mb\\x07\\x9b\\u202e\\udcff"
    assert visible("mäßig\t\n東京") == "mäßig\t\n東京"
    assert str(ConfigError("\x1b]0;x\x07", expected="\x00", do="\x7f")).isprintable() is False  # of its new lines alone
    assert not set(str(ConfigError("\x1b]0;x\x07", expected="\x00", do="\x7f"))) & set("\x1b\x07\x00\x7f")


def test_long_texts_keep_both_ends() -> None:
    text = shortened("begin" + "x" * 10**6 + "end")
    assert len(text) <= MOST_TEXT
    assert text.startswith("beginxxx")
    assert text.endswith("xxxend")
    assert "1000008 characters" in text
    assert shortened("x" * MOST_TEXT) == "x" * MOST_TEXT
    assert len(str(ConfigError("x" * 10**6, expected="y" * 10**6, do="z" * 10**6))) < 4000


def test_errors_survive_pickling() -> None:
    error = ConfigError("a\x1b", expected="b", do="c" * 5000)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
