"""Checkpoints: files that hold all that the next step of a training depends on."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from tinct.errors import CodecError
from tinct.files import AtomicOutput


def save_checkpoint(path: Path, fingerprint: str, state: dict[str, Any]) -> None:
    """Write `state`; the file appears whole or not at all.

    Raises CodecError where it cannot be written; an earlier checkpoint at `path` then stays.
    """
    try:
        with AtomicOutput(path) as output:
            torch.save({**state, "fingerprint": fingerprint}, output.path)
            output.publish()
    except (OSError, RuntimeError) as error:  # PyTorch raises RuntimeError on a full disk
        raise CodecError(
            f"expected to write the checkpoint {path}, found: {str(error).splitlines()[0]}"
        ) from error


def load_checkpoint(
    path: Path, fingerprint: str, device: torch.device | str = "cpu", *, by: str = "fingerprint"
) -> dict[str, Any]:
    """Return the saved state, its tensors on `device`.

    Raises CodecError for a file that is no checkpoint, and for one whose entry `by` is not
    `fingerprint`: another training's.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        found = state[by]
    except torch.OutOfMemoryError:
        raise
    except OSError as error:
        raise CodecError(
            f"expected to read the checkpoint {path}, found {error.strerror or error}"
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, UnpicklingError) as error:
        if "alloc" in str(error):  # PyTorch's RuntimeError where memory runs out
            raise
        raise CodecError(
            f"expected a checkpoint of this training in {path}, found another file; name a new one"
        ) from error
    if found != fingerprint:
        raise CodecError(
            f"expected a checkpoint of this training, its data and options in {path}, "
            "found another's; name a new one"
        )
    return state
