"""The one kind of error that a user's input can cause."""


class RibocastError(ValueError):
    """Something a user gave is wrong; the message is one line that says what and where.

    The command line prints it behind ``error:`` and exits with code 2.
    """
