"""What the board says, in English, French and Korean."""

from __future__ import annotations

from frtune.board.setting_words import SETTINGS
from frtune.demo.translations import WORDS as DEMO_WORDS
from frtune.web.translations import Words, page_words

_PAGE: Words = {
    "tab_data": ("1 Data", "1 Données", "1 데이터"),
    "tab_model": ("2 Model", "2 Modèle", "2 모델"),
    "tab_train": ("3 Training", "3 Entraîner", "3 학습"),
    "tab_result": ("4 Results", "4 Résultats", "4 결과"),
    "folder": ("Folder: {folder}", "Dossier : {folder}", "폴더: {folder}"),
    "disk_full": (
        "The disk is full: {free} are free. Delete what is not needed; a stopped run can be "
        "resumed then.",
        "Le disque est plein : {free} libres. Supprimez ce qui ne sert plus ; un entraînement "
        "arrêté pourra reprendre ensuite.",
        "디스크가 가득 찼습니다. 남은 공간: {free}. 필요 없는 파일을 지우면 멈춘 학습을 이어서 "
        "할 수 있습니다.",
    ),
    "command": ("Command, in this folder:", "Commande, dans ce dossier :", "이 폴더에서의 명령:"),
    "config": ("Its config.yaml ({name}):", "Son config.yaml ({name}) :",
               "명령의 config.yaml ({name}):"),
    "refused": (
        "Not possible. frtune says: {line}",
        "Impossible. frtune dit : {line}",
        "할 수 없습니다. frtune의 메시지: {line}",
    ),
    "machine": (
        "The machine refused: {line}", "La machine a refusé : {line}", "컴퓨터 오류: {line}",
    ),
    "unexpected": (
        "Something went wrong; the terminal of the page tells more.",
        "Une erreur est survenue ; le terminal de la page en dit plus.",
        "오류가 발생했습니다. 페이지를 실행한 터미널에 자세한 내용이 있습니다.",
    ),
    "working_on_it": ("Working: {command}", "En cours : {command}", "실행 중: {command}"),
}  # fmt: skip

