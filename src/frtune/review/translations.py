"""What the review page and its table say, in English, French and Korean."""

from __future__ import annotations

from frtune.web.translations import Words, page_words

_PAGE: Words = {
    "other_class": (
        "the models say {label} ({chance}; rows labelled so have {usual} on average)",
        "les modèles disent {label} ({chance} ; {usual} en moyenne pour cette étiquette)",
        "모델의 답: {label} ({chance}; 이 레이블의 평균 {usual})",
    ),
    "other_score": (
        "the models say {score}",
        "les modèles disent {score}",
        "모델의 답: {score}",
    ),
    "other_answer": (
        "the models say {label}",
        "les modèles disent {label}",
        "모델의 답: {label}",
    ),
    "unlikely_keywords": (
        "the models mark no keyword at: {phrases}",
        "les modèles ne marquent pas : {phrases}",
        "모델이 표시하지 않은 키워드: {phrases}",
    ),
    "unmarked_keywords": (
        "the models also mark: {phrases}",
        "les modèles marquent aussi : {phrases}",
        "모델이 추가로 표시한 키워드: {phrases}",
    ),
    "labels_unlikely": (
        "the models leave out: {phrases}",
        "les modèles n'ont pas : {phrases}",
        "모델의 답에 없는 레이블: {phrases}",
    ),
    "labels_missing": (
        "the models add: {phrases}",
        "les modèles ajoutent : {phrases}",
        "모델이 추가한 레이블: {phrases}",
    ),
    "keywords_not_in_text": (
        "not in the text: {phrases}",
        "absents du texte : {phrases}",
        "본문에 없음: {phrases}",
    ),
    "high_loss": (
        "the models did not expect these phrases (loss of a token {loss}, median {usual})",
        "expressions inattendues pour les modèles (perte par token {loss}, médiane {usual})",
        "모델이 예상하지 못한 표현 (토큰당 손실 {loss}, 중앙값 {usual})",
    ),
    "unsupported_phrases": (
        "no text has, and no other row: {phrases}",
        "dans aucun texte ni aucune autre ligne : {phrases}",
        "어느 본문에도, 다른 행에도 없음: {phrases}",
    ),
    "near_duplicate": (
        "row {row} of {split} has nearly the same text, and the label {label}",
        "la ligne {row} de {split} a presque le même texte, et l'étiquette {label}",
        "{split}의 {row}행은 본문이 거의 같고 레이블은 {label}",
    ),
    "heading": ("# Check the labels", "# Vérifier les étiquettes", "# 레이블 확인하기"),
    "progress": (
        "{place} of {rows} · {doubted} doubtful · {decided} decided",
        "{place} sur {rows} · douteuses : {doubted} · décidées : {decided}",
        "{rows}개 중 {place}번째 · 의심 {doubted}개 · 결정 {decided}개",
    ),
    "where": ("Row {row} of {split}", "Ligne {row} de {split}", "{split}의 {row}행"),
    "label": ("Label", "Étiquette", "레이블"),
    "suggestion": ("Suggested", "Proposée", "제안"),
    "none": ("(as it is)", "(inchangée)", "(그대로)"),
    "confidence": ("confidence {value}", "confiance {value}", "신뢰도 {value}"),
    "new_label": ("New label (E)", "Nouvelle étiquette (E)", "새 레이블 (E)"),
    "keep": ("Keep (K)", "Garder (K)", "유지 (K)"),
    "change": ("Change (C)", "Changer (C)", "변경 (C)"),
    "drop": ("Drop the row (D)", "Supprimer la ligne (D)", "행 삭제 (D)"),
    "back": ("Previous (P)", "Précédente (P)", "이전 (P)"),
    "next": ("Next (N)", "Suivante (N)", "다음 (N)"),
    "save": ("Save the corrected data (S)", "Enregistrer les données corrigées (S)",
             "수정된 데이터 저장 (S)"),
    "decided_keep": ("kept", "gardée", "유지함"),
    "decided_change": ("changed to {label}", "changée en {label}", "{label}(으)로 변경함"),
    "decided_drop": ("dropped", "supprimée", "삭제함"),
    "undecided": ("not decided", "non décidée", "미결정"),
    "saved": (
        "Saved: {where} ({changed} changed, {dropped} dropped)",
        "Enregistré : {where} (changées : {changed}, supprimées : {dropped})",
        "저장됨: {where} (변경 {changed}개, 삭제 {dropped}개)",
    ),
    "bad_label": (
        "This cannot be the label of the row. Write one as other rows have it: {known}",
        "Cela ne peut pas être l'étiquette de la ligne. Écrivez-en une comme d'autres lignes "
        "l'ont : {known}",
        "이 행의 레이블이 될 수 없습니다. 다른 행에 있는 형식으로 적으세요: {known}",
    ),
    "unwritable": (
        "The corrected data could not be written; the terminal says why. The decisions are kept.",
        "Les données corrigées n'ont pas pu être écrites ; le terminal dit pourquoi. Les décisions "
        "sont gardées.",
        "수정된 데이터를 쓰지 못했습니다. 이유는 터미널에 있습니다. 결정은 저장되어 있습니다.",
    ),
    "failed": (
        "It could not be saved. Try again.",
        "L'enregistrement a échoué. Réessayez.",
        "저장하지 못했습니다. 다시 시도하세요.",
    ),
    "finished": (
        "These were all rows. Save the corrected data, or go back.",
        "Toutes les lignes sont passées. Enregistrez les données corrigées, ou revenez.",
        "모든 행을 보았습니다. 수정된 데이터를 저장하거나 돌아가세요.",
    ),
    "keys": (
        "Keys: K keep, C change, D drop, N next, P previous, E edit the label (Enter: change, "
        "Esc: leave), S save",
        "Touches : K garder, C changer, D supprimer, N suivante, P précédente, E modifier "
        "l'étiquette (Entrée : changer, Échap : quitter), S enregistrer",
        "단축키: K 유지, C 변경, D 삭제, N 다음, P 이전, E 레이블 편집 "
        "(Enter: 변경, Esc: 취소), S 저장",
    ),
}  # fmt: skip

WORDS = page_words(_PAGE)
