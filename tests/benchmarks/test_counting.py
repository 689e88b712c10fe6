from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from benchmarks.counting import Layer, Sizes, Work, apart, forward, training, tree_of

# Two layers: keys and values cost 3 multiply-adds a token, all else 5, attention has 2 channels; 7 for the logits.
DECODER = Sizes((Layer(3, 5, 2), Layer(3, 5, 2)), 7)
# Three prompts: a task's head 1 2, behind it 3 and 4, and a stranger; answers of two tokens, one and one.
THREE = [((1, 2, 3), (8, 9)), ((1, 2, 4), (9,)), ((5,), (9,))]


def test_a_tree_of_three_prompts_has_each_past_once() -> None:
    tree = tree_of(THREE)
    assert tree.depths == [1, 2, 3, 4, 3, 1]  # 1 2 3 8, then 4 behind 1 2, then 5
    assert sorted(tree.depths[node] for node in tree.used) == [1, 3, 3, 4]  # 3, 8, 4 and 5 predict


def test_the_work_of_three_prompts_is_counted_by_hand() -> None:
    # First layer: 6 tokens x (3 + 5); last layer: keys of 6, all else of the 4 that are used.
    # Attention: 2 products x 2 operations x 2 channels for each token seen: 14 in the first layer, 11 in the last.
    # Output: 4 positions.
    assert forward(DECODER, THREE) == Work(2 * (6 * 8 + 6 * 3 + 4 * 5), 4 * 2 * (14 + 11), 2 * 4 * 7)


def test_the_same_prompt_twice_is_read_once() -> None:
    assert forward(DECODER, [*THREE, THREE[0]]) == forward(DECODER, THREE)
    assert apart(DECODER, [THREE[0], THREE[0]]) == forward(DECODER, THREE[:1]).times(2)


def test_a_window_bounds_what_is_seen() -> None:
    narrow = Sizes((Layer(3, 5, 2, window=2), Layer(3, 5, 2)), 7)
    assert forward(narrow, THREE).attention == 4 * 2 * ((1 + 2 + 2 + 2 + 2 + 1) + 11)


def test_training_shares_within_a_step_alone() -> None:
    together, divided = training(DECODER, [THREE]), training(DECODER, [THREE[:1], THREE[1:]])
    assert together == forward(DECODER, THREE).times(3)
    assert divided.products - together.products == 3 * 2 * 2 * (8 + 3)  # the head 1 2 is read twice
    assert divided.output == together.output


def test_t5_reads_each_source_once_and_all_of_it() -> None:
    sizes = Sizes((Layer(3, 5, 2),), 7, (Layer(3, 6, 2),), (Layer(1, 4, 2),))
    pairs = [((1, 2, 3), (8, 9)), ((1, 2, 3), (8, 7)), ((1, 2), (9,))]
    # The first source: 3 tokens that see 3; targets behind the start: start and 8, shared by both.
    encoder = Work(2 * (3 * 9 + 2 * 9), 4 * 2 * (9 + 4))
    own = Work(2 * (2 * 8 + 1 * 8), 4 * 2 * (1 + 2 + 1))
    crossed = Work(2 * (3 * 1 + 2 * 4 + 2 * 1 + 1 * 4), 4 * 2 * (2 * 3 + 1 * 2))
    assert forward(sizes, pairs) == encoder + own + crossed + Work(output=2 * 7 * 3)