_DATA: Words = {
    "data_file": ("File of this folder", "Fichier de ce dossier", "이 폴더의 파일"),
    "data_upload": ("Upload a file", "Importer un fichier", "파일 올리기"),
    "what_for": ("Task", "Tâche", "작업"),
    "text_column": ("Column with the text", "Colonne du texte", "텍스트 열"),
    "title_column": ("Column with the title", "Colonne du titre", "제목 열"),
    "label_column": ("Column with the label", "Colonne de l'étiquette", "레이블 열"),
    "first_column": ("First text", "Premier texte", "첫 번째 텍스트"),
    "second_column": ("Second text ", "Second texte", "두 번째 텍스트 열"),
    "keywords_column": ("Column with the keywords", "Colonne des mots-clés", "키워드 열"),
    "keyphrases_column": ("Column with the keyphrases", "Colonne des expressions clés",
                          "핵심어 열"),
    "no_title": ("(none)", "(aucune)", "(없음)"),
    "separator": ("Between phrases", "Séparateur des expressions", "구분 기호"),
    "semicolon": ("semicolon  ;", "point-virgule  ;", "세미콜론  ;"),
    "comma": ("comma  ,", "virgule  ,", "쉼표  ,"),
    "bar": ("bar  |", "barre  |", "세로줄  |"),
    "slash": ("slash  /", "barre oblique  /", "빗금  /"),
    "line_break": ("line break", "saut de ligne", "줄바꿈"),
    "several_labels": ("Several labels a row", "Plusieurs étiquettes par ligne",
                       "행마다 레이블 여러 개"),
    "scores": ("Labels are scores", "Les étiquettes sont des notes", "레이블이 점수"),
    "guessed": (
        "Guessed from the first rows; change what is wrong.",
        "Deviné d'après les premières lignes ; changez ce qui est faux.",
        "처음 몇 행을 보고 추측했습니다. 틀린 것은 바꾸세요.",
    ),
    "first_rows": ("The first rows", "Les premières lignes", "처음 몇 행"),
    "what_becomes": ("What becomes of the rows", "Ce que deviennent les lignes", "행 처리 결과"),
    "rows_kept": (
        "{read} rows read: {kept} kept, {rejected} rejected",
        "{read} lignes lues : {kept} gardées, {rejected} rejetées",
        "읽은 행 {read}개: 유지 {kept}개, 제외 {rejected}개",
    ),
    "reason": ("Reason", "Raison", "이유"),
    "rows": ("Rows", "Lignes", "행"),
    "row": ("Row", "Ligne", "행 번호"),
    "detail": ("Detail", "Détail", "설명"),
    "split": ("Split", "Partie", "분할"),
    "classes": ("Labels of {split}: {labels}", "Étiquettes de {split} : {labels}",
                "{split}의 레이블: {labels}"),
    "phrases_a_row": ("Phrases a row", "Expressions par ligne", "행당 구"),
    "in_text": ("In the text", "Dans le texte", "본문에 있음"),
    "words_95": ("Words (95 % have fewer)", "Mots (95 % en ont moins)", "단어 수 (95%가 이하)"),
    "leak": (
        "{pair}: {same} same texts, {near} near duplicates",
        "{pair} : {same} textes identiques, {near} presque identiques",
        "{pair}: 같은 텍스트 {same}개, 거의 같은 텍스트 {near}개",
    ),
    "no_leak": (
        "No text stands in two splits.", "Aucun texte n'est dans deux parties.",
        "두 분할에 함께 있는 텍스트가 없습니다.",
    ),
    "limit": (
        "The model reads {tokens} tokens of a text; a word has 1 to 3. Longer texts are cut.",
        "Le modèle lit {tokens} tokens d'un texte ; un mot en a 1 à 3. Les textes plus longs sont "
        "coupés.",
        "모델은 텍스트에서 {tokens}토큰을 읽습니다. 한 단어는 1~3토큰입니다. 더 긴 텍스트는 "
        "잘립니다.",
    ),
    "prepared_name": ("Name of the prepared data", "Nom des données préparées",
                      "준비된 데이터의 이름"),
    "write": ("Write the prepared data", "Écrire les données préparées", "준비된 데이터 저장"),
    "written": (
        "Written: {where}. Go on with the model.", "Écrit : {where}. Passez au modèle.",
        "저장됨: {where}. 모델로 넘어가세요.",
    ),
}  # fmt: skip

