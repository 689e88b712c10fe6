"""The Hugging Face hub: how long it is waited for, and how models are written to it.

The key is the one that its own client finds (`hf auth login`, HF_TOKEN).
"""

from __future__ import annotations

from pathlib import Path

from instruct_ablate.errors import UserError, first_line, in_a_line

WAIT = 10.0  # seconds for the hub's first answer: its own client, and `datasets`, ask again and again


def upload(folder: Path, name: str, private: bool = True) -> str:
    """Upload a model's folder under a name and return its address; a repository that is there gets a new commit."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api = HfApi()
    try:
        made = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message="Export from Instruct-Ablate"
        )
    except HFValidationError as error:
        raise UserError(f"--push {name}: no name of a model on the hub: {in_a_line(error)}") from error
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        reason = first_line(error)
        raise UserError(
            f"{folder} is written, but not uploaded as {name}: {reason}. `hf auth login` (or HF_TOKEN) says who "
            f"you are; `hf upload {name} {folder}` tries again."
        ) from error
    return str(made)
