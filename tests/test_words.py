import random
import unicodedata

import pytest

from frtune.data.fingerprints import Letters
from frtune.data.measures import is_present
from frtune.metrics import keyphrase_scores
from frtune.metrics.phrases import clean_phrases, presence_test, stemmer_for
from frtune.tasks.spans import find_keywords
from frtune.words import words

APART = [
    ["C", "C++", "C#", "C*", "C+", "C-", "C--", "C♯"],
    ["NET", ".NET", "#NET", "@NET"],
    ["5.5", "55", "5,5", "5 5", "5/5", "5-5", "5:5", "5×5", "5+5"],
    ["5", "-5", "5%", "$5", "5 €", "5°", "<5", ">5", "±5", "§5", "#5", "5+"],
    ["3-D", "3D", "3 D"],
    ["IO", "I/O", "I O"],
    ["AT&T", "ATT", "AT T"],
    ["Node.js", "Nodejs", "Node js"],
    ["हिन्दी", "हिन्द"],
    ["film", "film 😀", "film 😡"],
]
SAME = [
    ["C++", "“C++”", "C++.", "(c++)", "C++,", "**C++**", "« C++ »"],
    ["budget", "Budget.", '"budget"', "*budget*", "<budget>", "budget…", "- budget", "…budget!"],
    ["l'eau", "L’eau", "l eau"],
    ["peut-être", "peut‑être", "peut être"],
    ["5 %", "5%", "(5 %)"],
    ["3-D", "3–D", "3‐D"],
    [".NET", "“.NET”.", "(.net)"],
    ["com\u00admune", "commune"],
]


@pytest.mark.parametrize("group", APART, ids=lambda group: group[0])
def test_phrases_that_differ_in_a_sign_are_different(group):
    stem = stemmer_for("en")
    assert len({stem(phrase) for phrase in group}) == len(group)
    for form in ("none", "nfc", "casefold"):
        assert len(set(clean_phrases(group, form))) == len(group)
    keys = {Letters(phrase).key for phrase in group if " " not in phrase.replace(" €", "€")}
    assert len(keys) == sum(" " not in phrase.replace(" €", "€") for phrase in group)
    scores = keyphrase_scores([group[:1]], [group[1:]], match="stem", language="en")
    assert scores["f1_at_m"] == 0.0


@pytest.mark.parametrize("group", SAME, ids=lambda group: group[0])
def test_signs_at_the_edges_fall_off(group):
    assert len({" ".join(words(phrase)) for phrase in group}) == 1
    assert len({stemmer_for("fr")(phrase) for phrase in group}) == 1
    assert len({Letters(phrase).key for phrase in group}) == 1


def test_a_sign_that_counts_as_a_space_leaves_its_neighbours_as_they_are():
    draw, signs = random.Random(0), [", ", ". ", "; ", ": ", "’", "'"]
    for _ in range(3000):
        text = "".join(draw.choices([*"ab5 .,;:'’+#*<=>-/%é나", *signs, " < ", "5"], k=8))
        other = "".join(f"‘{each}" if each in "’'" else each for each in text)
        assert words(text) == words(other), text
    assert words("< 5, >. 5 <, 5") == ["<", "5", "5", "5"]


def test_two_phrases_that_differ_in_a_sign_of_a_word_never_merge():
    draw, stem = random.Random(0), stemmer_for("en")
    letters, inside, behind = "abcé나5", "+#*/.&@%=€°_:", ["+", "++", "#", "*", "%", "°", "€"]
    for _ in range(3000):
        left, right = ("".join(draw.choices(letters, k=draw.randint(1, 3))) for _ in range(2))
        sign, other = draw.sample(inside, 2)
        joined = {left + sign + right, left + other + right, left + right}
        ends = {left, *(left + each for each in behind)}
        for group in (joined, ends):
            assert len({stem(phrase) for phrase in group}) == len(group), group
            assert len({Letters(phrase).key for phrase in group}) == len(group), group
            for phrase in group:
                decomposed = unicodedata.normalize("NFD", phrase)
                assert words(f"“{decomposed}”,") == words(phrase.upper()) == words(phrase)


@pytest.mark.parametrize(
    ("phrase", "text", "here"),
    [
        ("C", "Written in C++ and C#.", False),
        ("C", "Written in C++, C.", True),
        ("C++", "C++-based code", True),
        ("C++", "Plain C", False),
        ("NET", "the .NET runtime", False),
        (".NET", "the .NET runtime", True),
        ("5", "at 5.5 V", False),
        ("55", "at 5.5 V", False),
        ("5.5", "at 5.5 V", True),
        ("network", "a network-based **network**", True),
        ("state of the art", "state-of-the-art", True),
        ("eau", "l'eau", True),
        ("AI", "AI가 빠르다", True),
        ("인공지능 C", "인공지능 C++", False),
        ("5G 통신", "15G 통신", False),
        ("예산", "내년 예산은", True),
    ],
)
def test_signs_decide_presence_everywhere(phrase, text, here):
    assert presence_test(text, "words", None)(phrase) is here
    assert is_present(phrase, text) is here
    if phrase.isascii():
        assert presence_test(text, "stem", stemmer_for("en"))(phrase) is here or "AI" in phrase


def test_keywords_are_not_found_inside_words_with_signs():
    text = "In C++ and C#, .NET, 5.5, *Python* and C."
    found = find_keywords(text, ["C", "NET", "55", "Python", "C+"])
    assert [text[a:b] for a, b in found.spans] == ["Python", "C"]
    assert found.missing == ["NET", "55", "C+"]
    signed = find_keywords(text, ["C++", "C#", ".NET"])
    assert [text[a:b] for a, b in signed.spans] == ["C++", "C#", ".NET"]