_MODEL: Words = {
    "prepared": ("Prepared data", "Données préparées", "준비된 데이터"),
    "no_prepared": (
        "There are no prepared data yet. Begin with the data.",
        "Il n'y a pas encore de données préparées. Commencez par les données.",
        "준비된 데이터가 아직 없습니다. 데이터부터 시작하세요.",
    ),
    "data_facts": ("{task}, {rows} training rows", "{task}, {rows} lignes d'entraînement",
                   "{task}, 학습 행 {rows}개"),
    "text_language": ("Language of the texts", "Langue des textes", "텍스트의 언어"),
    "fr": ("French", "Français", "프랑스어"),
    "ko": ("Korean", "Coréen", "한국어"),
    "en": ("English", "Anglais", "영어"),
    "many": ("Several", "Plusieurs", "여러 언어"),
    "checkpoint": ("Model to start from", "Modèle de départ", "시작 모델"),
    "checkpoint_help": (
        "One of the list, a folder of this folder, or a name on the Hugging Face Hub.",
        "Un de la liste, un sous-dossier de ce dossier, ou un nom du Hugging Face Hub.",
        "목록에 있는 모델, 이 폴더의 하위 폴더, 또는 Hugging Face Hub의 이름.",
    ),
    "no_checkpoint": (
        "Choose a model to start from.", "Choisissez un modèle de départ.",
        "시작 모델을 고르세요.",
    ),
    "here": ("in this folder", "dans ce dossier", "이 폴더에 있음"),
    "method": ("What is trained", "Ce qui est entraîné", "학습 대상"),
    "method_full": ("the whole model", "tout le modèle", "모델 전체"),
    "method_lora": ("an adapter (LoRA)", "un adaptateur (LoRA)", "어댑터 (LoRA)"),
    "method_int8": ("an adapter, the rest in int8", "un adaptateur, le reste en int8",
                    "어댑터, 나머지는 int8"),
    "method_nf4": ("an adapter, the rest in 4 bits (nf4)",
                   "un adaptateur, le reste en 4 bits (nf4)",
                   "어댑터, 나머지는 4비트 (nf4)"),
    "fits": (
        "What fits in {memory} of this machine ({device}), with {rows} rows at once:",
        "Ce qui tient dans {memory} de cette machine ({device}), avec {rows} lignes à la fois :",
        "이 컴퓨터의 {memory}({device})에 들어가는 것, 한 번에 {rows}행:",
    ),
    "fit_yes": ("fits", "tient", "들어감"),
    "fit_checkpointing": ("fits with --activation-checkpointing",
                          "tient avec --activation-checkpointing",
                          "--activation-checkpointing을 쓰면 들어감"),
    "fit_no": ("does not fit", "ne tient pas", "들어가지 않음"),
    "token_lengths": (
        "In tokens of this model, {counted} training rows: half have at most {median}, the "
        "longest has {longest}.",
        "En tokens de ce modèle, {counted} lignes d'entraînement : la moitié en a au plus "
        "{median}, la plus longue {longest}.",
        "이 모델의 토큰으로 센 학습 행 {counted}개: 절반은 {median}개 이하, 가장 긴 행은 "
        "{longest}개입니다.",
    ),
    "tokens_fit": ("None is longer than the limit of {limit}.",
                   "Aucune ne dépasse la limite de {limit}.", "한도 {limit}을 넘는 행은 없습니다."),
    "tokens_cut": (
        "{longer} are longer than the limit of {limit} (max_source_tokens) and lose their end.",
        "Au-delà de la limite de {limit} (max_source_tokens) : {longer}, dont la fin est coupée.",
        "한도 {limit}(max_source_tokens)를 넘어 끝이 잘리는 행은 {longer}개입니다.",
    ),
    "settings": ("Settings that matter", "Réglages qui comptent", "중요한 설정"),
    "blank_is_usual": (
        "Blank is the recipe's value, which stands in grey.",
        "Un champ vide prend la valeur de la recette, en gris.",
        "비워 두면 회색으로 적힌 기본값을 씁니다.",
    ),
    "usual": ("recipe: {value}", "recette : {value}", "기본값: {value}"),
    "all_rows": ("all", "toutes", "모두"),
    "further": ("All other settings", "Tous les autres réglages", "그 밖의 모든 설정"),
    "further_help": (
        "One a line, as in config.yaml: lora_r: 16. Names: frtune train TASK --help-all.",
        "Un par ligne, comme dans config.yaml : lora_r: 16. Noms : frtune train TASK --help-all.",
        "config.yaml처럼 한 줄에 하나씩: lora_r: 16. 이름: frtune train TASK --help-all.",
    ),
    "run_name": ("Name of the run", "Nom de l'entraînement", "학습의 이름"),
    "preflight": ("Preflight", "Essai à blanc", "사전 점검"),
    "preflight_passed": ("The preflight passed.", "L'essai à blanc a réussi.",
                         "사전 점검을 통과했습니다."),
    "preflight_failed": ("The preflight failed: {line}", "L'essai à blanc a échoué : {line}",
                         "사전 점검 실패: {line}"),
    "start": ("Train", "Entraîner", "학습 시작"),
    "started": (
        "{name} is in the queue. See the training; this page may be closed meanwhile.",
        "{name} est dans la file. Voyez l'entraînement ; cette page peut être fermée entre-temps.",
        "{name}이(가) 대기열에 들어갔습니다. 학습 탭을 보세요. 그동안 이 페이지를 닫아도 됩니다.",
    ),
}  # fmt: skip

