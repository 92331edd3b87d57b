"""What is done with each portion of a large piece of work; see `ribocast.predict.shards`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ribocast.io.rejects import OnError
from ribocast.model.predictor import Predictor
from ribocast.predict.shards import Done, Portion

if TYPE_CHECKING:
    from ribocast.predict.stream import Predicted


class TablePortions(ABC):
    """A job whose portions are tables: by one function that takes the settings."""

    def settings(self) -> dict[str, Any]:
        """Return the settings."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def do(
        self, model: Predictor, portion: Portion, *, resume: bool, keep: bool, done: Callable[[int], None],
        say: Callable[[str], None],
    ) -> Done:  # fmt: skip
        """Write a portion's output."""
        found = self._function()(
            model, portion.source, portion.output, **self.settings(), rows=portion.part, resume=resume, keep=keep,
            done=done, say=say,
        )  # fmt: skip
        return Done(found.rows, found.skipped)

    @abstractmethod
    def _function(self) -> Callable[..., Predicted]:
        """Return the function that does it."""


@dataclass(frozen=True)
class Predictions(TablePortions):
    """Predict every row; see `ribocast.predict.files.predict_file`."""

    assay: str | None = None
    column: str | None = None
    profile: bool = False
    uorf: bool = False
    near_cognates: bool = False
    on_error: OnError = "stop"

    def _function(self) -> Callable[..., Predicted]:
        from ribocast.predict.files import predict_file

        return predict_file
