"""Sentences in place of an answer: refusals, explanations, and that there are no keyphrases."""

from __future__ import annotations

import re

LONGEST_PHRASE = 10  # words
REFUSAL = re.compile(
    r"\W*(?:(?:i['’]?m|i am|we are|we['’]re) (?:sorry|unable|not able)|sorry\b|i apologi[sz]e|"
    r"i (?:can['’]?t|cannot|can not|won['’]?t)\b|(?:as|i am|i['’]m) an? (?:ai|language model)|"
    r"unfortunately\b|(?:je suis |nous sommes )?désolée?s?\b|je ne (?:peux|suis) pas|"
    r"en tant qu['’](?:ia|intelligence)|malheureusement\b|죄송|미안|저는 (?:ai|인공지능)|"
    r"도와드릴 수 없)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:here (?:is|are) (?:the|your|a|some)\b|voici (?:les?|la|des)\b|"
    r"i hope|hope (?:this|that|it)|let me know|feel free|n['’]hésitez pas|도움이 되)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?。！？…:：]['\"”’)*]*$")
_SENTENCE_BREAK = re.compile(r"(?<=[.!。])\s")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_EXPLAINED = re.compile(r"\W*(?:\d{1,3}[.)]\s*)?\*\*[^*]+\*\*\s*[-–—:：]\s*\S")
NUMBERED = re.compile(r"\W*(?:\(?\d{1,3}[.)．]|[①-⑳])\s*\S")
_ASIDE = re.compile(
    r"#{1,6}\s|\W*(?:note|remarque|explanation|explication|참고|설명|count|total|confidence|"
    r"language|langue|언어)\W*[:：]",
    re.IGNORECASE,
)

_ENGLISH = r"(?:\w+ ){0,3}(?:key ?-?)?(?:phrases?|words?|terms?)"
_FRENCH = (
    r"(?:\w+ ){0,2}(?:mots?[ -]?cl(?:é|ef)s?|(?:phrase|terme|expression)s?(?:[ -]cl(?:é|ef)s?)?)"
)
_KOREAN = r"(?:키워드|키 ?프레이즈|핵심 ?(?:어|어구|구|구문|키워드|단어|표현)|주제어)"
_FOUND = (
    r"(?:(?:were|was|are|is|could be|can be|have been) )?(?:found|identified|extracted|available|"
    r"given|present|detected|applicable|provided|to (?:extract|report|list))"
)
_TEXT = r"(?:the|this) (?:\w+ )?(?:text|document|passage|input)"
_REST = r"(?: .{0,120})?"
_NONE = re.compile(
    r"none|n ?/ ?a|n\.?a|nan|nil|null|undefined|void|empty(?: list)?|no|non|[-–—∅]|"
    r"nothing(?: found| to (?:extract|report|list))?|not (?:applicable|available|found|specified)|"
    r"keine?(?: (?:schlüssel|stich|schlag)wörter)?|ninguno?a?|nessuno?a?|nenhuma?|geen|"
    r"なし|无|無|没有|"
    r"there (?:are|is) none|(?:there (?:is|was) )?no text(?: (?:was )?(?:provided|given))?|"
    rf"there (?:are|is)(?: not|n['’]t) any {_ENGLISH}{_REST}|"
    r"non (?:trouvée?|disponible)|il n['’]y en a (?:pas|aucune?)|"
    rf"je n['’]ai trouvé aucune? {_FRENCH}{_REST}|"
    rf"none {_FOUND}{_REST}|"
    rf"(?:there (?:are|is|were) |{_TEXT} (?:has|contains) )?no {_ENGLISH}(?: {_FOUND})?"
    rf"(?: (?:in|for|from|here|because)\b{_REST})?|"
    rf"(?:(?:i|we) )?(?:could|did|do|can) ?(?:not|n['’]t) (?:find|identify|see|extract|detect) any "
    rf"{_ENGLISH}{_REST}|"
    rf"{_TEXT} (?:does not|doesn['’]t) (?:contain|have|hold|include) any {_ENGLISH}{_REST}|"
    r"aucune?s?|néant|rien|sans objet|non applicable|s\.o|"
    r"(?:il n['’]y (?:a|en a) |(?:le|ce) texte ne (?:contient|comporte) |je ne (?:trouve|vois) |"
    rf"on ne trouve )?(?:aucune?s?|pas de) {_FRENCH}{_REST}|"
    r"없음|없다|없습니다|없어요|해당 ?(?:사항)?(?:이|은)? ?(?:없음|없습니다|없다)|"
    rf".{{0,40}}{_KOREAN}[^;]{{0,30}}(?:없음|없습니다|없다|없어요|못했습니다|찾지 못함)",
    re.IGNORECASE,
)


# what a model that has nothing to say, or the server in its place, says instead of an answer
_NOTHING = re.compile(
    r"\W*(?:error(?: ?:.*)?|(?:\d{3}:? )?(?:bad gateway|(?:internal )?server error|bad request|"
    r"service unavailable|gateway time-?out|too many requests|unauthorized|forbidden)|"
    r"rate limit exceeded|(?:request )?timed? ?out|done|object object|string|true|false|yes|i|"
    r"ok(?:ay)?|sure|certainly|understood|of course|bien sûr|d['’]accord|oui|(?:네,? ?)?알겠습니다|"
    r"네|물론입니다|as follows|(?:what|which) text|.*주세요|"
    r"(?:please|veuillez) (?:provide|share|send|fournir|envoyer)\b.*)\W*",
    re.IGNORECASE,
)
# words for nothing that may be phrases of a text too
AMBIGUOUS = frozenset("null nil na nan void undefined empty keine geen 无 無 なし".split())


def says_none(piece: str) -> bool:
    """Tell whether a piece says that there are no keyphrases.

    Example:
        >>> [says_none(text) for text in ("N/A", "Aucun mot-clé trouvé.", "키워드가 없습니다.")]
        [True, True, True]
        >>> [says_none(text) for text in ("no-deal Brexit", "no keyword search", "rien à dire")]
        [False, False, False]
    """
    first = _SENTENCE_BREAK.split(piece.strip(), maxsplit=1)[0]
    return _NONE.fullmatch(first.strip(" \n.!…。\"'`*_“”«»()[]")) is not None


def says_nothing(piece: str) -> bool:
    """Tell whether a whole answer is no answer: an error, an acknowledgement, a question back.

    Example:
        >>> [says_nothing(text) for text in ("502 Bad Gateway", "Sure!", "Error: no")]
        [True, True, True]
        >>> [says_nothing(text) for text in ("string theory", "true crime", "error bar")]
        [False, False, False]
    """
    return _NOTHING.fullmatch(piece) is not None


def is_frame(line: str) -> bool:
    """Tell whether a line introduces or follows the phrases, and is none itself."""
    if _ASIDE.match(line):
        return True
    return not NUMBERED.match(line) and (is_prose(line) or line.endswith((":", "：")))


def is_prose(piece: str) -> bool:
    """Tell whether a piece is a sentence, or too long for a phrase."""
    words = len(piece.split())
    framed = _EXPLAINED.match(piece) or (words > 2 and _CLOSING.match(piece))
    if words > LONGEST_PHRASE or len(piece) > 120 or framed:
        return True
    if not _SENTENCE_END.search(piece):
        return False
    return words >= 5 or (len(piece) >= 12 and bool(_UNSPACED.search(piece)))
