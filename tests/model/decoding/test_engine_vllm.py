import sys
from types import SimpleNamespace

import pytest
import torch

from instruct_ablate.errors import UserError
from instruct_ablate.model.decoding import engine_vllm
from instruct_ablate.model.decoding.predict import predict
from instruct_ablate.model.loading.checkpoint import Checkpoint
from tests.model.decoding_cases import LABELS, make_checkpoint, make_config, make_prompts


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint("tiny_llama", tmp_path_factory.mktemp("cache"))


class Engine:
    """vLLM's interface as far as it is used, on transformers."""

    def __init__(self, model, **options):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model, self.tokenizer = (
            AutoModelForCausalLM.from_pretrained(model),
            AutoTokenizer.from_pretrained(model),
        )
        Engine.options = options

    def generate(self, prompts, sampling):
        each = sampling if isinstance(sampling, list) else [sampling] * len(prompts)
        return [self._one(prompt["prompt_token_ids"], one) for prompt, one in zip(prompts, each, strict=True)]

    @torch.no_grad()
    def _one(self, ids, sampling):
        scores = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        along = [None] + [{t: SimpleNamespace(logprob=float(scores[at, t]))} for at, t in enumerate(ids[1:])]
        written = list(ids)
        for _ in range(sampling.max_tokens):
            written.append(int(self.model(torch.tensor([written])).logits[0, -1].argmax()))
            if written[-1] in (sampling.stop_token_ids or ()):
                break
        own = written[len(ids) :]
        told = own[:-1] if own[-1] in (sampling.stop_token_ids or ()) else own
        text = self.tokenizer.decode(told, skip_special_tokens=True)
        return SimpleNamespace(outputs=[SimpleNamespace(text=text, token_ids=own)], prompt_logprobs=along)


@pytest.fixture
def _vllm(monkeypatch):
    def sampling(temperature, max_tokens, stop_token_ids=None, prompt_logprobs=None):
        assert temperature == 0.0
        return SimpleNamespace(max_tokens=max_tokens, stop_token_ids=stop_token_ids)

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=Engine, SamplingParams=sampling))


def texts(checkpoint, config, prompts):
    return {one.prompt.instance_id: one.text for one in predict(checkpoint, prompts, config)}


@pytest.mark.usefixtures("_vllm")
@pytest.mark.parametrize("decoding", ["greedy", "constrained", "rank"])
def test_the_same_records_as_the_native_engine(checkpoint, decoding):
    prompts = [*make_prompts(1, 3), *make_prompts(2, 4, LABELS)[4:]]
    native, vllm = (
        texts(checkpoint, make_config(decoding, engine=engine), prompts) for engine in ("native", "vllm")
    )
    assert vllm == native
    assert Engine.options["max_model_len"] >= 112
    assert Engine.options["enable_prefix_caching"]


@pytest.mark.usefixtures("_vllm")
@pytest.mark.parametrize("stop", ["token", "line"])
def test_what_is_cut_is_told_as_by_the_native_engine_and_decoded_once(checkpoint, stop, monkeypatch):
    prompts = make_prompts(1, 4)

    def told(engine, length):
        config = make_config(engine=engine)
        config.evaluation.stop, config.prompt.max_target_length = stop, length
        return {one.prompt.instance_id: (one.text, one.cut) for one in predict(checkpoint, prompts, config)}

    native = [told("native", length) for length in (2, 60)]
    monkeypatch.setattr(checkpoint.tokenizer, "decode", lambda *_, **__: pytest.fail("decoded again"))
    assert [told("vllm", length) for length in (2, 60)] == native
    assert any(cut for _, cut in native[0].values())


@pytest.mark.usefixtures("_vllm")
def test_wrong_answers_are_cut_as_by_the_native_engine(checkpoint):
    prompts = make_prompts(2, 12, LABELS)
    config = make_config()
    whole = texts(checkpoint, config, prompts)
    config.evaluation.cut_wrong_answers = True
    native = texts(checkpoint, config, prompts)
    config.evaluation.engine = "vllm"
    assert texts(checkpoint, config, prompts) == native != whole


@pytest.mark.usefixtures("_vllm")
def test_adapters_are_merged_into_what_the_engine_loads(tmp_path):
    from peft import LoraConfig, get_peft_model

    plain = make_checkpoint("tiny_llama", tmp_path)
    lora = LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    tuned = Checkpoint(get_peft_model(plain.model, lora), plain.tokenizer, False, "tuned")
    prompts = make_prompts(1, 4)
    assert texts(tuned, make_config(engine="vllm"), prompts) == texts(tuned, make_config(), prompts)


@pytest.mark.usefixtures("_vllm")
def test_encoder_decoders_are_refused(tmp_path):
    with pytest.raises(UserError, match="engine=native"):
        texts(make_checkpoint("tiny_t5", tmp_path), make_config(engine="vllm"), make_prompts(1, 1))


def test_without_the_package_the_extra_is_named(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"instruct-ablate\[vllm\]"):
        texts(checkpoint, make_config(engine="vllm"), make_prompts(1, 1))


def test_the_model_leaves_its_gpu_to_the_engine(monkeypatch):
    """vLLM starts where nine tenths of a GPU's memory are free alone."""
    done = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("emptied"))
    for place in ("cuda", "cpu"):
        model = SimpleNamespace(device=torch.device(place), to=lambda device: done.append(str(device)))
        with engine_vllm._room_for_engine(model):
            done.append(f"engine beside {place}")
    assert done == ["cpu", "emptied", "engine beside cuda", "cuda", "engine beside cpu"]


def test_no_engine_starts_where_all_is_answered(checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace())  # which has no engine
    prompts, config = make_prompts(1, 3), make_config(engine="vllm")
    finished = {(prompt.task, prompt.instance_id) for prompt in prompts}
    assert list(predict(checkpoint, prompts, config, finished)) == []
