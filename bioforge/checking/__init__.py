"""Prose checked where it lies: files into sentences, sentences into findings, findings into reports."""
