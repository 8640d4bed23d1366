"""The command `tsched`: one file per family of verbs."""
