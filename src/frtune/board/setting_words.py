"""What the settings that matter are called, and why one would change them."""

from __future__ import annotations

from frtune.web.translations import Words

SETTINGS: Words = {
    "learning_rate": ("Learning rate", "Taux d'apprentissage", "학습률"),
    "why_learning_rate": (
        "How far a step goes. Halve it when the loss jumps; double it when nothing is learnt.",
        "La longueur d'un pas. Divisez par deux si la perte saute ; doublez si rien ne s'apprend.",
        "한 스텝의 크기. 손실이 튀면 절반으로, 배우는 것이 없으면 두 배로 하세요.",
    ),
    "num_train_epochs": ("Epochs", "Époques", "에포크"),
    "why_num_train_epochs": (
        "How often each row is seen. More for few rows; the best one is kept.",
        "Combien de fois chaque ligne est vue. Plus avec peu de lignes ; la meilleure est gardée.",
        "각 행을 보는 횟수. 행이 적으면 늘리세요. 가장 좋은 것이 남습니다.",
    ),
    "per_device_train_batch_size": ("Rows at once", "Lignes à la fois", "한 번에 보는 행"),
    "why_per_device_train_batch_size": (
        "More is faster, and needs memory.",
        "Plus va plus vite, et demande de la mémoire.",
        "많을수록 빠르지만 메모리가 더 필요합니다.",
    ),
    "gradient_accumulation_steps": ("Batches a step", "Lots par pas", "스텝당 배치"),
    "why_gradient_accumulation_steps": (
        "Raise it by as much as you lower the rows at once.",
        "Augmentez-le d'autant que vous baissez les lignes à la fois.",
        "한 번에 보는 행을 줄인 만큼 늘리세요.",
    ),
    "max_source_tokens": ("Tokens of a text", "Tokens d'un texte", "텍스트의 토큰"),
    "why_max_source_tokens": (
        "What is longer is cut. Short texts train faster with less.",
        "Ce qui dépasse est coupé. Avec moins, les textes courts vont plus vite.",
        "더 긴 부분은 잘립니다. 짧은 텍스트는 줄이면 더 빠릅니다.",
    ),
    "early_stopping_patience": ("Patience", "Patience", "인내"),
    "why_early_stopping_patience": (
        "Evaluations without gain before it ends; 0: never.",
        "Évaluations sans progrès avant la fin ; 0 : jamais.",
        "나아지지 않는 평가가 이만큼 이어지면 끝냅니다. 0이면 끝까지 합니다.",
    ),
    "warmup_steps": ("Warm-up steps", "Pas d'échauffement", "워밍업 스텝"),
    "why_warmup_steps": (
        "In which the rate rises; 0.1 is a tenth of all. Helps large models.",
        "Pendant lesquels le taux monte ; 0.1 : un dixième. Aide les grands modèles.",
        "학습률이 올라가는 구간. 0.1이면 전체의 10분의 1. 큰 모델에 도움이 됩니다.",
    ),
    "weight_decay": ("Weight decay", "Décroissance des poids", "가중치 감쇠"),
    "why_weight_decay": (
        "Pulls weights to 0; 0.01 against learning by heart.",
        "Tire les poids vers 0 ; 0.01 contre l'apprentissage par cœur.",
        "가중치를 0으로 당깁니다. 0.01은 암기를 줄입니다.",
    ),
    "max_train_rows": ("Training rows", "Lignes d'entraînement", "학습 행"),
    "why_max_train_rows": (
        "A few thousand for a first try.",
        "Quelques milliers pour un premier essai.",
        "처음에는 몇천 행으로 해 보세요.",
    ),
    "seed": ("Seed", "Graine", "시드"),
    "why_seed": (
        "Another one shows how much is chance.",
        "Une autre montre la part du hasard.",
        "바꿔 보면 우연의 크기를 알 수 있습니다.",
    ),
}
