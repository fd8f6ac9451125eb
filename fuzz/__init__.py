"""Hostile files: a corpus, a mutator, targets for atheris, and campaigns under limits."""
