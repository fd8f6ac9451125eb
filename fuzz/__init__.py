"""Hostile files: a corpus, a mutator that knows Matroska and the manifest, targets for atheris, and campaigns with limits."""
