"""The one kind of error that a user's input can cause."""


class RibocastError(ValueError):
    """Something a user gave is wrong; the message is one line that says what and where.

    The command line prints it behind ``error:`` and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        # Names of files and columns, and other libraries' messages, can hold line breaks.
        super().__init__(" ".join(line.strip() for line in message.splitlines() if line.strip()))
