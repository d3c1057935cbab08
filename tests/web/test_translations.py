import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

import frtune
from frtune.demo.translations import WORDS as DEMO_WORDS
from frtune.errors import InputError
from frtune.rating.translations import WORDS as RATING_WORDS
from frtune.review.translations import WORDS as REVIEW_WORDS
from frtune.web.translations import (
    ENGLISH_ALONE,
    ENGLISH_PATTERNS,
    LANGUAGES,
    PageLanguage,
    browser_language,
)

ROOT = Path(frtune.__file__).parent
PAGES = sorted(path.parent.name for path in ROOT.glob("*/translations.py"))


@pytest.mark.parametrize(
    ("accepted", "found"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("en;q=0.5,ko;q=0.9", "ko"),
        ("de-DE,de;q=0.9", "en"),
        ("", "en"),
        (None, "en"),
        ("fr;q=many, ko", "ko"),
    ],
)
def test_the_most_preferred_language_of_ours_is_taken(accepted, found):
    assert browser_language(accepted) == found


@pytest.mark.parametrize("words", [DEMO_WORDS, RATING_WORDS, REVIEW_WORDS])
def test_every_word_is_said_in_every_language_with_the_same_values(words):
    import string

    def values(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for key, texts in words.items():
        assert len(texts) == len(LANGUAGES) and all(texts), key
        assert len({frozenset(values(text)) for text in texts}) == 1, key


def _french():
    """Every French text of ours."""
    gradios = [*ENGLISH_ALONE.values(), *(texts for _, texts in ENGLISH_PATTERNS)]
    found = [french for french, _ in gradios]
    for page in set(PAGES) - {"web"}:
        words = import_module(f"frtune.{page}.translations").WORDS
        found += [french for _, french, _ in words.values()]
    return found


def test_no_line_of_french_breaks_beside_a_sign():
    found = _french()
    assert {"board", "demo", "rating", "review"} < set(PAGES) and len(found) > 300
    breaks = re.compile(r" [;:!?»%]|« |[\w.)][;!?»]|«[\w{]")  # 'lora_r: 16' is code
    assert [text for text in found if breaks.search(text)] == []


@pytest.mark.parametrize("place", [0, 2])
def test_a_percentage_of_ours_stands_on_one_line(place):
    words = [import_module(f"frtune.{page}.translations").WORDS for page in set(PAGES) - {"web"}]
    texts = [each[place] for group in words for each in group.values()]
    assert any("%" in text for text in texts)
    assert [text for text in texts if " %" in text] == []


def test_without_a_choice_the_request_decides():
    words = PageLanguage({"run": ("Run {n}", "Lancer {n}", "실행 {n}")})
    request = SimpleNamespace(headers={"accept-language": "ko-KR,ko"})
    assert words.say("run", request, n=2) == "실행 2"
    assert words.say("run", n=2) == "Run 2"
    assert words.i18n is not None
    assert words.label("run").to_dict()["key"] == "frtune_run"


def test_an_unknown_language_is_refused():
    with pytest.raises(InputError, match="one of en, fr, ko"):
        PageLanguage({}, "de")
