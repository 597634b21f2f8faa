"""Weights and training states as bytes and back: safetensors, which holds numbers and text and runs nothing."""

import json

import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import load, save

from mlcore.network import Parameters
from mlcore.training import TrainingState

_ARRAYS = ("active", "best_loss", "best_epoch")


def weights_to_bytes(weights: Parameters, **about: object) -> bytes:
    """Pack a run's weights; what is said about them (epoch, loss) is in the file's metadata, as JSON under "epochd".

    One entry and not one each: safetensors writes several in an order that changes from call to call.
    """
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}  # which takes half as long as tensors
    return save_arrays(arrays, {"epochd": json.dumps(about)})


def weights_from_bytes(data: bytes) -> Parameters:
    """Unpack a run's weights."""
    return load(data)


def state_to_bytes(state: TrainingState) -> bytes:
    """Pack all that a job needs to go on after an epoch."""
    tensors = {f"parameters/{name}": tensor.cpu().contiguous() for name, tensor in state.parameters.items()}
    tensors |= {f"best/{name}": tensor.cpu().contiguous() for name, tensor in state.best_parameters.items()}
    tensors |= {name: torch.from_numpy(getattr(state, name)) for name in _ARRAYS}
    tensors["epoch"] = torch.tensor(state.epoch)
    return save(tensors)


def state_from_bytes(data: bytes) -> TrainingState:
    """Unpack a training state, to the same bits."""
    tensors = load(data)

    def under(prefix: str) -> Parameters:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    active, best_loss, best_epoch = (tensors[name].numpy() for name in _ARRAYS)
    return TrainingState(
        epoch=int(tensors["epoch"]),
        parameters=under("parameters/"),
        active=active,
        best_parameters=under("best/"),
        best_loss=best_loss,
        best_epoch=best_epoch,
    )
