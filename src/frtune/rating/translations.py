"""What the rating page says, in English, French and Korean."""

from __future__ import annotations

from frtune.web.translations import Words, page_words

_PAGE: Words = {
    "heading": ("# Judge the lists", "# Jugez les listes", "# 목록 평가하기"),
    "name": ("Your name or code", "Votre nom ou code", "이름 또는 코드"),
    "start": ("Start", "Commencer", "시작"),
    "bad_name": (
        "Give a name of 1 to 64 characters.",
        "Donnez un nom de 1 à 64 caractères.",
        "1~64자의 이름을 입력하세요.",
    ),
    "ask_score": (
        "How well does each list sum up the text?",
        "Chaque liste résume-t-elle bien le texte ?",
        "각 목록이 본문을 얼마나 잘 요약합니까?",
    ),
    "ask_prefer": (
        "Which list sums up the text best?",
        "Quelle liste résume le mieux le texte ?",
        "어느 목록이 본문을 가장 잘 요약합니까?",
    ),
    "wrong": ("Tick phrases that are wrong", "Cochez les expressions fausses", "틀린 표현에 표시"),
    "grade": ("Grade", "Note", "점수"),
    "worst": ("{grade} (worst)", "{grade} (le pire)", "{grade} (가장 나쁨)"),
    "best_grade": ("{grade} (best)", "{grade} (le meilleur)", "{grade} (가장 좋음)"),
    "keys_score": (
        "The digits of the keyboard grade the lists from A on; Ctrl+Enter saves.",
        "Les chiffres du clavier notent les listes à partir de A ; Ctrl+Entrée enregistre.",
        "숫자 키로 A부터 점수를 매기고, Ctrl+Enter로 저장합니다.",
    ),
    "keys_prefer": (
        "Key 1 chooses A, 2 chooses B, 0 no difference; Ctrl+Enter saves.",
        "La touche 1 choisit A, 2 choisit B, 0 aucune différence ; Ctrl+Entrée enregistre.",
        "1은 A, 2는 B, 0은 차이 없음을 고르고, Ctrl+Enter로 저장합니다.",
    ),
    "comment": ("Comment (optional)", "Commentaire (facultatif)", "의견 (선택)"),
    "skip": ("Skip", "Passer", "건너뛰기"),
    "skipped": (
        "{left} of {items} were skipped.", "Passés : {left} sur {items}.",
        "{items}개 중 {left}개를 건너뛰었습니다.",
    ),
    "open": ("To the skipped ones", "Voir les passés", "건너뛴 항목으로"),
    "away": (
        "The page was open for long and forgot who you are. Give your name to go on.",
        "La page est restée ouverte longtemps et a oublié qui vous êtes. Donnez votre nom pour "
        "continuer.",
        "페이지가 오래 열려 있어 이름을 잊었습니다. 계속하려면 이름을 입력하세요.",
    ),
    "best": ("Best list", "Meilleure liste", "가장 좋은 목록"),
    "no_difference": ("no difference", "aucune différence", "차이 없음"),
    "no_phrases": ("(no phrases)", "(aucune expression)", "(표현 없음)"),
    "back": ("Back", "Retour", "뒤로"),
    "next": ("Save and go on", "Enregistrer et continuer", "저장하고 다음으로"),
    "progress": (
        "{place} of {items} · {done} answered",
        "{place} sur {items} · réponses : {done}",
        "{items}개 중 {place}번째 · {done}개 응답",
    ),
    "incomplete": (
        "Answer for each list first.",
        "Répondez d'abord pour chaque liste.",
        "먼저 각 목록에 답하세요.",
    ),
    "failed": (
        "The answer could not be saved. Try again.",
        "La réponse n'a pas pu être enregistrée. Réessayez.",
        "답을 저장하지 못했습니다. 다시 시도하세요.",
    ),
    "finished": (
        "All {items} are answered. Thank you! You may close the page, or go back.",
        "Les {items} sont faits. Merci ! Vous pouvez fermer la page, ou revenir en arrière.",
        "{items}개를 모두 마쳤습니다. 감사합니다! 페이지를 닫거나 뒤로 가도 됩니다.",
    ),
}  # fmt: skip

WORDS = page_words(_PAGE)
