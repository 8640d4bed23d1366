"""Python for users: a client of the supervisor. Importing the package loads nothing heavy."""
