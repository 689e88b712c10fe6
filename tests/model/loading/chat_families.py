"""Six chat templates of our own making that behave as six families' do; none is theirs, and none is equal to theirs.

What is taken from each is how it behaves: roles, where the start token comes from, what ends a turn, thinking, dates.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Family:
    """A template, its tokenizer's special tokens, and what a prompt under it is like."""

    name: str
    template: str
    end: str  # the tokenizer's end token
    turn: str  # what ends an answer
    begins: str  # of a prompt with the user's text alone
    ends: str
    start: str | None = None
    adds_start: bool = False
    system: bool = True  # a turn of its own
    thinking: bool = False
    others: tuple[str, ...] = ()

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """A tokenizer of single bytes with this template."""
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        inner = Tokenizer(models.BPE({letter: place for place, letter in enumerate(alphabet)}, []))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        special = [token for token in dict.fromkeys((self.start, self.end, self.turn, *self.others)) if token]
        inner.add_special_tokens(special)
        if self.adds_start and self.start:
            pair = [(self.start, inner.token_to_id(self.start))]
            inner.post_processor = TemplateProcessing(single=f"{self.start} $A", special_tokens=pair)
        made = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=self.start, eos_token=self.end)
        made.chat_template = self.template
        return made


CHATML = """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.role == 'assistant' and enable_thinking is defined %}{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{{- message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"""

HEADERS = """{{- bos_token }}
{%- if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}
{%- set told = '' %}
{%- if messages[0].role == 'system' %}{% set told = messages[0].content | trim %}
{%- set messages = messages[1:] %}{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday Date: ' + date_string + '\\n\\n' + told + '<|eot_id|>' }}
{%- for message in messages %}
{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

MODEL = """{{- bos_token }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}
{{- message.content | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{% endif %}"""

BRACKETS = """{{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'user' %}{{- '[INST] ' + message.content + ' [/INST]' }}
{%- elif message.role == 'assistant' %}{{- ' ' + message.content + eos_token }}{% endif %}
{%- endfor %}"""

SEPARATED = """{%- for message in messages %}
{{- '<|im_start|>' + message.role + '<|im_sep|>' + message.content + '<|im_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant<|im_sep|>' }}{% endif %}"""

DAILY = """{{- bos_token }}
{{- '<|system|>\\nToday is ' + strftime_now('%d %B %Y') + '.\\n' }}
{%- for message in messages %}
{%- if message.role == 'assistant' %}{{- '<|assistant|>\\n' + message.content + eos_token }}
{%- else %}{{- '<|' + message.role + '|>\\n' + message.content + '\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{% endif %}"""

FAMILIES = (
    Family(  # ChatML, as SmolLM2's and Qwen3's; a base model's end is another
        "chatml", CHATML, "<|endoftext|>", "<|im_end|>", "<|im_start|>user\nHi<|im_end|>\n", "<|im_start|>assistant\n",
        thinking=True, others=("<|im_start|>",),
    ),
    Family(  # as Llama 3's: the template writes the start, the tokenizer too, and the day
        "headers", HEADERS, "<|end_of_text|>", "<|eot_id|>",
        "<|start_header_id|>system<|end_header_id|>\n\nToday Date: 26 Jul 2024\n\n<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|begin_of_text|>", True,
        others=("<|start_header_id|>", "<|end_header_id|>"),
    ),
    Family(  # as Gemma's: no system, the model's role is "model"
        "model", MODEL, "<eos>", "<end_of_turn>", "<start_of_turn>user\nHi<end_of_turn>\n", "<start_of_turn>model\n",
        "<bos>", True, system=False, others=("<start_of_turn>",),
    ),
    Family(  # as Mistral's: brackets and spaces; the system's turn is left out in silence
        "brackets", BRACKETS, "</s>", "</s>", "[INST] Hi [/INST]", "[/INST]", "<s>", True, system=False,
    ),
    Family(  # as Phi-4's: a separator, no lines
        "separated", SEPARATED, "<|endoftext|>", "<|im_end|>", "<|im_start|>user<|im_sep|>Hi<|im_end|>",
        "<|im_start|>assistant<|im_sep|>", others=("<|im_start|>", "<|im_sep|>"),
    ),
    Family(  # as OLMo's and Tulu's: a start that only the template writes, and the tokenizer's own end; dated
        "daily", DAILY, "<|endoftext|>", "<|endoftext|>", "<|bos|><|system|>\nToday is 26 July 2024.\n<|user|>\nHi\n",
        "<|assistant|>\n", "<|bos|>",
    ),
)  # fmt: skip
