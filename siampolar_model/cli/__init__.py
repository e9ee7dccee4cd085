"""The command `siampolar`: one file per sub-command."""
