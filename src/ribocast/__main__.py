"""``ribocast`` and ``python -m ribocast``: the command line."""

import sys


def start() -> int:
    """Run a command; return its exit code."""
    try:
        from ribocast.io import interrupts

        # Before anything that takes time.
        interrupts.install()
        from ribocast.cli import main
        from ribocast.cli.terminal import fail
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    code = 0
    try:
        interrupts.begin()
        code = main()
        interrupts.finish()
    except KeyboardInterrupt:
        # Between two steps of these, or in the line that says it.
        interrupts.finish()
    told = interrupts.verdict()
    # One that came in an import may not have been raised before the end.
    return fail("") if told and told[1] != code else code


if __name__ == "__main__":
    sys.exit(start())
