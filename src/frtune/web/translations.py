"""Words of a page in English, French and Korean, by the browser's language or by choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError

if TYPE_CHECKING:
    from gradio.i18n import I18n

LANGUAGES = ("en", "fr", "ko")

# Gradio looks its own words up by the same road, and "file" or "label" is a group of them
_OURS = "frtune_"

# what is said, in the order of LANGUAGES
Words = Mapping[str, tuple[str, str, str]]

# a line must not break beside these signs: narrow spaces, and spaces of full width
_NARROW = re.compile(" (?=[;!?])")
_FULL = re.compile(" (?=[:»%])|(?<=«) ")


def unbroken(text: str) -> str:
    r"""A text of ours in French, with spaces at which no line breaks.

    Before ``;``, ``!`` and ``?`` stands U+202F, before ``:``, ``»`` and ``%`` and behind ``«``
    U+00A0 (Imprimerie nationale, *Lexique des règles typographiques*).

    Example:
        >>> unbroken("Lu : 5 % ; « oui »").split(" ")
        ['Lu\xa0:', '5\xa0%\u202f;', '«\xa0oui\xa0»']
    """
    return _FULL.sub("\u00a0", _NARROW.sub("\u202f", text))


def page_words(*groups: Words) -> Words:
    """All that a page says, with spaces at which no line breaks. Of two alike the later holds."""
    return {
        key: (english.replace(" %", "\u00a0%"), unbroken(french), korean)
        for words in groups
        for key, (english, french, korean) in words.items()
    }


# words for screen readers in whose place Gradio gives their names
NAMED: Words = {
    "common.complete": ("Complete", "Terminé", "완료"),
    "common.progress": ("Progress", "Avancement", "진행률"),
    "status.queue_position": ("In queue", "En attente", "대기 중"),
}

# in French and Korean, labels and messages that Gradio has in English alone, and one where its
# French says to download
ENGLISH_ALONE = {
    "Click to upload or drop files": (
        "Choisir ou déposer un fichier",
        "파일을 고르거나 여기에 놓기",
    ),
    "Cliquez pour télécharger un fichier": ("Cliquez pour choisir un fichier", "클릭하여 업로드"),
    "Empty value": ("Vide", "비어 있음"),
    "Gradio footer navigation": ("Pied de page", "바닥글"),
    "More tabs": ("Autres onglets", "탭 더 보기"),
    "Remove this file": ("Retirer ce fichier", "이 파일 제거"),
    "Clear": ("Effacer", "지우기"),
    "Close": ("Fermer", "닫기"),
    # messages in a corner of the page, and what stands above them
    "Error": ("Erreur", "오류"),
    "Warning": ("Attention", "주의"),
    "Info": ("Information", "안내"),
    "This application is currently busy. Please try again.": (
        "Trop de demandes sont en attente. Réessayez dans un instant.",
        "지금 대기 중인 요청이 너무 많습니다. 잠시 후 다시 시도하세요.",
    ),
    "Connection errored out.": (
        "Le serveur n'a pas répondu. Réessayez.",
        "서버에 연결하지 못했습니다. 다시 시도하세요.",
    ),
    "Connection to the server was lost. Attempting reconnection...": (
        "Le serveur ne répond plus. Nouvelle tentative…",
        "서버와의 연결이 끊겼습니다. 다시 연결하는 중…",
    ),
}

# messages with something in them: patterns of JavaScript, and what takes their place
ENGLISH_PATTERNS = (
    (
        r'^File\(s\) exceed the maximum allowed size of (\S+ \S+): "(.*)"$',
        (unbroken("« $2 » dépasse la taille permise, $1."), "“$2” 파일이 허용 크기 $1보다 큽니다."),
    ),
    (
        r"^Invalid file type: (.*)\. Only (.*) allowed\.$",
        (unbroken("« $1 » n'est pas au bon format. Sont permis : $2."),
         "“$1”은(는) 사용할 수 없는 형식입니다. 사용 가능: $2."),
    ),
)  # fmt: skip


def browser_language(accepted: str | None) -> str:
    """Return the first of our languages that an ``Accept-Language`` header prefers; else ``en``.

    Example:
        >>> browser_language("de;q=0.9, ko-KR;q=0.8, en;q=0.7"), browser_language("es")
        ('ko', 'en')
    """
    ranked = []
    for place, part in enumerate((accepted or "").split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), place, name.split("-")[0].strip().lower()))
        except ValueError:
            continue
    return next((name for _, _, name in sorted(ranked) if name in LANGUAGES), "en")


class PageLanguage:
    """The words of a page, in one language or in that of each visitor's browser.

    Args:
        words: What the page says.
        language: One of ``LANGUAGES``; ``None`` leaves it to the browser.

    Raises:
        InputError: For another language.

    Example:
        >>> words = PageLanguage({"run": ("Run", "Lancer", "실행")}, "fr")
        >>> words.label("run"), words.say("run")
        ('Lancer', 'Lancer')
    """

    def __init__(self, words: Words, language: str | None = None):
        if language is not None and language not in LANGUAGES:
            raise InputError(f"language={language!r}: one of {', '.join(LANGUAGES)}.")
        self._words = words
        self.language = language
        self.i18n: I18n | None = None
        if language is None:
            from gradio.i18n import I18n

            self.i18n = I18n(
                **{
                    name: {_OURS + key: texts[i] for key, texts in words.items()}
                    for i, name in enumerate(LANGUAGES)
                }
            )

    def label(self, key: str) -> Any:
        """What a component shows: a text, or what the browser turns into one."""
        return self.say(key) if self.i18n is None else self.i18n(_OURS + key)

    def say(self, key: str, request: Any = None, **values: Any) -> str:
        """A text for the visitor behind ``request``, with ``values`` filled in."""
        headers = getattr(request, "headers", None) or {}
        language = self.of_browser(headers.get("accept-language"))
        return self._words[key][LANGUAGES.index(language)].format(**values)

    def of_browser(self, accepted: str | None) -> str:
        """The page's language for a visitor whose browser accepts these."""
        return self.language or browser_language(accepted)
