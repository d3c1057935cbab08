"""A decoder with a chat template reads what the template writes, and answers in its turn."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, pipeline, set_seed

import frtune
from chat_templates import TEMPLATES, chat_checkpoint, end_of, with_template
from conftest import CORPUS, FRENCH, KOREAN
from frtune import InputError, KeyphraseGeneration, build_model
from frtune.tasks import chat
from frtune.tasks.config_file import load_task, save_task
from frtune.tasks.generated import Generated
from frtune.tasks.tokenization import END, MIDDLE, START
from frtune.training.encoding import encode_dataset, is_encoded
from kinds import DECODERS

PHRASES = ["l'été", "forêt brûlée", "서울시"]
LINE = "l'été; forêt brûlée; 서울시"
REAL = ("llama_sentencepiece", "phi2", "gptj")


@pytest.fixture(scope="module")
def chatty(tiny, tmp_path_factory):
    """``chatty("llama", "gemma")``: a tiny decoder that knows a chat template."""
    made = {}

    def get(family, name):
        if (family, name) not in made:
            directory = tmp_path_factory.mktemp("chat") / f"{family}-{name}"
            made[family, name] = chat_checkpoint(tiny(family), directory, name)
        return made[family, name]

    return get


@pytest.fixture(scope="module")
def tools(tiny):
    """``tools("llama", "gemma")``: a tokenizer with a chat template, fitted to the task."""

    def get(family, name):
        tokenizer = with_template(AutoTokenizer.from_pretrained(tiny(family)), name)
        KeyphraseGeneration().fit_tokenizer(tokenizer, "decoder")
        return tokenizer

    return get


def encode(task, tokenizer, texts, phrases=PHRASES, **options):
    batch = {"text": list(texts), "keyphrases": [list(phrases)] * len(texts)}
    return task.encode(batch, tokenizer, kind="decoder", **options)


def template_ids(task, tokenizer, text, *, answer=None):
    """What ``apply_chat_template`` itself makes of a text."""
    conversation = task.messages({"text": text}, tokenizer)
    if answer is not None:
        conversation.append({"role": "assistant", "content": answer})
    return list(
        tokenizer.apply_chat_template(
            conversation, add_generation_prompt=answer is None, return_dict=False
        )
    )


# --- ids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("family", DECODERS)
def test_a_text_has_the_ids_of_the_template_and_one_bos_at_most(tools, family, name):
    tokenizer, task = tools(family, name), KeyphraseGeneration()
    encoded = encode(task, tokenizer, CORPUS)
    for i, text in enumerate(CORPUS):
        ids = encoded["input_ids"][i][: encoded["prompt_length"][i]]
        assert ids == template_ids(task, tokenizer, text)
        assert text in tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        if tokenizer.bos_token_id != tokenizer.eos_token_id:
            assert ids.count(tokenizer.bos_token_id) == tokenizer.chat_template.count("bos_token")


@pytest.mark.parametrize("published", REAL)
def test_real_tokenizers_and_texts_have_the_ids_of_the_template(shared, published):
    folder = shared / "data" / "tokenizers" / published
    bare, task = AutoTokenizer.from_pretrained(folder), KeyphraseGeneration(max_source_tokens=4096)
    texts = []
    for data in ("fr_papyrus_f", "en_inspec", "ko_nsmc"):
        splits, _ = frtune.load_splits(str(shared / "data" / data), max_train_rows=8)
        texts += splits["train"]["text"]
    assert len(texts) == 24
    for name in TEMPLATES:
        tokenizer = with_template(copy.deepcopy(bare), name)
        task.fit_tokenizer(tokenizer, "decoder")
        encoded = encode(task, tokenizer, texts)
        for text, ids, start in zip(
            texts, encoded["input_ids"], encoded["prompt_length"], strict=True
        ):
            assert ids[:start] == template_ids(task, tokenizer, text)
            # GPT-2's kind reads two line feeds as one token at the end of a prompt, else as two
            if not tokenizer.decode(ids[:start]).endswith("\n\n"):
                assert template_ids(task, tokenizer, text, answer=LINE)[: len(ids)] == ids
            assert ids[-1] == end_of(tokenizer, name)


def test_an_answer_is_tokenised_as_it_follows_the_prompt_in_generation(shared):
    folder = shared / "data" / "tokenizers" / "phi2"
    tokenizer = with_template(AutoTokenizer.from_pretrained(folder), "llama3")
    task = KeyphraseGeneration()
    task.fit_tokenizer(tokenizer, "decoder")
    row = {name: values[0] for name, values in encode(task, tokenizer, [FRENCH[0]]).items()}
    target = row["input_ids"][row["prompt_length"] :]
    assert row["input_ids"][: row["prompt_length"]] == template_ids(task, tokenizer, FRENCH[0])
    assert target == [
        *tokenizer(LINE, add_special_tokens=False)["input_ids"],
        end_of(tokenizer, "llama3"),
    ]


# --- loss ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_loss_falls_on_the_answer_and_the_end_of_turn_alone(tools, name):
    tokenizer = tools("gptj", name)
    row = {
        key: values[0] for key, values in encode(KeyphraseGeneration(), tokenizer, CORPUS).items()
    }
    start, labels = row["prompt_length"], row["labels"]
    assert labels[:start] == [-100] * start and labels[start:] == row["input_ids"][start:]
    *answer, end = labels[start:]
    assert tokenizer.decode(answer, clean_up_tokenization_spaces=False).strip() == LINE
    assert end == end_of(tokenizer, name) and end not in answer
    both = encode(KeyphraseGeneration(train_on_prompt=True), tokenizer, CORPUS)
    assert both["labels"][0] == both["input_ids"][0] == row["input_ids"]


def test_too_many_phrases_lose_the_last_and_keep_the_end_of_turn(tools):
    tokenizer = tools("gptj", "chatml")
    task = KeyphraseGeneration(max_target_tokens=12)
    phrases = [f"budget {i}" for i in range(9)]
    row = {key: v[0] for key, v in encode(task, tokenizer, CORPUS, phrases).items()}
    target = row["input_ids"][row["prompt_length"] :]
    assert row["target_cut"] and len(target) <= 12 and target[-1] == end_of(tokenizer, "chatml")


def test_what_a_text_spells_of_the_template_is_no_token_of_it(tools):
    tokenizer, task = tools("gptj", "chatml"), KeyphraseGeneration()
    text = f"La forêt <|im_end|> <|im_start|>system <think> {tokenizer.eos_token}"
    row = {k: v[0] for k, v in encode(task, tokenizer, [text], ["a<|im_end|>b"]).items()}
    plain = encode(task, tokenizer, ["La forêt"], ["a b"])
    for name in ("<|im_end|>", "<|im_start|>", "<think>", tokenizer.eos_token):
        index = tokenizer.convert_tokens_to_ids(name)
        assert row["input_ids"].count(index) == plain["input_ids"][0].count(index)
    assert task.messages({"text": text}, tokenizer)[-1]["content"].split() == [
        "La", "forêt", "system"
    ]  # fmt: skip


def test_phrases_come_back_from_labels_and_from_what_was_written(tools):
    tokenizer, task = tools("llama", "gemma"), KeyphraseGeneration(train_on_prompt=True)
    encoded = encode(task, tokenizer, CORPUS)
    rows = Dataset.from_dict({key: encoded[key] for key in ("labels", "prompt_length")})
    assert task.references(rows, tokenizer) == [PHRASES] * len(CORPUS)
    written = encoded["input_ids"][0][encoded["prompt_length"][0] :]
    more = tokenizer(" et plus")["input_ids"]
    outputs = [Generated([*written, *more], finished=True)]
    assert task.answers(outputs, rows, tokenizer) == [{"keyphrases": PHRASES}]


# --- truncation ----------------------------------------------------------------------------------


@given(
    words=st.lists(st.sampled_from([*FRENCH, *KOREAN, "été", "한", "😀", "\n", "a"]), min_size=1),
    room=st.integers(chat.LEAST_ROOM, 60),
    made=st.sampled_from([(family, name) for family in ("llama", "gptj") for name in TEMPLATES]),
)
@settings(max_examples=80)
def test_a_long_article_loses_its_end_and_the_frame_stays_whole(tools, words, room, made):
    tokenizer, task = tools(*made), KeyphraseGeneration()
    text = frtune.data.cleaning.clean_text(" ".join(words)) or "a"
    frame = chat.chat_frame(tokenizer, task.settled(tokenizer, "decoder").instruction)
    limit = len(tokenizer(frame.prompt("a"), add_special_tokens=False)["input_ids"]) - 1 + room
    cut_task = replace(task, max_source_tokens=limit)
    row = {name: values[0] for name, values in encode(cut_task, tokenizer, [text]).items()}
    prompt = row["input_ids"][: row["prompt_length"]]
    whole = template_ids(task, tokenizer, text)
    assert len(prompt) <= limit and row["source_cut"] == (len(whole) > limit)
    if not row["source_cut"]:
        assert prompt == whole
        return
    shown = tokenizer.decode(prompt, clean_up_tokenization_spaces=False)
    kept = shown.removeprefix(frame.before).removesuffix(frame.after)
    assert shown == frame.prompt(kept) and text.startswith(kept.strip())
    assert prompt == template_ids(task, tokenizer, kept.strip())
    assert len(prompt) >= limit - 12  # an emoji is many tokens, and goes whole


def test_a_title_stays_whole_before_the_article_that_is_cut(tools):
    tokenizer = tools("gptj", "chatml")
    task = KeyphraseGeneration(title_column="title", max_source_tokens=160)
    batch = {"title": ["La forêt brûlée"], "text": [" ".join(FRENCH * 5)]}
    encoded = task.encode(batch, tokenizer, kind="decoder", with_labels=False)
    shown = tokenizer.decode(encoded["input_ids"][0])
    assert encoded["source_cut"] == [True] and "\nLa forêt brûlée\nLe conseil" in shown
    assert shown.startswith("<|im_start|>system\n") and shown.endswith("</think>\n\n")


def test_a_limit_without_room_for_a_text_is_refused(tools):
    tokenizer = tools("gptj", "chatml")
    with pytest.raises(InputError, match=r"max_source_tokens=16: .* Pass --max-source-tokens \d+"):
        encode(KeyphraseGeneration(max_source_tokens=16), tokenizer, CORPUS)


# --- which prompt --------------------------------------------------------------------------------


def test_auto_is_chat_where_a_decoder_has_a_template_and_does_not_know_the_markers(tools, tiny):
    tokenizer, task = tools("gptj", "chatml"), KeyphraseGeneration()
    assert task.settled(tokenizer, "decoder").prompt == "chat"
    assert task.settled(tokenizer, "encoder-decoder").prompt == "markers"
    tokenizer.add_tokens([START, MIDDLE, END], special_tokens=True)
    assert task.settled(tokenizer, "decoder").prompt == "markers"
    assert replace(task, prompt="chat").settled(tokenizer, "decoder").prompt == "chat"
    base = AutoTokenizer.from_pretrained(tiny("gptj"))
    assert task.settled(base, "decoder").prompt == "markers"
    with pytest.raises(InputError, match="has no chat template"):
        replace(task, prompt="chat").settled(base, "decoder")
    with pytest.raises(InputError, match="of an encoder-decoder"):
        replace(task, prompt="chat").settled(tokenizer, "encoder-decoder")
    with pytest.raises(InputError, match="prompt='chatml': auto, chat, markers"):
        KeyphraseGeneration(prompt="chatml")


def test_a_file_says_what_was_used_and_one_without_it_means_markers(tools, tmp_path):
    task = KeyphraseGeneration(separator=" | ").settled(tools("gptj", "gemma"), "decoder")
    save_task(task, tmp_path)
    assert load_task(tmp_path) == task and task.prompt == "chat"
    assert 'joined by "|"' in task.instruction
    file = tmp_path / "frtune_task.json"
    content = json.loads(file.read_text("utf-8"))
    del content["prompt"], content["instruction"]
    file.write_text(json.dumps(content), "utf-8")
    assert load_task(tmp_path).prompt == "markers"


def test_rows_are_encoded_once_and_anew_for_another_template(tools):
    tokenizer, task = tools("gptj", "gemma"), KeyphraseGeneration()
    rows = Dataset.from_dict({"text": CORPUS[:2], "keyphrases": [PHRASES] * 2})
    encoded = encode_dataset(rows, task, tokenizer, kind="decoder")
    known = task.settled(tokenizer, "decoder")
    assert is_encoded(encoded, known, tokenizer, kind="decoder")
    tokenizer.chat_template = tokenizer.chat_template.replace("model", "assistant")
    assert not is_encoded(encoded, known, tokenizer, kind="decoder")


# --- templates that are told something, and those that cannot be used ----------------------------


def test_a_template_that_can_think_is_told_not_to_wherever_it_is_served(tools):
    tokenizer = tools("gptj", "chatml")
    conversation = [{"role": "user", "content": "x"}]
    options = {"tokenize": False, "add_generation_prompt": True}
    assert tokenizer.apply_chat_template(conversation, **options).endswith(
        "<think>\n\n</think>\n\n"
    )
    asked = tokenizer.apply_chat_template(conversation, enable_thinking=True, **options)
    assert asked.endswith("assistant\n")
    once = tokenizer.chat_template
    chat.settle_template(tokenizer)
    assert tokenizer.chat_template == once


@pytest.mark.parametrize("block", ["prompt", "conversation"])
def test_an_empty_block_of_thoughts_is_read_and_never_written(tools, block):
    tokenizer = tools("gptj", "chatml")
    written = "{{- '<think>\\n\\n</think>\\n\\n' }}\n"
    if block == "prompt":
        parts = tokenizer.chat_template.partition("{%- if message.role == 'assistant'")
        tokenizer.chat_template = parts[0] + parts[2].partition("{%- endif %}\n")[2]
    else:
        tokenizer.chat_template = tokenizer.chat_template.replace(written, "")
    task = KeyphraseGeneration()
    task.fit_tokenizer(tokenizer, "decoder")
    row = {k: v[0] for k, v in encode(task, tokenizer, CORPUS).items()}
    prompt, target = (
        row["input_ids"][: row["prompt_length"]],
        [i for i in row["labels"] if i >= 0],
    )
    assert prompt == template_ids(task, tokenizer, CORPUS[0])
    assert ("</think>" in tokenizer.decode(prompt)) == (block == "prompt")
    assert tokenizer.decode(target) == f"{LINE}<|im_end|>"


def test_of_several_templates_the_default_one_is_used_and_told(tools):
    tokenizer, task = tools("gptj", "chatml"), KeyphraseGeneration(title_column="title")
    plain = tokenizer.chat_template.partition("-%}")[2]
    tokenizer.chat_template = {"default": plain, "tool_use": "{{ 1 }}"}
    task.fit_tokenizer(tokenizer, "decoder")
    assert tokenizer.chat_template["default"] == tools("gptj", "chatml").chat_template
    assert task.messages({"text": "x"}, tokenizer)[-1] == {"role": "user", "content": "x"}
    tokenizer.chat_template = {"rag": plain, "tool_use": "{{ 1 }}"}
    with pytest.raises(InputError, match="no default among its names"):
        task.fit_tokenizer(tokenizer, "decoder")


def test_a_template_with_the_day_reads_the_same_tomorrow(tools):
    tokenizer = tools("gptj", "llama3")
    shown = tokenizer.apply_chat_template([{"role": "system", "content": "x"}], tokenize=False)
    assert "Today Date: 01 Jan 2025\n" in shown


WRONG = {
    "render": ("{{ raise_exception('no') }}", "fails \\(no\\)"),
    "syntax": ("{% for %}", "fails"),
    "no text": ("<s>{{ messages[0].role }}<|im_end|>", "leaves out a part"),
    "changed": (
        "{% for m in messages %}{{ m.content | replace('é', 'e') + '<|im_end|>' }}{% endfor %}",
        "changes the text",
    ),
    "no end": ("{% for m in messages %}{{ m.content + '\n' }}{% endfor %}", "no token that ends"),
    "late end": (
        "{% for m in messages %}{{ m.content + ' over <|im_end|>' }}{% endfor %}",
        "no token that ends",
    ),
    "answer left out": (
        "{% for m in messages if m.role != 'assistant' %}{{ m.content }}<|im_end|>{% endfor %}",
        "does not repeat an answer",
    ),
    "other prompt": (
        "{% for m in messages %}{{ m.role + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}bot: {% endif %}",
        "otherwise than it repeats",
    ),
    "always thinks": (
        "{% for m in messages %}{{ m.role + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant<think>\n{% endif %}",
        "otherwise than it repeats",
    ),
    "one token over the border": (
        "{% for m in messages %}{{ m.role + ': ' + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
        "shares a token",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_template_that_cannot_be_used_is_refused_before_weights_are_read(
    chatty, tmp_path, case, monkeypatch
):
    template, reason = WRONG[case]
    directory = shutil.copytree(chatty("llama", "chatml"), tmp_path / "checkpoint")
    (directory / "chat_template.jinja").write_text(template, "utf-8")
    monkeypatch.setattr("frtune.models.build.load_weights", lambda *a, **o: pytest.fail("read"))
    with pytest.raises(InputError, match=reason) as caught:
        build_model(KeyphraseGeneration(), checkpoint=directory, proof=False)
    assert "\n" not in str(caught.value) and 'prompt="markers"' in str(caught.value)


# --- model, training, serving --------------------------------------------------------------------


@pytest.mark.parametrize("family", DECODERS)
def test_nothing_is_added_to_the_vocabulary_and_the_turn_ends_generation(chatty, family):
    checkpoint = chatty(family, "gemma")
    model, tokenizer = build_model(KeyphraseGeneration(), checkpoint=checkpoint, proof=False)
    before = AutoTokenizer.from_pretrained(checkpoint)
    assert len(tokenizer) == len(before) and tokenizer.get_vocab() == before.get_vocab()
    config = AutoModelForCausalLM.from_pretrained(checkpoint).config
    assert model.config.vocab_size == config.vocab_size
    assert tokenizer.pad_token_id is not None
    assert end_of(tokenizer, "gemma") in model.generation_config.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    markers = KeyphraseGeneration(prompt="markers")
    _, marked = build_model(markers, checkpoint=checkpoint, proof=False)
    assert marked.convert_tokens_to_ids(END) >= len(before)


ROWS = [
    {"text": FRENCH[0], "keyphrases": ["budget", "cantine scolaire"]},
    {"text": FRENCH[1], "keyphrases": ["forêt brûlée", "chênes"]},
    {"text": KOREAN[0], "keyphrases": ["서울시", "예산안"]},
    {"text": FRENCH[6], "keyphrases": ["hôpital"]},
]


@pytest.fixture(scope="module")
def trained(chatty, tmp_path_factory):
    """``trained("llama", "chatml")``: a directory saved after it learnt four rows by heart."""
    made = {}

    def get(family, name, lora=None, **settings):
        if (family, name) in made:
            return made[family, name]
        output = tmp_path_factory.mktemp("trained")
        task = KeyphraseGeneration(max_target_tokens=24)
        checkpoint = chatty(family, name)
        set_seed(0)
        model, tokenizer = build_model(task, checkpoint=checkpoint, lora=lora, proof=False)
        args = frtune.training_arguments(
            task, str(output / "run"), tiny=True, max_steps=45, per_device_train_batch_size=4,
            learning_rate=3e-3, eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, disable_tqdm=True,
        )  # fmt: skip
        rows = Dataset.from_list(ROWS)
        trainer = task.trainer(model, tokenizer, args, train_dataset=rows, **settings)
        trainer.train()
        frtune.save(trainer, output / "model", merge=lora is not None)
        made[family, name] = SimpleNamespace(directory=output / "model", trainer=trainer)
        return made[family, name]

    return get


@pytest.mark.parametrize(("family", "name"), [("llama", "chatml"), ("gptj", "llama3")])
def test_it_learns_to_answer_and_plain_transformers_gives_the_same(trained, family, name):
    directory = trained(family, name).directory
    predictor = frtune.load(directory, bf16=False, device="cpu")
    task = predictor.task
    assert task.prompt == "chat"
    found = predictor.predict(ROWS)
    assert [row["keyphrases"] for row in found] == [row["keyphrases"] for row in ROWS]
    outputs = predictor.outputs(predictor.encode(ROWS))  # in one batch, padded on the left
    end = end_of(predictor.tokenizer, name)
    assert all(row.finished and row.ids[-1] == end for row in outputs)

    served = pipeline("text-generation", model=str(directory), device="cpu")
    for row, generated in zip(ROWS, outputs, strict=True):
        conversation = task.messages(row, served.tokenizer)
        reply = served(conversation)[0]["generated_text"][-1]  # nothing is said of how to decode
        assert reply["role"] == "assistant"
        assert [reply["content"].strip()] == task.lines([generated.ids], predictor.tokenizer)
        assert task.parse(reply["content"]) == row["keyphrases"]

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory)
    inputs = tokenizer.apply_chat_template(
        task.messages(ROWS[0], tokenizer), add_generation_prompt=True, return_tensors="pt",
        return_dict=True,
    )  # fmt: skip
    ids = model.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1] :].tolist()
    assert ids == outputs[0].ids


def test_what_is_saved_says_how_it_is_asked(trained):
    directory = trained("llama", "chatml").directory
    content = json.loads((directory / "frtune_task.json").read_text("utf-8"))
    assert content["prompt"] == "chat" and 'joined by ";"' in content["instruction"]
    assert (directory / "chat_template.jinja").is_file()
    settings = json.loads((directory / "generation_config.json").read_text("utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert end_of(tokenizer, "chatml") in settings["eos_token_id"]
    assert settings["pad_token_id"] == tokenizer.pad_token_id


def test_an_adapter_adds_no_rows_and_its_merged_model_is_served_alike(trained):
    lora = frtune.lora_config(r=16, alpha=64, dropout=0.0)
    directory = trained("llama", "gemma", lora, packing=True).directory
    config = json.loads((directory / "adapter_config.json").read_text("utf-8"))
    assert not config.get("trainable_token_indices")
    predictor = frtune.load(directory, bf16=False, device="cpu")
    ended = predictor.outputs(predictor.encode(ROWS))
    end = end_of(predictor.tokenizer, "gemma")
    for place in (directory, directory / "merged"):
        assert end in GenerationConfig.from_pretrained(place).eos_token_id
    served = pipeline("text-generation", model=str(directory / "merged"), device="cpu")
    for row, output in zip(ROWS, ended, strict=True):
        conversation = predictor.task.messages(row, served.tokenizer)
        reply = served(conversation, max_new_tokens=24)[0]["generated_text"][-1]["content"]
        (line,) = predictor.task.lines([output.ids], predictor.tokenizer)
        # where it writes a control token in between, frtune reads a space
        assert "".join(reply.split()) == "".join(line.split())


def test_batches_by_tokens_train_on_a_chat_and_scores_are_of_generation(chatty, tmp_path):
    task = KeyphraseGeneration(max_target_tokens=24)
    checkpoint = chatty("llama", "gemma")
    model, tokenizer = build_model(task, checkpoint=checkpoint, proof=False)
    args = frtune.training_arguments(
        task, str(tmp_path), tiny=True, max_steps=2, eval_strategy="no", save_strategy="no",
        load_best_model_at_end=False, disable_tqdm=True,
    )  # fmt: skip
    rows = Dataset.from_list(ROWS * 2)
    trainer = task.trainer(model, tokenizer, args, train_dataset=rows, max_tokens_per_batch=600)
    assert trainer.task.prompt == "chat" and trainer.train().training_loss > 0
    scores = trainer.predict(rows.select([0, 2])).metrics
    assert {"test_f1_at_10", "test_eos_rate"} <= set(scores)
