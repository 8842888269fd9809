"""The verbs of `ampd-train`, one module each.

A verb parses, calls and shows; the work is done by the modules above this package.  Each module
has NAME, HELP (one line), ABOUT (what its --help teaches), add_arguments(parser) and
run(options), which returns the exit code; trainer/cli.py lists them.
"""
