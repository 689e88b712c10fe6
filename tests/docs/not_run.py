"""What of the printed commands no test here runs, and why; the overrides of those that train are composed all the same.

A command that begins with the words of a line is not run. Where another test runs what it shows, the line names it.
"""

from __future__ import annotations

INDEX = "asks a package index"
HUB = "downloads from the hub"
MINUTES = "takes minutes on two cores"
ACCOUNT = "needs an account of W&B's"
CLUSTER = "needs a cluster"
PROCESSES = "processes of their own"
LAUNCHERS = f"{PROCESSES}: tests/launchers/test_same_outcome.py"

NOT_RUN = {
    "make": f"{MINUTES}: .ci/run",
    "pip install": INDEX,
    "python -m venv .venv-ray": f"{INDEX}: tests/ray/run.sh",
    ".venv-ray/bin/python train.py": "an environment of its own: tests/ray/test_ray_launcher.py",
    ". .venv/bin/activate": "the environment that make made",
    "python train.py -m experiment=kung_peng_definitions tasks.root=": f"{CLUSTER}: tests/slurm/test_slurm.py",
    "python train.py -m experiment=kung_peng_definitions": f"{HUB}: the tutorial, tests/test_papers_in_small.py",
    "instruct-ablate train -m experiment=kung_peng_definitions tasks.root=": f"{CLUSTER}: tests/slurm/test_slurm.py",
    "python train.py -m instruction=original,simplified seed=0,1 hydra/launcher=": LAUNCHERS,
    "python train.py -m seed=0,1,2,3 hydra/launcher=local_pool": LAUNCHERS,
    "python train.py -m instruction=original,simplified hydra/launcher=submitit_local": LAUNCHERS,
    "instruct-ablate prepare model=gemma3_270m": INDEX,
    "python train.py -m experiment=gemma_laptop": "hours: tests/test_papers_in_small.py",
    "python train.py -m 'evaluation.general={reader: p3": "a folder of one's own: tests/tasks/test_general.py",
    "python train.py -m experiment=yin_2023_definitions instruction.annotation=yin_2023": (
        "downloads their annotation: tests/instruction/content_kinds/test_annotation.py"
    ),
    "python train.py -m hydra/sweeper=optuna": "an extra, and 20 cells: tests/grid/test_trial.py",
    "python train.py -m experiment=NAME seed=0,1,2,3,4 until=decided": "eleven cells: tests/grid/test_rounds.py",
    "python train.py -m model=tiny_llama tasks.test_tasks=12": "six cells: tests/grid/test_rounds.py",
    "python -m pdb train.py": "waits for what is typed into the debugger: tests/grid/test_sweep.py",
    "instruct-ablate view": "serves until it is stopped: tests/commands/test_view.py",
    "instruct-ablate plan experiment=kung_peng_definitions": HUB,
    "instruct-ablate prepare model=t5_large_lm_adapt": HUB,
    "instruct-ablate status multirun/kung_peng_definitions": CLUSTER,
    "instruct-ablate sync multirun/ablation": f"{ACCOUNT}: tests/cell/mirror/test_offline_runs.py",
    "instruct-ablate report multirun/ablation --wandb": f"{ACCOUNT}: tests/report/dashboards/test_wandb_summary.py",
    "instruct-ablate dashboard multirun/ablation": f"{ACCOUNT}: tests/report/dashboards/test_workspace.py",
}

# Blocks that are neither typed nor a file: what they show, by the beginning of their first line.
SHOWN = {
    "tables: 16 of 16 the same, byte for byte": "printed",
    "hypotheses:": "configuration",
    "program: train.py": "W&B's configuration",
    'eval "$(_INSTRUCT_ABLATE_COMPLETE': "lines of shells' own files: tests/test_completion.py",
    "multirun/<study>/<readable name>-<short hash>/": "folder",
    "train.py                 the Hydra entry": "folder",
}
