"""`ampd`: what runs first.  What plays goes before what reads the command line."""

import sys


def main() -> int:
    """Run one verb of sys.argv and return the exit code."""
    words, headstart = sys.argv[1:], None
    if words[:1] == ["run"]:
        from ampd.headstart import begin  # noqa: PLC0415

        headstart = begin(words[1:])
        if headstart is not None:
            headstart.wait()
    from ampd.cli import main as run_verb  # noqa: PLC0415 (it loads much that no sound needs)

    return run_verb(words, headstart)


if __name__ == "__main__":
    sys.exit(main())
