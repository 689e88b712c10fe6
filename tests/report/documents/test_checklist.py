"""The checklist says what records hold, and "not recorded" of all else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from instruct_ablate.cell.state.record.record import Environment, Selected
from instruct_ablate.command_line import group
from instruct_ablate.cost import Cost
from instruct_ablate.grid.study import Study
from instruct_ablate.report.documents.checklist import UNKNOWN, checklist
from tests.report.cells import make_cell
from tests.report.studies import write_study


def line(text: str, question: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"- **{question}**"))


def study_of(device: str = "cpu") -> Study:
    made = Environment("secret-host", "train.py", None, "3.11.7", (("torch", "2.1"),), device, "fp32")
    cells = [
        replace(make_cell(50.0, seed=seed, lr=lr), environment=made, cost=Cost(train_seconds=1800.0))
        for seed, lr in ((0, 1e-4), (1, 2e-4))
    ]
    return Study("s", Path("s"), (*cells, make_cell(None, seed=2)))


def test_what_records_say() -> None:
    text = checklist(study_of())
    assert "1.00 hours on CPU over 2 done cells" in line(text, "C1 computing budget")
    assert "estimated at 0.1 kWh, assuming 100 W for one CPU" in line(text, "C1 energy")
    assert line(text, "C1 runs").endswith("2 done, 1 missing")
    assert line(text, "C3 seeds").endswith(": 0, 1")
    assert "crossed random effects" in line(text, "C3 error bars")
    assert "Python 3.11.7, torch 2.1" in line(text, "C4 packages")
    assert "2 test tasks with 200 instances" in line(text, "B6 statistics")
    assert "| `trainer.learning_rate` | 0.0001, 0.0002 |" in text
    assert "Apache-2.0" in line(text, "B2 licences")
    assert "secret-host" not in text
    assert "on GPU" in checklist(study_of("cuda:0"))


def test_models_are_told_with_the_weights_that_their_cells_counted() -> None:
    study = study_of()
    assert line(checklist(study), "C1 number of parameters").endswith(f"tiny: {UNKNOWN}"), "an older record"
    made = study.cells[0].environment
    assert made is not None
    first = replace(study.cells[0], environment=replace(made, parameters=1234567))
    other = replace(study.cells[1], setting=study.cells[1].setting.changed(model="tiny_t5"))
    baseline = replace(make_cell(50.0, model="majority"), environment=replace(made, device="none"))
    told = line(checklist(Study("s", Path("s"), (first, other, baseline))), "C1 number of parameters")
    assert told.endswith(f": tiny: 1,234,567, tiny_t5: {UNKNOWN}")


def test_rates_are_those_of_optimisers() -> None:
    lora = make_cell(50.0, method="lora", **{"method.learning_rate_factor": 10.0})
    text = checklist(Study("s", Path("s"), (make_cell(50.0), lora)))
    told = line(text, "C2 experimental setup")
    assert "learning rates as trained: full 0.0002; lora 0.002 (0.0002 x 10)" in told
    assert "as trained" not in checklist(study_of())


def test_lists_among_values_are_told_apart_and_metrics_are_no_setting() -> None:
    one = make_cell(50.0)
    both = one.setting.changed(**{"evaluation.instructions": ("delusive", "original")})
    cells = (one, replace(one, setting=both))
    told = {cell.setting.text("evaluation.instructions") for cell in cells}
    assert len(told) == 2
    assert any("," in one for one in told)
    text = checklist(Study("s", Path("s"), cells))
    assert f"| `evaluation.instructions` | {'; '.join(sorted(told))} |" in text
    assert "| `trainer.learning_rate` | 0.0002 |" in text
    assert "evaluation.metrics" not in text


def test_nothing_is_invented() -> None:
    text = checklist(Study("s", Path("s"), (make_cell(None),)))
    for question in ("C1 number of parameters", "C1 computing budget", "C1 energy", "C3 seeds", "C4 packages",
                     "B3 intended use", "B4 personal or offensive content"):  # fmt: skip
        assert UNKNOWN in line(text, question)
    other = checklist(Study("s", Path("s"), (make_cell(50.0, tasks="mine"),)))
    assert "of the data (mine) not known: no record names it" in line(other, "B2 licences")
    assert f"of the model (tiny) {UNKNOWN}" in line(other, "B2 licences")
    assert "no deviation over seeds" in line(other, "C3 error bars")


@pytest.mark.parametrize(
    ("tasks", "model", "said"),
    [
        ("natural_instructions", "olmo2_1b", ("Apache-2.0 (its repository), if", "(olmo2_1b) Apache-2.0")),
        ("p3", "gemma3_270m", ("(p3) Apache-2.0 (its data card)", "(gemma3_270m) Gemma's terms")),
        ("everyday", "llama3_2_1b", ("made for this package", "(llama3_2_1b) Llama 3.2 Community")),
    ],
)
def test_licences_of_what_is_listed_are_said(tasks: str, model: str, said: tuple[str, str]) -> None:
    text = line(checklist(Study("s", Path("s"), (make_cell(50.0, tasks=tasks, model=model),))), "B2 licences")
    assert all(one in text for one in said), text
    assert UNKNOWN not in text


def test_data_that_are_only_called_as_a_collection_have_a_licence_of_their_own() -> None:
    cell = make_cell(50.0, tasks="p3", **{"tasks.reader": "hf_dataset"})
    text = line(checklist(Study("s", Path("s"), (cell,))), "B2 licences")
    assert "(p3) not known: the data are called so, and read by hf_dataset" in text
    assert "Apache" not in text
    cell = make_cell(50.0, tasks="p3", **{"tasks.reader": "p3"})
    assert "(p3) Apache-2.0" in line(checklist(Study("s", Path("s"), (cell,))), "B2 licences")


def test_licences_of_a_mixture_are_those_of_its_parts_and_of_a_hub_id_its_model_s() -> None:
    parts = ("a: {'tasks.reader': 'p3'}", "b: {'tasks.reader': 'everyday'}")
    values = {"tasks.reader": "mixture", "tasks.parts": parts}
    cell = make_cell(50.0, tasks="mixture", model="gpt-4, of May", **values)
    other = make_cell(50.0, tasks="mixture", model="flan-t5-base", **values)
    text = line(checklist(Study("s", Path("s"), (cell, other))), "B2 licences")
    assert "(everyday) made for this package, Apache-2.0; (p3) Apache-2.0 (its data card)" in text
    assert text.endswith(f"of the model (flan-t5-base) Apache-2.0; (gpt-4, of May) {UNKNOWN}")


def test_how_weights_were_chosen_and_on_what() -> None:
    plain = checklist(study_of())
    assert "no development set is recorded" in plain
    assert "were chosen by" not in plain
    chosen = Selected("rougeL", 2, 4, 4, ((2, 7.0),))
    cells = [
        replace(cell, selected=chosen, setting=cell.setting.changed(**{"tasks.validation": 4}))
        for cell in study_of().cells
        if cell.state == "done"
    ]
    text = checklist(Study("s", Path("s"), tuple(cells)))
    assert "development set: 4 held-out training tasks" in line(text, "B6 statistics")
    told = line(text, "C2 experimental setup")
    assert "chosen by rougeL on held-out training tasks; every value" in told
    mixed = checklist(Study("s", Path("s"), (*cells, *study_of().cells)))
    assert "(of some cells the last step's were taken)" in line(mixed, "C2 experimental setup")


def test_the_command_writes_it_when_asked(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", [make_cell(50.0)])
    told = CliRunner().invoke(group, ["report", str(study), "--checklist"])
    assert told.exit_code == 0, told.output
    assert "Checklist: " in told.output
    assert (study / "report" / "checklist.md").read_text().startswith("# Responsible NLP checklist: s\n")


def hours_of(*cells: tuple[str, Cost]) -> str:
    made = [
        replace(
            make_cell(50.0, seed=seed),
            environment=Environment("h", "c", None, "3.11", (), device, "fp32"),
            cost=cost,
        )
        for seed, (device, cost) in enumerate(cells)
    ]
    return checklist(Study("s", Path("s"), tuple(made)))


def test_hours_are_summed_by_kind_of_device() -> None:
    cost = Cost(prepare_seconds=900.0, train_seconds=1000.0, point_seconds=800.0, evaluate_seconds=900.0)
    text = hours_of(("cpu", cost), ("cuda:0", cost), ("NVIDIA H100", cost), ("none", cost), ("cpu x86", cost))
    assert "2.00 hours on CPU; 2.00 hours on GPU over 5 done cells" in line(text, "C1 computing budget")
    assert "estimated at 1 kWh, assuming 100 W for one CPU, 400 W for one GPU" in line(text, "C1 energy")
    told = line(text, "C1 infrastructure")
    assert "NVIDIA H100 (fp32) in 1 cell, cpu (fp32) in 1 cell, cpu x86 (fp32) in 1 cell, cuda:0" in told
    assert "none (fp32)" not in told


def test_the_processor_is_named_where_a_record_notes_it() -> None:
    """Before: "not recorded" of every cell."""
    made = Environment("h", "c", None, "3.11", (), "cpu", "fp32", processor="AMD EPYC 9B14", threads=2)
    cells = [replace(make_cell(50.0, seed=seed), environment=made) for seed in (0, 1)]
    told = line(checklist(Study("s", Path("s"), tuple(cells))), "C1 infrastructure")
    assert told.endswith(": cpu (AMD EPYC 9B14, 2 threads, fp32) in 2 cells")
    early = replace(cells[0], environment=replace(made, processor="", threads=0))
    told = line(checklist(Study("s", Path("s"), (early, cells[1]))), "C1 infrastructure")
    assert told.endswith(f"where it is not named: {UNKNOWN}")


def test_cells_that_took_no_time_or_no_device_have_no_energy() -> None:
    text = hours_of(("cpu", Cost()))
    assert line(text, "C1 energy").endswith(UNKNOWN)
    assert "0.00 hours on CPU" in line(text, "C1 computing budget")
    assert line(hours_of(("none", Cost(train_seconds=9.0))), "C1 computing budget").endswith(UNKNOWN)


def test_untuned_cells_have_no_seed_and_no_budget() -> None:
    cells = (
        make_cell(5.0, data_budget=0, seed=7),
        make_cell(50.0, seed=3),
        make_cell(51.0, seed=3, data_budget=2),
    )
    text = checklist(Study("s", Path("s"), cells))
    assert line(text, "C3 seeds").endswith(": 3")
    assert "training instances per task: 2, 8;" in line(text, "B6 statistics")
    assert "no deviation over seeds" in line(text, "C3 error bars")


def test_data_are_named_by_their_hash() -> None:
    cells = tuple(replace(make_cell(50.0, seed=seed), data_hash=char * 64) for seed, char in enumerate("ba"))
    text = checklist(Study("s", Path("s"), cells))
    assert f"content hash of the data {'a' * 12}, {'b' * 12};" in line(text, "B5 documentation")
    assert f"content hash of the data {UNKNOWN}" in line(
        checklist(Study("s", Path("s"), (make_cell(1.0),))), "B5 documentation"
    )
    assert line(checklist(Study("s", Path("s"), ())), "C1 runs").endswith(": none")
