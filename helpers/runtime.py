"""The machine and its random numbers."""

import random

import torch


def get_device() -> torch.device:
    """Return the accelerator of this machine (CUDA, MPS, …), or else its CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def seed_everything(seed: int) -> None:
    """Seed Python's and PyTorch's random number generators, on every device."""
    random.seed(seed)
    torch.manual_seed(seed)
