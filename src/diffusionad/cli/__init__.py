"""The command line. `diffusionad --help` imports nothing heavy: every command is imported when it is called."""

from diffusionad.cli.app import main

__all__ = ["main"]