_TRAIN: Words = {
    "no_runs": ("There are no runs yet.", "Il n'y a pas encore d'entraînement.",
                "아직 학습이 없습니다."),
    "run_shown": ("Run", "Entraînement", "학습"),
    "state": ("State", "État", "상태"),
    "queued": ("waits", "en attente", "대기 중"),
    "starting": ("starts", "démarre", "시작하는 중"),
    "running": ("runs", "en cours", "학습 중"),
    "stopped": ("stopped", "arrêté", "멈춤"),
    "failed_run": ("failed", "échoué", "실패"),
    "finished": ("finished", "terminé", "완료"),
    "stop_run": ("Stop (a checkpoint is saved)", "Arrêter (un checkpoint est gardé)",
                 "멈춤 (체크포인트 저장)"),
    "resume_run": ("Resume", "Reprendre", "이어서 학습"),
    "asked_to_stop": (
        "Asked to stop: the step ends, and a checkpoint is saved.",
        "Arrêt demandé : le pas se termine, puis un checkpoint est gardé.",
        "중지를 요청했습니다. 현재 스텝을 마치고 체크포인트를 저장합니다.",
    ),
    "step_of": ("step {step} of {steps}", "pas {step} sur {steps}", "{steps}스텝 중 {step}스텝"),
    "rows_second": ("{rate} rows a second", "{rate} lignes par seconde", "초당 {rate}행"),
    "left": ("{time} left", "reste {time}", "남은 시간 {time}"),
    "memory": ("memory {size}", "mémoire {size}", "메모리 {size}"),
    "loss": ("Loss", "Perte", "손실"),
    "validation_score": ("Score on the validation rows", "Score sur les lignes de validation",
                         "검증 행의 점수"),
    "step": ("step", "pas", "스텝"),
    "no_curve": ("Nothing was logged yet.", "Rien n'est encore noté.", "아직 기록이 없습니다."),
    "log": ("The log's last lines", "Les dernières lignes du journal", "로그의 마지막 줄"),
    "of_terminal": ("Started in a terminal: its log is there.",
                    "Lancé dans un terminal : son journal y est.",
                    "터미널에서 시작했습니다. 로그는 그 터미널에 있습니다."),
    "no_plots": ("Curves need matplotlib: pip install 'frtune[plots]'.",
                 "Les courbes demandent matplotlib : pip install 'frtune[plots]'.",
                 "곡선을 보려면 matplotlib이 필요합니다: pip install 'frtune[plots]'."),
}  # fmt: skip

