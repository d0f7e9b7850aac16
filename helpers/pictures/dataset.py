"""Pictures in memory, as uint8 tensors, and the labels that go with them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Pictures(Dataset):
    """Pictures `(3, H, W)`, uint8, in memory, and their labels; transformed when asked for.

    per_picture: what is done to each picture on its own, such as a random crop, and leaves all of
    one size. per_batch: what is then done to all of a batch alike, such as normalization: at once,
    which is faster.
    """

    def __init__(
        self,
        pictures: Sequence[Tensor] | Tensor,
        labels: Sequence[int],
        per_picture: Callable,
        per_batch: Callable,
    ):
        """Keep the pictures as they are."""
        self.pictures, self.labels = pictures, list(labels)
        self.per_picture, self.per_batch = per_picture, per_batch

    def __len__(self) -> int:
        """Count the pictures."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the transformed picture and its label."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Return several items; a DataLoader asks for those of a batch in this way."""
        batch = torch.stack([self.per_picture(self.pictures[i]) for i in indices])
        return list(zip(self.per_batch(batch), (self.labels[i] for i in indices), strict=True))
