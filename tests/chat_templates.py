"""Chat templates of the kinds that decoders are published with, and checkpoints that have them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed


@dataclass(frozen=True)
class Template:
    """A chat template, the special tokens it is written in, and its end of turn."""

    text: str
    tokens: tuple[str, ...]
    end: str


CHATML = r"""
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' }}
{%- if message.role == 'assistant' and loop.last %}
{{- '<think>\n' + (message.reasoning_content or '') + '\n</think>\n\n' }}
{%- endif %}
{{- message.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\n\n</think>\n\n' }}
{%- endif %}
{%- endif %}
"""
GEMMA = r"""{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
{{ raise_exception('System role not supported') }}
{%- endif -%}
{%- for message in messages -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Conversation roles must alternate') }}
{%- endif -%}
{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""
LLAMA3 = r"""{{- bos_token }}
{%- set date = strftime_now('%d %b %Y') if strftime_now is defined else '26 Jul 2024' %}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}
{%- if message['role'] == 'system' %}{{- 'Today Date: ' + date + '\n\n' }}{%- endif %}
{{- message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""
MISTRAL = """{{ bos_token }}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}{{ '[INST] ' + message['content'] + ' [/INST]' }}
{%- elif message['role'] == 'assistant' -%}{{ ' ' + message['content'] + eos_token }}
{%- else -%}{{ raise_exception('Only user and assistant roles are supported!') }}
{%- endif -%}
{%- endfor -%}
"""
TEMPLATES = {
    "chatml": Template(CHATML, ("<|im_start|>", "<|im_end|>", "<think>", "</think>"), "<|im_end|>"),
    "gemma": Template(GEMMA, ("<start_of_turn>", "<end_of_turn>"), "<end_of_turn>"),
    "llama3": Template(
        LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|eot_id|>"
    ),
    "mistral": Template(MISTRAL, (), "eos"),
}


def with_template(tokenizer: Any, name: str) -> Any:
    """Give a tokenizer a chat template and its tokens, in place."""
    template = TEMPLATES[name]
    if tokenizer.bos_token is None:
        tokenizer.bos_token = tokenizer.eos_token
    tokenizer.add_tokens(list(template.tokens), special_tokens=True)
    tokenizer.chat_template = template.text
    return tokenizer


def end_of(tokenizer: Any, name: str) -> int:
    end = TEMPLATES[name].end
    return tokenizer.eos_token_id if end == "eos" else tokenizer.convert_tokens_to_ids(end)


def chat_checkpoint(base: Path, directory: Path, name: str) -> Path:
    """Copy a tiny decoder and make it one that knows a chat template, with rows for its tokens."""
    shutil.copytree(base, directory)
    tokenizer = with_template(AutoTokenizer.from_pretrained(base), name)
    model = AutoModelForCausalLM.from_pretrained(base)
    set_seed(0)
    if len(tokenizer) > model.config.vocab_size:
        model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
