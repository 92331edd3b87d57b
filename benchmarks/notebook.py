"""The homework's notebook as it was written: its networks and its loop over a DataLoader, to be timed by others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from ribocast.sequence.batch import encode


class ThreeConvolutions(nn.Module):
    """The homework's CNN_Attention_Regressor1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(4, 64, 8, padding=4)
        self.conv2 = nn.Conv1d(64, 64, 5, padding=2)
        self.conv3 = nn.Conv1d(64, 128, 5, padding=2)
        self.pool1, self.pool3 = nn.MaxPool1d(2), nn.MaxPool1d(2)
        self.attn, self.dropout = nn.Linear(128, 1), nn.Dropout(0.2)
        self.fc = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor) -> Tensor:
        """One-hot letters (rows, 4, length) to MRLs (rows,)."""
        x = self.pool1(torch.relu(self.conv1(x)))
        x = self.pool3(torch.relu(self.conv3(torch.relu(self.conv2(x))))).permute(0, 2, 1)
        x = torch.sum(F.softmax(self.attn(x), dim=1) * x, dim=1)
        return self.fc(self.dropout(x)).squeeze(1)  # type: ignore[no-any-return]


class Optimus(nn.Module):
    """Optimus 5-Prime (Sample et al. 2019) for 50 letters, with a given number of filters, as a notebook writes it."""

    def __init__(self, filters: int = 120) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before in (4, filters, filters):
            layers += [nn.Conv1d(before, filters, 8, padding="same"), nn.ReLU()]
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(50 * filters, 40), nn.ReLU(), nn.Dropout(0.2), nn.Linear(40, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """One-hot letters (rows, 4, 50) to MRLs (rows,)."""
        return self.layers(x).squeeze(1)  # type: ignore[no-any-return]


class Notebook:
    """A network, its rows encoded beforehand, and the notebook's loop: float32, Adam at 0.001, squared errors."""

    def __init__(self, model: nn.Module, utrs: Sequence[str], mrls: NDArray[np.float32], batch_size: int = 64) -> None:
        self.model, self.criterion = model, nn.MSELoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        self.loader = DataLoader(
            TensorDataset(one_hot(utrs), torch.from_numpy(mrls)), batch_size=batch_size, shuffle=True
        )

    def epoch(self) -> float:
        """Learn for one epoch; return the mean loss."""
        self.model.train()
        total, rows = 0.0, 0
        for x, y in self.loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * x.size(0)
            rows += x.size(0)
        return total / rows

    @torch.no_grad()
    def loss(self, utrs: Sequence[str], mrls: NDArray[np.float32]) -> float:
        """Return the mean squared error on other rows."""
        self.model.eval()
        return float(self.criterion(self.model(one_hot(utrs)), torch.from_numpy(mrls)))


def one_hot(utrs: Sequence[str]) -> Tensor:
    """Encode sequences of one length as (rows, 4, length)."""
    letters = encode(utrs)
    return torch.from_numpy(np.stack([letters == ord(base) for base in "ATCG"], axis=1).astype(np.float32))
