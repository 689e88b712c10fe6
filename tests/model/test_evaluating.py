import torch

from instruct_ablate.model.evaluating import bare, evaluating


def test_modes_are_restored_module_by_module_even_after_an_error():
    model = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(2, 2))
    model.train()
    model[1].eval()
    try:
        with evaluating(model):
            assert not model[0].training
            assert torch.is_inference_mode_enabled()
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert [module.training for module in model.modules()] == [True, True, False]
    assert not torch.is_inference_mode_enabled()


def test_bare_takes_the_peft_wrapper_off(tmp_path):
    from peft import LoraConfig, get_peft_model

    from tests.model.decoding_cases import make_checkpoint

    model = make_checkpoint("tiny_llama", tmp_path).model
    assert bare(model) is model
    assert bare(get_peft_model(model, LoraConfig(target_modules="all-linear"))) is model
