"""Runs work: the executor process, its runners, spawn, capture, limits. Knows no database."""