def by_beginnings(sizes: Sizes, pairs: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> tuple[float, ...]:
    """Count a decoder's products, attention and output from the set of all beginnings that are read or predict."""
    read = {(*source, *target)[:n] for source, target in pairs for n in range(1, len(source) + len(target))}
    used = {
        (*source, *target)[:n]
        for source, target in pairs
        for n in range(len(source), len(source) + len(target))
    }
    products = attention = 0.0
    for place, layer in enumerate(sizes.decoder):
        last = place == len(sizes.decoder) - 1
        products += 2 * (layer.keys * len(read) + layer.rest * len(used if last else read))
        attention += (
            4 * layer.width * sum(min(len(one), layer.window or 10**9) for one in (used if last else read))
        )
    return products, attention, 2.0 * sizes.output * len(used)


def test_training_is_counted_alike_from_the_beginnings_of_each_step_s_sequences() -> None:
    draw = random.Random(0)

    def example(head: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        own = tuple(draw.choices(range(3), k=draw.randint(1, 6)))
        return (*head, *own), tuple(draw.choices(range(3), k=draw.randint(1, 4)))

    sizes = Sizes((Layer(3, 5, 2), Layer(4, 6, 2, window=5), Layer(3, 5, 2)), 7)
    packed = [[example(()) for _ in range(16)] for _ in range(3)]
    heads = [tuple(draw.choices(range(9), k=12)) for _ in range(2)]
    grouped = [[example(head) for head in heads for _ in range(8)] for _ in range(3)]
    for steps in (packed, grouped):
        counted = [by_beginnings(sizes, step) for step in steps]
        found = training(sizes, steps)
        assert (found.products, found.attention, found.output) == pytest.approx(
            tuple(3 * sum(part) for part in zip(*counted, strict=True))
        )
    assert (
        apart(sizes, grouped[0]).total > 1.5 * forward(sizes, grouped[0]).total
    )  # there was something to share


@pytest.mark.parametrize("gated", [True, False])
def test_t5_is_counted_as_its_own_passes_are(gated: bool) -> None:
    """Each source alone through transformers' encoder, its target token by token on cached keys: nothing is padded."""
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import DynamicCache, EncoderDecoderCache, T5Config, T5ForConditionalGeneration

    config = T5Config(
        d_model=8, d_kv=3, d_ff=12, num_layers=2, num_decoder_layers=3, num_heads=4, vocab_size=11,
        feed_forward_proj="gated-gelu" if gated else "relu", tie_word_embeddings=False, dropout_rate=0.0,
        decoder_start_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    pairs = [((1, 2, 3, 4, 5), (8, 9, 10)), ((1, 2), (9,)), ((3, 4, 6), (7, 7, 1, 2))]
    sizes = Sizes.of(config)
    with FlopCounterMode(display=False) as passes, torch.no_grad():
        for source, target in pairs:
            encoded = model.encoder(torch.tensor([source]))
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
            for token in (0, *target[:-1]):
                model(
                    encoder_outputs=encoded, decoder_input_ids=torch.tensor([[token]]), past_key_values=cache
                )
    assert forward(sizes, pairs).total == passes.get_total_flops()
    assert (
        forward(sizes, [*pairs, pairs[0]]).total == passes.get_total_flops()
    )  # an equal source is read once

    # A step of training: products and output forward and backward; of attention, causal squares are computed whole.
    with FlopCounterMode(display=False) as passes:
        for source, target in pairs:
            model(input_ids=torch.tensor([source]), labels=torch.tensor([target])).loss.backward()
    whole = sum(4 * 12 * 3 * 3 * (len(target) ** 2 - sum(range(1, len(target) + 1))) for _, target in pairs)
    assert training(sizes, [pairs]).total + whole == passes.get_total_flops()


@pytest.mark.parametrize("gated", [True, False])
def test_sizes_are_those_of_the_weights(gated: bool) -> None:
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

    with torch.device("meta"):
        llama = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, vocab_size=11, tie_word_embeddings=False,
            )
        )  # fmt: skip
        t5 = T5ForConditionalGeneration(
            T5Config(
                d_model=8, d_kv=3, d_ff=12, num_layers=2, num_decoder_layers=3, num_heads=4, vocab_size=11,
                feed_forward_proj="gated-gelu" if gated else "relu", tie_word_embeddings=False,
            )
        )  # fmt: skip

    def weights(part: torch.nn.Module) -> int:
        named = part.named_parameters()
        return sum(one.numel() for name, one in named if one.dim() == 2 and "bias" not in name)

    sizes = Sizes.of(llama.config)
    assert sum(layer.keys + layer.rest for layer in sizes.decoder) == weights(llama.model.layers)
    assert sizes.output == llama.lm_head.weight.numel()
    attention = llama.model.layers[0].self_attn
    kept = attention.k_proj.out_features + attention.v_proj.out_features
    assert [layer.kept for layer in sizes.decoder] == [kept, kept]
    sizes = Sizes.of(t5.config)
    assert sum(layer.keys + layer.rest for layer in sizes.encoder) == weights(t5.encoder.block)
    both = (*sizes.decoder, *sizes.crossed)
    assert sum(layer.keys + layer.rest for layer in both) == weights(t5.decoder.block)
    crossed = t5.decoder.block[0].layer[1].EncDecAttention
    assert {layer.kept for layer in both} == {crossed.k.out_features + crossed.v.out_features}


def test_windows_are_read_from_the_configuration() -> None:
    config = SimpleNamespace(
        is_encoder_decoder=False, hidden_size=8, num_attention_heads=2, num_key_value_heads=1, head_dim=5,
        intermediate_size=3, vocab_size=11, num_hidden_layers=2, sliding_window=4,
        layer_types=["sliding_attention", "full_attention"],
    )  # fmt: skip
    sizes = Sizes.of(config)
    assert [layer.window for layer in sizes.decoder] == [4, None]
    assert sizes.decoder[0].width == 10