_RESULT: Words = {
    "no_finished": ("No run has finished yet.", "Aucun entraînement n'est terminé.",
                    "완료된 학습이 아직 없습니다."),
    "results_of": ("Runs (several are compared)", "Entraînements (plusieurs sont comparés)",
                   "학습 (여러 개를 고르면 비교)"),
    "score_column": ("{score} on the test rows", "{score} sur les lignes de test",
                     "테스트 행의 {score}"),
    "interval": ("95 % interval", "intervalle à 95 %", "95% 구간"),
    "differs": ("What differs", "Ce qui diffère", "다른 점"),
    "not_comparable": (
        "These runs have other test rows or scores, and cannot be compared.",
        "Ces entraînements ont d'autres lignes de test ou scores, et ne se comparent pas.",
        "테스트 행이나 점수가 달라 비교할 수 없습니다.",
    ),
    "overlap": (
        "The intervals overlap: the test rows do not tell which one is better.",
        "Les intervalles se recouvrent : les lignes de test ne disent pas lequel est meilleur.",
        "구간이 겹칩니다. 테스트 행만으로는 어느 쪽이 나은지 알 수 없습니다.",
    ),
    "apart": (
        "The intervals do not overlap: {name} is better on these rows.",
        "Les intervalles ne se recouvrent pas : {name} est meilleur sur ces lignes.",
        "구간이 겹치지 않습니다. 이 행들에서는 {name}이(가) 낫습니다.",
    ),
    "worst": ("Worst test rows", "Les pires lignes de test", "가장 나쁜 테스트 행"),
    "truth_head": ("True answer", "Réponse attendue", "정답"),
    "answer_head": ("The model's", "Celle du modèle", "모델의 답"),
    "report": ("The report: {file}", "Le rapport : {file}", "보고서: {file}"),
    "no_report": (
        "This run has no report.html: it needs matplotlib.",
        "Cet entraînement n'a pas de report.html : il demande matplotlib.",
        "이 학습에는 report.html이 없습니다. matplotlib이 필요합니다.",
    ),
    "try_it": ("Try it: {run}", "Essayer : {run}", "사용해 보기: {run}"),
    "try_model": ("Model", "Modèle", "모델"),
    "next_steps": ("What to do next", "Que faire ensuite", "다음 단계"),
    "next_help": (
        "A button starts its command in this folder; pages open at their own address.",
        "Un bouton lance sa commande dans ce dossier ; les pages s'ouvrent à leur adresse.",
        "버튼은 이 폴더에서 명령을 시작합니다. 페이지는 각자의 주소에서 열립니다.",
    ),
    "do_review": ("Find wrong labels", "Trouver les étiquettes fausses", "틀린 레이블 찾기"),
    "do_compare": ("Compare on the test rows", "Comparer sur les lignes de test",
                   "테스트 행에서 비교"),
    "do_quantize": ("Make it smaller (int8)", "Réduire sa taille (int8)", "작게 만들기 (int8)"),
    "do_demo": ("Page to answer", "Page de réponses", "답하는 페이지"),
    "do_rate": ("Hand it to raters", "Confier à des juges", "사람에게 평가 맡기기"),
    "do_serve": ("HTTP API", "API HTTP", "HTTP API "),
    "do_export": ("Export to ONNX", "Exporter en ONNX", "ONNX로 내보내기"),
    "do_tune": ("Search better settings", "Chercher de meilleurs réglages", "더 나은 설정 찾기"),
    "do_curve": ("Would more rows help?", "Plus de lignes aideraient-elles ?",
                 "행을 늘리면 나아지는지 보기"),
    "do_label": ("Label more texts", "Étiqueter plus de textes", "텍스트에 레이블 더 달기"),
    "label_help": (
        "A model behind an OpenAI-compatible API labels a file of texts. The texts go to that "
        "address, and to nowhere else.",
        "Un modèle derrière une API compatible OpenAI étiquette un fichier de textes. Les textes "
        "vont à cette adresse, et nulle part ailleurs.",
        "OpenAI 호환 API 뒤의 모델이 텍스트 파일에 레이블을 답니다. 텍스트는 그 주소로만 "
        "보내집니다.",
    ),
    "label_texts": ("File with texts", "Fichier de textes", "텍스트 파일"),
    "label_address": ("Address of the API", "Adresse de l'API", "API 주소"),
    "label_model": ("Name of the model there", "Nom du modèle à cette adresse", "그곳의 모델 이름"),
    "label_dry": ("Show prompts and cost", "Voir les invites et le coût", "프롬프트와 비용 보기"),
    "label_start": ("Label the texts", "Étiqueter les textes", "레이블 달기"),
    "opened_at": ("Open: {address}", "Ouvrir : {address}", "열기: {address}"),
    "stop_step": ("Stop it", "L'arrêter", "중지하기"),
    "step_ended": ("Done: {command}", "Terminé : {command}", "완료: {command}"),
}  # fmt: skip

# the demo's words first: a text is answered here as it is there
WORDS = page_words(DEMO_WORDS, _PAGE, _DATA, _MODEL, _TRAIN, _RESULT, SETTINGS)
