"""What the demo says, in English, French and Korean."""

from __future__ import annotations

from frtune.web.translations import Words

WORDS: Words = {
    "model": ("Model", "Modèle", "모델"),
    "second": ("Compare with", "Comparer avec", "비교할 모델"),
    "nothing": ("no other", "aucun", "없음"),
    "one_text": ("One text", "Un texte", "텍스트 하나"),
    "one_file": ("A file", "Un fichier", "파일"),
    "title": ("Title", "Titre", "제목"),
    "text": ("Text", "Texte", "텍스트"),
    "pair": ("Second text", "Second texte", "두 번째 텍스트"),
    "run": ("Run", "Lancer", "실행"),
    "clear": ("Clear", "Effacer", "지우기"),
    "examples": ("Examples", "Exemples", "예시"),  # codespell:ignore
    "file": (
        "CSV, TSV, JSON, JSONL, or text with one a line",
        "CSV, TSV, JSON, JSONL, ou texte avec un par ligne",
        "CSV, TSV, JSON, JSONL 또는 한 줄에 하나씩 적은 텍스트",
    ),
    "result": ("Result (CSV)", "Résultat (CSV)", "결과 (CSV)"),
    "stop": ("Stop", "Arrêter", "중지"),
    "keyword": ("Keyword", "Mot-clé", "키워드"),
    "score": ("Score", "Score", "점수"),
    "times": ("Times", "Occurrences", "횟수"),
    "present": ("In the text", "Dans le texte", "본문에 있음"),
    "absent": ("Not in the text", "Absents du texte", "본문에 없음"),
    "no_keywords": ("No keyword found.", "Aucun mot-clé trouvé.", "키워드를 찾지 못했습니다."),
    "no_keyphrases": (
        "The model wrote no keyphrase.",
        "Le modèle n'a écrit aucune expression clé.",
        "모델이 핵심어를 생성하지 않았습니다.",
    ),
    "more_classes": (
        "and {count} other classes", "et {count} autres classes", "그 밖의 분류 {count}개",
    ),
    "similarity": ("Similarity", "Similarité", "유사도"),
    "label": ("Label", "Étiquette", "레이블"),
    "not_sure": (
        "Not sure enough to answer. The likeliest:",
        "Pas assez sûr pour répondre. Les plus probables :",
        "확신이 부족해 답하지 않습니다. 가능성이 높은 순서:",
    ),
    "no_label": ("No label applies.", "Aucune étiquette.", "해당하는 레이블이 없습니다."),
    "no_text": ("Write a text first.", "Écrivez d'abord un texte.", "먼저 텍스트를 입력하세요."),
    "too_long": (
        "The text has {found} characters; {allowed} are allowed.",
        "Le texte a {found} caractères ; {allowed} sont permis.",
        "텍스트가 {found}자입니다. {allowed}자까지 가능합니다.",
    ),
    "failed": (
        "The model failed on this text. The page goes on; try another text.",
        "Le modèle a échoué sur ce texte. La page continue ; essayez un autre texte.",
        "이 텍스트에서 모델이 실패했습니다. 페이지는 계속 작동합니다. 다른 텍스트를 시도하세요.",
    ),
    "no_file": ("Choose a file first.", "Choisissez d'abord un fichier.", "먼저 파일을 고르세요."),
    "bad_file": ("Unreadable file:", "Fichier illisible :", "읽을 수 없는 파일:"),
    "working": ("Working", "En cours", "처리 중"),
    "done": (
        "{rows} rows, {left} of them without an answer (blank or too long).",
        "{rows} lignes, dont {left} sans réponse (vides ou trop longues).",
        "{rows}행, 그중 {left}행은 답 없음(비었거나 너무 김).",
    ),
}  # fmt: skip
