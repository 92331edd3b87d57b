"""What can go wrong that a user, or a program that calls ribocast, can do something about.

::

    RibocastError (a ValueError)  message: one line that says what is wrong, where, and what to do
    ├── InputError                data: mend the file, the row or the sequence
    │   └── SequenceError         one sequence of those given; has its `row` and the `reason`
    ├── OptionError               what was asked for: change the option, the argument or the rule
    ├── ModelError                a trained model: take another, or write it anew
    ├── OutputError               where results go: name another place, or allow what is there to be replaced
    ├── UnavailableError          not here or not now: start what is missing, or try again later
    │   └── MissingExtraError     an optional package: install it
    └── StoppedError              the work was asked to end before it was done

The command line prints each behind ``error:`` and exits with code 2; `ribocast.web` has one child more, with a status.
"""

from __future__ import annotations


class RibocastError(ValueError):
    """Something a user gave is wrong, or cannot be had; the message is one line that says what and where."""

    def __init__(self, message: str) -> None:
        # Names of files and columns, and other libraries' messages, can hold line breaks.
        super().__init__(" ".join(line.strip() for line in message.splitlines() if line.strip()))


class InputError(RibocastError):
    """A file, a table or a sequence cannot be used; the message names its file, row, column and value."""


class SequenceError(InputError):
    """A sequence cannot be read.

    Attributes
    ----------
    row : int
        The first unusable sequence, from 0.
    reason : str
        What is wrong with it; positions count from 1 at the 5′ end.
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"row {row + 1}: {reason}")
        self.row, self.reason = row, reason

    def __reduce__(self) -> tuple[type[SequenceError], tuple[int, str]]:
        # An exception is copied to another process by its message, which is not what we are made from.
        return type(self), (self.row, self.reason)


class OptionError(RibocastError):
    """An option, an argument, or several together ask for what cannot be done; rules that contradict each other too."""


class ModelError(RibocastError):
    """A trained model is missing, damaged, of another version, or computes what cannot be a prediction."""


class OutputError(RibocastError):
    """Results cannot go where they are to: a name, a folder, a format, or something that is there already."""


class UnavailableError(RibocastError):
    """Something outside does not answer or is taken: a server, a cluster, a worker, a file that another run writes."""


class MissingExtraError(UnavailableError):
    """A package that this needs is not installed; the message says what to install."""


class StoppedError(RibocastError):
    """The work was ended early because it was asked to; see `ribocast.model.stopping`."""
