"""What the demo says, in English, French and Korean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frtune.web.translations import Words, page_words

_PAGE: Words = {
    "heading": ("# Try the model", "# Essayer le modèle", "# 모델 시험하기"),
    "model": ("Model", "Modèle", "모델"),
    "second": ("Compare with", "Comparer avec", "비교할 모델"),
    "nothing": ("no other", "aucun", "없음"),
    "task": ("Task: {task}", "Tâche : {task}", "작업: {task}"),
    "task_classification": ("Classification", "Classification de textes", "분류"),
    "task_similarity": ("Similarity of two texts", "Similarité de deux textes",
                        "두 텍스트의 유사도"),
    "task_keywords": ("Keywords, found in the text", "Mots-clés, trouvés dans le texte",
                      "키워드 (본문에서 찾음)"),
    "task_keyphrases": ("Keyphrases, written by the model",
                        "Expressions clés, écrites par le modèle", "핵심어 (모델이 생성)"),
    "base": ("trained from {base}", "entraîné à partir de {base}", "바탕 모델: {base}"),
    "test_score": (
        "{score} on its test rows", "{score} sur ses lignes de test", "테스트 행에서 {score}",
    ),
    "one_text": ("One text", "Un texte", "텍스트 하나"),
    "one_file": ("A file", "Un fichier", "파일"),
    "title": ("Title", "Titre", "제목"),
    "text": ("Text (Ctrl+Enter runs)", "Texte (Ctrl+Entrée lance)", "텍스트 (Ctrl+Enter로 실행)"),
    "pair": ("Second text", "Second texte", "두 번째 텍스트"),
    "run": ("Run", "Lancer", "실행"),
    "clear": ("Clear", "Effacer", "지우기"),
    "examples": ("Examples", "Exemples", "예시"),  # codespell:ignore
    "truth": ("True answer:", "Réponse attendue :", "정답:"),
    "file": (
        "File: CSV, TSV, JSON, JSONL, TXT",
        "Fichier : CSV, TSV, JSON, JSONL, TXT",
        "파일: CSV, TSV, JSON, JSONL, TXT",
    ),
    "file_help": (
        "A table with the column that the model reads, or text with one a line (.txt).",
        "Un tableau avec la colonne que le modèle lit, ou un texte par ligne (.txt).",
        "모델이 읽는 열이 있는 표, 또는 한 줄에 하나씩 적은 텍스트(.txt).",
    ),
    "encoding": ("Encoding", "Encodage", "인코딩"),
    "automatic": ("automatic (UTF-8)", "automatique (UTF-8)", "자동 (UTF-8)"),
    "korean": ("Korean (cp949)", "coréen (cp949)", "한국어 (cp949)"),
    "western": (
        "Western European (cp1252)", "Europe de l'Ouest (cp1252)", "서유럽 (cp1252)",
    ),
    "japanese": ("Japanese (cp932)", "japonais (cp932)", "일본어 (cp932)"),
    "chinese": ("Chinese (gb18030)", "chinois (gb18030)", "중국어 (gb18030)"),
    "utf16": (
        "UTF-16 without its mark", "UTF-16 sans sa marque", "표시 없는 UTF-16",
    ),
    "replacing": (
        "UTF-8, wrong bytes replaced by �",
        "UTF-8, octets erronés remplacés par �",
        "UTF-8, 잘못된 바이트는 �로 바꿈",
    ),
    "result": ("Result (CSV)", "Résultat (CSV)", "결과 (CSV)"),
    "stop": ("Stop", "Arrêter", "중지"),
}  # fmt: skip

_ANSWERS: Words = {
    "keyword": ("Keyword", "Mot-clé", "키워드"),
    "score": ("Score, 0 to 1", "Score, de 0 à 1", "점수 (0~1)"),
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
        "Other classes: {count}", "Autres classes : {count}", "그 밖의 분류: {count}개",
    ),
    "similarity": ("Similarity:", "Similarité :", "유사도:"),
    "similarity_chance": (
        "The probability, from 0 to 1, that the two texts are similar, as the model learnt it. "
        "From 0.5 on the label is “{label}”.",
        "La probabilité, de 0 à 1, que les deux textes soient semblables, telle que le modèle "
        "l'a apprise. À partir de 0,5, l'étiquette est « {label} ».",
        "두 텍스트가 비슷할 확률(0~1)로, 모델이 배운 기준을 따릅니다. "
        "0.5 이상이면 레이블은 “{label}”입니다.",
    ),
    "similarity_score": (
        "A score on the scale of the training data: the higher, the more alike.",
        "Une note sur l'échelle des données d'entraînement : plus elle est haute, plus les "
        "textes se ressemblent.",
        "학습 데이터의 척도를 따르는 점수입니다. 높을수록 더 비슷합니다.",
    ),
    "label": ("Label:", "Étiquette :", "레이블:"),
    "not_sure": (
        "Not sure enough to answer. The likeliest:",
        "Pas assez sûr pour répondre. Les plus probables :",
        "확신이 부족해 답하지 않습니다. 가능성이 높은 순서:",
    ),
    "no_label": ("No label applies.", "Aucune étiquette.", "해당하는 레이블이 없습니다."),
    "cut": (
        "The text is longer than the model reads: the answer is of its beginning, {read} of "
        "{tokens} tokens ({share} %).",
        "Le texte est plus long que ce que le modèle lit : la réponse porte sur son début, {read} "
        "tokens sur {tokens} ({share} %).",
        "텍스트가 모델이 읽는 길이보다 깁니다. 답은 앞부분 {tokens}토큰 중 {read}토큰"
        "({share}%)만 읽은 결과입니다.",
    ),
}  # fmt: skip

_ERRORS: Words = {
    "no_text": ("Write a text first.", "Écrivez d'abord un texte.", "먼저 텍스트를 입력하세요."),
    "no_texts": (
        "Write both texts first.",
        "Écrivez d'abord les deux textes.",
        "먼저 두 텍스트를 모두 입력하세요.",
    ),
    "too_long": (
        "The text has {found} characters; {allowed} are allowed. Shorten it.",
        "Le texte a {found} caractères ; {allowed} sont permis. Raccourcissez-le.",
        "텍스트가 {found}자입니다. {allowed}자까지 가능합니다. 줄여 주세요.",
    ),
    "failed": (
        "The model failed on this text. The page goes on; try another text.",
        "Le modèle a échoué sur ce texte. La page continue ; essayez un autre texte.",
        "이 텍스트에서 모델이 실패했습니다. 페이지는 계속 작동합니다. 다른 텍스트를 시도하세요.",
    ),
    "failed_file": (
        "The model failed on this file. The page goes on; try another file.",
        "Le modèle a échoué sur ce fichier. La page continue ; essayez un autre fichier.",
        "이 파일에서 모델이 실패했습니다. 페이지는 계속 작동합니다. 다른 파일을 시도하세요.",
    ),
    "no_file": ("Choose a file first.", "Choisissez d'abord un fichier.", "먼저 파일을 고르세요."),
    "bad_file": ("Unreadable file:", "Fichier illisible :", "읽을 수 없는 파일:"),
    "in_line": ("line {line}: ", "ligne {line} : ", "{line}행: "),
    "bad_suffix": (
        "it is none of {known}. Save it as one of them.",
        "il n'est pas au format {known}. Enregistrez-le dans l'un de ces formats.",
        "{known} 형식이 아닙니다. 이 중 하나로 저장하세요.",
    ),
    "no_rows": (
        "it has no rows.", "il n'a pas de lignes.", "행이 없습니다.",
    ),
    "no_column": (
        "it has no column {column}; it has {known}. Rename the column with the text.",
        "il n'a pas de colonne {column} ; il a {known}. Renommez la colonne du texte.",
        "{column} 열이 없습니다. 있는 열: {known}. 텍스트 열의 이름을 바꾸세요.",
    ),
    "bad_encoding": (
        "it is not in this encoding. Choose another in the menu above, or save it as UTF-8.",
        "il n'est pas dans cet encodage. Choisissez-en un autre dans le menu, ou enregistrez-le "
        "en UTF-8.",
        "이 인코딩이 아닙니다. 위 메뉴에서 다른 인코딩을 고르거나 UTF-8로 저장하세요.",
    ),
    "bad_fields": (
        "it has {found} fields there, but the header has {wanted}. Correct the line.",
        "elle a {found} champs, mais l'en-tête en a {wanted}. Corrigez la ligne.",
        "필드가 {found}개인데 머리글은 {wanted}개입니다. 행을 고치세요.",
    ),
    "bad_quotes": (
        "quotation marks or line breaks are not as in a CSV. Save the file again.",
        "les guillemets ou les sauts de ligne ne sont pas ceux d'un CSV. Enregistrez à nouveau "
        "le fichier.",
        "따옴표나 줄바꿈이 CSV 형식에 맞지 않습니다. 파일을 다시 저장하세요.",
    ),
    "same_names": (
        "the header has {names} more than once. Rename the columns.",
        "l'en-tête a {names} plus d'une fois. Renommez les colonnes.",
        "머리글에 {names} 열이 두 번 이상 있습니다. 열 이름을 바꾸세요.",
    ),
    "bad_json": (
        "it is not JSON. Correct the line, or save the file again.",
        "ce n'est pas du JSON. Corrigez la ligne, ou enregistrez à nouveau le fichier.",
        "JSON이 아닙니다. 행을 고치거나 파일을 다시 저장하세요.",
    ),
    "no_row": (
        "it is not a row. Write each row as an object, {{\"column\": value}}.",
        "ce n'est pas une ligne de données. Écrivez chacune entre accolades, "
        "{{\"colonne\": valeur}}.",
        "행이 아닙니다. 각 행을 객체 {{\"열\": 값}}로 적으세요.",
    ),
    "unreadable": (
        "it could not be read. Save it again.",
        "il n'a pas pu être lu. Enregistrez-le à nouveau.",
        "읽지 못했습니다. 다시 저장하세요.",
    ),
}  # fmt: skip

_FILES: Words = {
    "working": ("Working", "En cours", "처리 중"),
    "stopping": (
        "Stopping after the rows at hand.",
        "Arrêt après les lignes en cours.",
        "처리 중인 행까지 마치고 멈춥니다.",
    ),
    "nothing_runs": (
        "Nothing is running.", "Rien n'est en cours.", "실행 중인 작업이 없습니다.",
    ),
    "stopped": (
        "Stopped after {rows} of {count} rows. The result holds these.",
        "Arrêté après {rows} lignes sur {count}. Le résultat les contient.",
        "{count}행 중 {rows}행에서 멈췄습니다. 결과에는 이 행들이 있습니다.",
    ),
    "done": (
        "Rows: {rows}. Without an answer (blank or too long): {left}.",
        "Lignes : {rows}. Sans réponse (vides ou trop longues) : {left}.",
        "행: {rows}개. 답 없음(비었거나 너무 김): {left}개.",
    ),
    "rows_cut": (
        "Answered from their beginning, for they are longer than the model reads: {cut}.",
        "Répondues d'après leur début, car plus longues que ce que le modèle lit : {cut}.",
        "모델이 읽는 길이보다 길어 앞부분으로만 답한 행: {cut}개.",
    ),
}  # fmt: skip

WORDS = page_words(_PAGE, _ANSWERS, _ERRORS, _FILES)


def task_words(task: str, said: Callable[[str], Any]) -> Any:
    """What a task is called; one of the user's own by its name."""
    key = f"task_{task}"
    return said(key) if key in WORDS else task
